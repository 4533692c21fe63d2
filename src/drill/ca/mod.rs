//! The embedded CA: a real ACME server on loopback HTTPS, inside this process.
//!
//! It obeys RFC 8555 (with EAB, key rollover, revocation), RFC 8737 and RFC 8738 (challenges for names
//! and addresses), RFC 9773 (renewal information) and the profiles of Let's Encrypt. It validates
//! over real sockets but only ever dials loopback addresses, and nobody trusts its roots.

mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::fault::Fault;
pub(crate) use settings::Settings;

/// Why the embedded CA could not be started.
#[derive(Debug, Error)]
pub(crate) enum CaError {
    #[error("the embedded CA may listen on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("the embedded CA cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use {path:?} for the embedded CA")]
    Keep {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path:?} of the embedded CA is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error("the embedded CA cannot make a certificate of its own")]
    Sign(#[from] rcgen::Error),
    #[error("the embedded CA cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

impl CaError {
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Listen { .. } | Self::Keep { .. } => Fault::Passing,
            Self::NotLoopback(_) | Self::Damaged { .. } | Self::Sign(_) | Self::Tls(_) => {
                Fault::Permanent
            }
        }
    }
}

/// An embedded CA at work. Dropping it stops it at once.
pub(crate) struct Running {
    /// URL of the ACME directory.
    pub(crate) directory: String,
    /// URL below which the management answers.
    pub(crate) management: String,
    /// PEM file: the root to trust when talking to the CA.
    pub(crate) tls_root: PathBuf,
    /// PEM file: the root its certificates chain to.
    pub(crate) issuing_root: PathBuf,
}

impl Running {
    /// Stops listening and ends open connections and validations.
    pub(crate) async fn shutdown(self) {
        todo!()
    }
}

/// Starts the CA; it answers as soon as this returns.
///
/// Must be called within a tokio runtime.
pub(crate) async fn start(_settings: Settings) -> Result<Running, CaError> {
    todo!()
}
