//! One look at one cell: a real TLS handshake, whatever the certificate is worth.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rustls::AlertDescription;
use rustls::pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::cells::Cell;
use super::starttls::{self, StartError};
use super::witness;
use crate::certificate::Fingerprint;
use crate::model::endpoint::Protocol;
use crate::model::name::Identifier;

/// What was served.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// As sent, leaf first, none of it judged; the server has proved it holds the leaf's key.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) fingerprint: Fingerprint,
    /// `TLSv1.2` or `TLSv1.3`.
    pub(crate) protocol: &'static str,
    /// What the server chose of HTTP's protocols, where it chose.
    pub(crate) alpn: Option<String>,
    /// The group of the key exchange, such as `X25519MLKEM768`; unknown where the server broke
    /// the handshake off after it had proved its key.
    pub(crate) group: Option<String>,
    /// The OCSP response stapled to the leaf, as sent.
    pub(crate) ocsp: Option<Vec<u8>>,
    /// From the first packet to the end of the handshake, with the address that answered.
    pub(crate) took: Duration,
    pub(crate) peer: SocketAddr,
}

/// Why a look saw no certificate. The text is fit for a terminal.
#[derive(Debug, Error)]
pub(crate) enum LookError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("no TLS: {}", .0.to_string().escape_debug())]
    Tls(io::Error),
    #[error("timed out")]
    Late,
    #[error("nobody can be asked for {name}: it is a wildcard")]
    Wildcard { name: Identifier },
}

/// Looks at a cell for at most `limit`.
///
/// A server that breaks off only after it has proved its key, for want of a client certificate for
/// instance, has been seen all the same.
pub(crate) async fn look(cell: &Cell, limit: Duration) -> Result<Sight, LookError> {
    let name = to_server_name(&cell.name)?;
    let seen = timeout(limit, visit(cell.protocol, cell.peer, &name)).await;
    seen.unwrap_or(Err(LookError::Late))
}

/// Looks at every cell, at most `parallel` of them at once; answers in the order of the cells.
pub(crate) async fn look_all(
    cells: &[Cell],
    limit: Duration,
    parallel: usize,
) -> Vec<Result<Sight, LookError>> {
    // Each owns its cell: what borrows it here could not be sent to another thread.
    let looks = cells.iter().cloned().map(|cell| async move { look(&cell, limit).await });
    stream::iter(looks.collect::<Vec<_>>()).buffered(parallel.max(1)).collect().await
}

/// The name as TLS has it; an IP address is asked for without SNI (RFC 6066 §3).
pub(super) fn to_server_name(name: &Identifier) -> Result<ServerName<'static>, LookError> {
    match name {
        Identifier::Ip(ip) => Ok(ServerName::from(*ip)),
        Identifier::Dns(dns) => ServerName::try_from(dns.as_str().to_owned())
            .map_err(|_| LookError::Wildcard { name: name.clone() }),
    }
}

/// Asks one address, offering HTTP's protocols, and without them if the server insists on others.
pub(super) async fn visit(
    protocol: Protocol,
    peer: SocketAddr,
    name: &ServerName<'static>,
) -> Result<Sight, LookError> {
    // Mail and databases are not asked whether they speak HTTP.
    let offered: &[&[u8]] =
        if protocol == Protocol::Tls { &[b"h2", b"http/1.1"] } else { Default::default() };
    match shake_hands(protocol, peer, name, offered).await {
        Err(LookError::Tls(error)) if insists_on_another(&error) => {
            shake_hands(protocol, peer, name, &[]).await
        }
        seen => seen,
    }
}

async fn shake_hands(
    protocol: Protocol,
    peer: SocketAddr,
    name: &ServerName<'static>,
    alpn: &[&[u8]],
) -> Result<Sight, LookError> {
    let (config, witness) = witness::client(alpn).map_err(LookError::Tls)?;
    let begun = Instant::now();
    let mut tcp = TcpStream::connect(peer).await.map_err(LookError::Connect)?;
    let local = tcp.local_addr().map_err(LookError::Connect)?;
    starttls::start(protocol, &mut tcp, local).await?;
    let outcome = TlsConnector::from(config).connect(name.clone(), tcp).await;
    let took = begun.elapsed();
    let seen = witness.seen();
    let (Some(protocol), Some(leaf)) = (seen.proved_in, seen.chain.first()) else {
        let error = outcome.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into());
        return Err(LookError::Tls(error));
    };
    let fingerprint = Fingerprint::of(leaf);
    let ocsp = Some(seen.ocsp).filter(|staple| !staple.is_empty());
    let (chain, alpn, group) = (seen.chain, None, None);
    let sight = Sight { chain, fingerprint, protocol, alpn, group, ocsp, took, peer };
    Ok(match outcome {
        Ok(stream) => with_terms(sight, &stream),
        Err(_) => sight,
    })
}

/// Adds what was agreed upon to what was served.
fn with_terms(sight: Sight, stream: &TlsStream<TcpStream>) -> Sight {
    let (_, session) = stream.get_ref();
    let alpn = session.alpn_protocol().map(|name| name.escape_ascii().to_string());
    let group = session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    Sight { alpn, group, ..sight }
}

fn insists_on_another(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    let alert = AlertDescription::NoApplicationProtocol;
    matches!(source, Some(rustls::Error::AlertReceived(received)) if *received == alert)
}

#[cfg(test)]
mod tests;
