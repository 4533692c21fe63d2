//! What the one name server this CA was told says of a name, asked by TCP (RFC 7766).

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};

use super::problem::{Kind, Problem};

/// How long the name server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The TXT records of a name, each in one piece, whatever pieces it is stored in; none is no error.
///
/// The server is to follow aliases and delegations. Nothing is remembered from one question to the
/// next.
pub(super) async fn txt(server: SocketAddr, name: &str) -> Result<Vec<String>, Problem> {
    let dns = |why: String| Problem::new(Kind::Dns, why);
    let asked = Name::from_ascii(format!("{name}."))
        .map_err(|why| dns(format!("{name} is no name of the DNS: {why}")))?;
    let failed = |why| dns(format!("looking up TXT of {name} failed: {why}"));
    match resolver(server).map_err(failed)?.txt_lookup(asked).await {
        Ok(found) => Ok(found.answers().iter().filter_map(|record| text(&record.data)).collect()),
        Err(why) if why.is_no_records_found() => Ok(Vec::new()),
        Err(why) => Err(failed(why)),
    }
}

fn resolver(server: SocketAddr) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut connection = ConnectionConfig::tcp();
    connection.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut options = ResolverOpts::default();
    options.timeout = PATIENCE;
    options.attempts = 1;
    options.cache_size = 0;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

fn text(data: &RData) -> Option<String> {
    let RData::TXT(txt) = data else { return None };
    Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned())
}
