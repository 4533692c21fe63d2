//! One real TLS handshake, whatever the certificate is worth.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use thiserror::Error;

use crate::model::fault::Fault;
use crate::model::name::{Identifier, NameError};

/// Where to connect: `host`, `host:port`, `[v6]:port`; port 443 unless given.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct HostPort {
    host: Identifier,
    port: u16,
}

/// Why a text is no [`HostPort`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum HostPortError {
    #[error("{text:?} has no valid port: give a number from 1 to 65535")]
    Port { text: String },
    #[error("{text:?} is a wildcard; connect to one of the hosts it stands for")]
    Wildcard { text: String },
    #[error(transparent)]
    Host(#[from] NameError),
}

impl HostPort {
    pub(crate) const PORT: u16 = 443;

    pub(crate) fn parse(_text: &str) -> Result<Self, HostPortError> {
        todo!()
    }

    pub(crate) fn host(&self) -> &Identifier {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

/// What was served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// As sent, leaf first, nothing of it judged; the server has proved it holds the leaf's key.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub(crate) protocol: &'static str,
    pub(crate) alpn: Option<String>,
    /// The key exchange group, such as `X25519MLKEM768`.
    pub(crate) group: Option<String>,
    /// From the first packet to the end of the handshake, on the address that answered.
    pub(crate) took: Duration,
    pub(crate) peer: SocketAddr,
}

/// Why nothing was seen.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    #[error("{name} cannot be asked for: a wildcard stands for hosts but is none")]
    ServerName { name: Identifier },
    #[error("{addr} could not be resolved: {why}")]
    Resolve { addr: HostPort, why: String },
    #[error("no TLS handshake with {addr}: {tried}")]
    Unreachable { addr: HostPort, tried: String },
}

impl ProbeError {
    pub(crate) fn fault(&self) -> Fault {
        todo!()
    }
}

/// Shakes hands with `addr` and accepts any certificate whose key the server holds.
///
/// `server_name` is what is asked for (SNI), by default the host of `addr`; an IP address is
/// asked for without SNI (RFC 6066 §3). Every address the host resolves to is tried in turn
/// until one answers, all within `limit`.
pub(crate) async fn handshake(
    _addr: &HostPort,
    _server_name: Option<&Identifier>,
    _limit: Duration,
) -> Result<Served, ProbeError> {
    todo!()
}
