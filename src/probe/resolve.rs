//! From hosts to addresses.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use crate::model::host_port::HostPort;
use crate::model::name::Identifier;

/// Why a host has no address.
#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error("cannot resolve {host}")]
    Resolve { host: Identifier, source: io::Error },
    #[error("cannot resolve {host}: no address")]
    NoAddress { host: Identifier },
}

/// The addresses of a host, of either family, without repetition and never very many.
pub(super) async fn resolve(
    at: &HostPort,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ResolveError> {
    const MOST: usize = 16;
    let host = match at.host() {
        Identifier::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, at.port())]),
        Identifier::Dns(name) => name.as_str(),
    };
    let unresolved = |source| ResolveError::Resolve { host: at.host().clone(), source };
    let found = timeout_at(deadline, lookup_host((host, at.port()))).await;
    let found = found.map_err(|late| unresolved(late.into()))?.map_err(unresolved)?;
    let mut peers: Vec<SocketAddr> = Vec::new();
    for peer in found {
        if peers.len() < MOST && !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    if peers.is_empty() {
        return Err(ResolveError::NoAddress { host: at.host().clone() });
    }
    Ok(peers)
}
