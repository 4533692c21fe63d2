//! Floor 4: answering challenges. Knows nothing of CAs, orders or the store.
//!
//! Three ways to answer on this host: [`http01::Standalone`] and [`tls_alpn01::TlsAlpn`] listen
//! themselves, for as long as a challenge is pending and no longer; [`webroot::Webroot`] puts files
//! where a running web server finds them. Each is made once, shared by all orders of the process,
//! and holds many pending challenges at a time.

pub(crate) mod http01;
mod listener;
mod port_holder;
pub(crate) mod tls_alpn01;
pub(crate) mod webroot;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use thiserror::Error;

pub(crate) use listener::Listen;
pub(crate) use port_holder::PortHolder;

use crate::model::challenge::{Challenge, ChallengeKind};
use crate::model::fault::Fault;
use crate::model::name::Identifier;

/// Answers challenges of one kind.
///
/// The caller presents, lets the CA look as often as it likes, and cleans up in any case: after
/// success, after failure, and also when `present` failed or never ran. A solver that is dropped
/// takes back what is still presented.
#[async_trait]
pub(crate) trait Solver: Send + Sync {
    fn kind(&self) -> ChallengeKind;

    /// Tells before anything is asked of a CA whether presenting would work here and now.
    async fn precheck(&self) -> Result<(), SolverError>;

    /// Makes the answer visible; once this returns, it is being served.
    ///
    /// Quick, and safe to repeat with the same challenge. Leaves nothing behind when it fails.
    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError>;

    /// Takes the answer back. What is not there (any more) is no error.
    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError>;
}

/// Why a challenge cannot be answered from this host.
#[derive(Debug, Error)]
pub(crate) enum SolverError {
    #[error("{kind} cannot prove control over {identifier}")]
    Unprovable { kind: ChallengeKind, identifier: Identifier },
    #[error("port {} is in use by {holder}", address.port())]
    PortInUse { address: SocketAddr, holder: PortHolder },
    #[error("not allowed to listen on {address}")]
    PortForbidden { address: SocketAddr, source: io::Error },
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot make the tls-alpn-01 certificate for {identifier}")]
    Certificate { identifier: Identifier, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("cannot use {} for challenge files", path.display())]
    Webroot { path: PathBuf, source: io::Error },
    #[error("refused to touch {}: {why}", path.display())]
    Unsafe { path: PathBuf, why: &'static str },
}

impl SolverError {
    pub(crate) fn fault(&self) -> Fault {
        todo!()
    }

    /// The one thing an operator can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        todo!()
    }
}
