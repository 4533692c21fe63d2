//! Looking at what the client shows, over real sockets but never beyond loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::problem::{Kind, Problem};
use super::{validate_http, validate_tls_alpn};
use crate::model::challenge::{Challenge, ChallengeKind, ValidationPorts};
use crate::model::name::Identifier;

/// A whole validation, from the first packet to the verdict.
const PATIENCE: Duration = Duration::from_secs(10);

/// Validates one challenge; the problem is what the client is shown as the challenge's error.
pub(super) async fn validate(
    ports: &ValidationPorts,
    challenge: &Challenge,
) -> Result<(), Problem> {
    let look = async {
        match challenge.kind {
            ChallengeKind::Http01 => {
                let stream = dial(&challenge.identifier, ports.http_01()).await?;
                validate_http::check(stream, challenge).await
            }
            ChallengeKind::TlsAlpn01 => {
                let stream = dial(&challenge.identifier, ports.tls_alpn_01()).await?;
                validate_tls_alpn::check(stream, challenge).await
            }
            ChallengeKind::Dns01 => Err(Problem::malformed("dns-01 is not offered")),
        }
    };
    let about = challenge.identifier.to_string();
    let late = || Problem::new(Kind::Connection, "no answer in time");
    timeout(PATIENCE, look).await.unwrap_or_else(|_| Err(late())).map_err(|why| why.during(&about))
}

/// Connects to the first address of the identifier that accepts.
async fn dial(identifier: &Identifier, port: u16) -> Result<TcpStream, Problem> {
    let mut failures = Vec::new();
    for ip in addresses(identifier)? {
        let address = SocketAddr::new(ip, port);
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(why) => failures.push(format!("{address}: {why}")),
        }
    }
    let detail = format!("could not connect to {}", failures.join(" nor to "));
    Err(Problem::new(Kind::Connection, detail))
}

/// Every name is this machine; an address is itself, if it is this machine.
fn addresses(identifier: &Identifier) -> Result<Vec<IpAddr>, Problem> {
    match identifier {
        Identifier::Dns(_) => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        Identifier::Ip(ip) if ip.is_loopback() => Ok(vec![*ip]),
        Identifier::Ip(ip) => {
            let detail = format!("{ip} is not a loopback address and is not dialled");
            Err(Problem::new(Kind::Connection, detail))
        }
    }
}
