//! One real TLS handshake, whatever the certificate is worth.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig};
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::host_port::HostPort;
use super::witness::Witness;
use crate::model::name::Identifier;

/// What was served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// As sent, leaf first, none of it judged; the server has proved it holds the leaf's key.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub(crate) protocol: &'static str,
    /// What the server chose of HTTP's protocols, where it chose.
    pub(crate) alpn: Option<String>,
    /// The group of the key exchange, such as `X25519MLKEM768`; unknown where the server broke
    /// the handshake off after it had proved its key.
    pub(crate) group: Option<String>,
    /// From the first packet to the end of the handshake, with the address that answered.
    pub(crate) took: Duration,
    pub(crate) peer: SocketAddr,
}

/// Why nothing was seen.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    #[error("nobody can be asked for {name}: it is a wildcard")]
    ServerName { name: Identifier },
    #[error("cannot resolve {host}")]
    Resolve { host: Identifier, source: io::Error },
    #[error("cannot resolve {host}: no address")]
    NoAddress { host: Identifier },
    #[error("no TLS handshake with {at}: {}", listed(tried))]
    NoHandshake { at: HostPort, tried: Vec<Attempt> },
}

/// An address that did not do.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) peer: SocketAddr,
    pub(crate) why: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.peer, self.why.to_string().escape_debug())
    }
}

fn listed(tried: &[Attempt]) -> String {
    tried.iter().map(Attempt::to_string).collect::<Vec<_>>().join("; ")
}

/// Shakes hands with `at` and takes any certificate whose key the server holds.
///
/// `server_name` is what is asked for (SNI), the host of `at` unless given; an IP address is asked
/// for without SNI (RFC 6066 §3). The addresses of the host are tried in turn until one serves a
/// certificate, each with its share of the time still left of `limit`.
pub(crate) async fn handshake(
    at: &HostPort,
    server_name: Option<&Identifier>,
    limit: Duration,
) -> Result<Served, ProbeError> {
    let deadline = Instant::now() + limit;
    let name = to_server_name(server_name.unwrap_or(at.host()))?;
    let peers = resolve(at, deadline).await?;
    let seen = first_of(&peers, &name, deadline).await;
    seen.map_err(|tried| ProbeError::NoHandshake { at: at.clone(), tried })
}

async fn first_of(
    peers: &[SocketAddr],
    name: &ServerName<'static>,
    deadline: Instant,
) -> Result<Served, Vec<Attempt>> {
    let mut tried = Vec::new();
    for (&peer, still) in peers.iter().zip((1..=peers.len()).rev()) {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(still).expect("addresses are few");
        match timeout(share, visit(peer, name)).await {
            Ok(Ok(served)) => return Ok(served),
            Ok(Err(why)) => tried.push(Attempt { peer, why }),
            Err(late) => tried.push(Attempt { peer, why: late.into() }),
        }
    }
    Err(tried)
}

fn to_server_name(name: &Identifier) -> Result<ServerName<'static>, ProbeError> {
    match name {
        Identifier::Ip(ip) => Ok(ServerName::from(*ip)),
        Identifier::Dns(dns) => ServerName::try_from(dns.as_str().to_owned())
            .map_err(|_| ProbeError::ServerName { name: name.clone() }),
    }
}

/// The addresses of a host, without repetition and never very many.
async fn resolve(at: &HostPort, deadline: Instant) -> Result<Vec<SocketAddr>, ProbeError> {
    const MOST: usize = 16;
    let host = match at.host() {
        Identifier::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, at.port())]),
        Identifier::Dns(name) => name.as_str(),
    };
    let unresolved = |source| ProbeError::Resolve { host: at.host().clone(), source };
    let found = timeout_at(deadline, lookup_host((host, at.port()))).await;
    let found = found.map_err(|late| unresolved(late.into()))?.map_err(unresolved)?;
    let mut peers: Vec<SocketAddr> = Vec::new();
    for peer in found {
        if peers.len() < MOST && !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    if peers.is_empty() {
        return Err(ProbeError::NoAddress { host: at.host().clone() });
    }
    Ok(peers)
}

/// Asks one address, offering HTTP's protocols, and without them if the server insists on others.
async fn visit(peer: SocketAddr, name: &ServerName<'static>) -> io::Result<Served> {
    match shake_hands(peer, name, &[b"h2", b"http/1.1"]).await {
        Err(error) if is_alert(&error, AlertDescription::NoApplicationProtocol) => {
            shake_hands(peer, name, &[]).await
        }
        served => served,
    }
}

async fn shake_hands(
    peer: SocketAddr,
    name: &ServerName<'static>,
    alpn: &[&[u8]],
) -> io::Result<Served> {
    let (config, witness) = client(alpn)?;
    let begun = Instant::now();
    let tcp = TcpStream::connect(peer).await?;
    let outcome = TlsConnector::from(config).connect(name.clone(), tcp).await;
    let took = begun.elapsed();
    let seen = witness.seen();
    let Some(protocol) = seen.proved_in else {
        return Err(outcome.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into()));
    };
    let served = Served { chain: seen.chain, protocol, alpn: None, group: None, took, peer };
    Ok(match outcome {
        Ok(stream) => with_terms(served, &stream),
        Err(_) => served,
    })
}

/// Adds what was agreed upon to what was served.
fn with_terms(served: Served, stream: &TlsStream<TcpStream>) -> Served {
    let (_, session) = stream.get_ref();
    let alpn = session.alpn_protocol().map(|name| name.escape_ascii().to_string());
    let group = session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    Served { alpn, group, ..served }
}

/// The leaf that this address shows to whoever speaks only `protocol`, none of it judged: not even
/// whether the server holds its key.
pub(crate) async fn leaf_for(
    peer: SocketAddr,
    server_name: &str,
    protocol: &[u8],
    limit: Duration,
) -> io::Result<CertificateDer<'static>> {
    let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
    let (config, witness) = client(&[protocol])?;
    let shown = timeout(limit, async {
        let tcp = TcpStream::connect(peer).await?;
        TlsConnector::from(config).connect(name, tcp).await.map(drop)
    });
    let outcome = shown.await.unwrap_or_else(|late| Err(late.into()));
    // The certificate of a challenge is refused for its critical extension, but shown all the same.
    let leaf = witness.seen().chain.into_iter().next();
    leaf.ok_or_else(|| outcome.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into()))
}

/// Makes a client that remembers nothing of an earlier handshake, and its witness.
fn client(alpn: &[&[u8]]) -> io::Result<(Arc<ClientConfig>, Arc<Witness>)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let witness = Arc::new(Witness::new(&provider));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok((Arc::new(config), witness))
}

fn is_alert(error: &io::Error, alert: AlertDescription) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    matches!(source, Some(rustls::Error::AlertReceived(received)) if *received == alert)
}

#[cfg(test)]
mod tests;
