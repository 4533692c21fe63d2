//! Where the CA listens: the same port as last time, so that its URLs stay good between processes.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

use super::CaError;
use super::keep::Keep;

/// Holds the port taken when any free one would do.
const PORT: &str = "port";

/// Binds `wanted`; with port 0 the port of the last time, or a free one when that is taken.
pub(super) async fn bind(keep: &Keep, wanted: SocketAddr) -> Result<TcpListener, CaError> {
    if !wanted.ip().is_loopback() {
        return Err(CaError::NotLoopback(wanted));
    }
    let failed = |source: io::Error| CaError::Listen { address: wanted, source };
    if wanted.port() != 0 {
        return TcpListener::bind(wanted).await.map_err(failed);
    }
    let last = keep.read(PORT)?.and_then(|text| text.trim().parse::<u16>().ok());
    if let Some(port) = last
        && let Ok(listener) = TcpListener::bind(SocketAddr::new(wanted.ip(), port)).await
    {
        return Ok(listener);
    }
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    if last.is_none() {
        let port = listener.local_addr().map_err(failed)?.port();
        keep.write(&keep.lock()?, PORT, &format!("{port}\n"))?;
    }
    Ok(listener)
}

/// The addresses the server's certificate is for: the one it listens on and the usual two.
pub(super) fn server_addresses(listening: SocketAddr) -> Vec<std::net::IpAddr> {
    let mut addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    if !addresses.contains(&listening.ip()) {
        addresses.push(listening.ip());
    }
    addresses
}
