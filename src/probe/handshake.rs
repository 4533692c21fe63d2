//! One handshake with a host, at the first of its addresses that serves a certificate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::look::{LookError, Sight, to_server_name, visit};
use super::resolve::{ResolveError, resolve};
use super::witness;
use crate::model::endpoint::{Endpoint, Protocol};
use crate::model::name::Identifier;

/// Why nothing was seen.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Name(LookError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no TLS handshake with {at}: {}", listed(tried))]
    NoHandshake { at: Endpoint, tried: Vec<Attempt> },
}

/// An address that did not do.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) peer: SocketAddr,
    pub(crate) why: LookError,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.peer, self.why)
    }
}

fn listed(tried: &[Attempt]) -> String {
    tried.iter().map(Attempt::to_string).collect::<Vec<_>>().join("; ")
}

/// Shakes hands at an endpoint and takes any certificate whose key the server holds.
///
/// `server_name` is what is asked for (SNI), its host unless given; an IP address is asked
/// for without SNI (RFC 6066 §3). The addresses of the host are tried in turn until one serves a
/// certificate, each with its share of the time still left of `limit`.
pub(crate) async fn handshake(
    endpoint: &Endpoint,
    server_name: Option<&Identifier>,
    limit: Duration,
) -> Result<Sight, ProbeError> {
    let (deadline, at) = (Instant::now() + limit, &endpoint.at);
    let name = to_server_name(server_name.unwrap_or(at.host())).map_err(ProbeError::Name)?;
    let peers = resolve(at, deadline).await?;
    let seen = first_of(endpoint.protocol, &peers, &name, deadline).await;
    seen.map_err(|tried| ProbeError::NoHandshake { at: endpoint.clone(), tried })
}

async fn first_of(
    protocol: Protocol,
    peers: &[SocketAddr],
    name: &ServerName<'static>,
    deadline: Instant,
) -> Result<Sight, Vec<Attempt>> {
    let mut tried = Vec::new();
    for (&peer, still) in peers.iter().zip((1..=peers.len()).rev()) {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(still).expect("addresses are few");
        match timeout(share, visit(protocol, peer, name)).await {
            Ok(Ok(sight)) => return Ok(sight),
            Ok(Err(why)) => tried.push(Attempt { peer, why }),
            Err(_) => tried.push(Attempt { peer, why: LookError::Late }),
        }
    }
    Err(tried)
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
    let (config, witness) = witness::client(&[protocol])?;
    let shown = timeout(limit, async {
        let tcp = TcpStream::connect(peer).await?;
        TlsConnector::from(config).connect(name, tcp).await.map(drop)
    });
    let outcome = shown.await.unwrap_or_else(|late| Err(late.into()));
    // The certificate of a challenge is refused for its critical extension, but shown all the same.
    let leaf = witness.seen().chain.into_iter().next();
    leaf.ok_or_else(|| outcome.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into()))
}

#[cfg(test)]
mod tests;
