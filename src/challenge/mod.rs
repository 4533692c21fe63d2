//! Floor 4: answering challenges. Knows nothing of CAs, orders or the store.
//!
//! Three ways to answer on this host: [`http01::Standalone`] and [`tls_alpn01::TlsAlpn`] listen
//! themselves, for as long as a challenge is pending and no longer, or at what was [`Handed`] to the
//! process; [`webroot::Webroot`] puts files where a running web server finds them. Each is made once, shared by all orders of the process,
//! and holds many pending challenges at a time.
//!
//! A [`front::Front`] stays: it has the port for an application behind it, and answers for the
//! http-01 of every run of its home.

mod deputy;
pub(crate) mod dns01;
pub(crate) mod dns_persist01;
pub(crate) mod front;
mod handed;
pub(crate) mod http01;
mod listener;
mod port_holder;
#[cfg(test)]
mod sample;
pub(crate) mod tls_alpn01;
mod visitors;
pub(crate) mod webroot;

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use async_trait::async_trait;
use thiserror::Error;

pub(crate) use handed::Handed;
pub(crate) use listener::Listen;
pub(crate) use port_holder::PortHolder;

use dns_persist01::PersistError;
use dns01::DnsError;

use crate::model::challenge::{Challenge, ChallengeKind};
use crate::model::fault::Fault;
use crate::model::name::Identifier;

/// How http-01 is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Http01 {
    /// By a listener of our own; `None` is every address, and the port the CA asks.
    Standalone { address: Option<IpAddr>, port: Option<u16> },
    /// By files below the directory a web server serves.
    Webroot(PathBuf),
}

impl Default for Http01 {
    fn default() -> Self {
        Self::Standalone { address: None, port: None }
    }
}

/// Answers challenges of one kind.
///
/// The caller presents, lets the CA look as often as it likes, and cleans up in any case: after
/// success, after failure, and also when `present` failed or never ran. A solver that is dropped
/// takes back what is still presented.
#[async_trait]
pub(crate) trait Solver: Send + Sync {
    fn kind(&self) -> ChallengeKind;

    /// Tells before anything is asked of a CA whether presenting would work here and now.
    ///
    /// `identifiers` are those it may have to prove.
    async fn precheck(&self, identifiers: &[Identifier]) -> Result<(), SolverError>;

    /// Tries out with a record of our own that what is presented would be seen, where that costs
    /// more than [`Self::precheck`] may: for what was never tried, or did not work the last time.
    async fn rehearse(&self, _identifiers: &[Identifier]) -> Result<(), SolverError> {
        Ok(())
    }

    /// Takes back what a rehearsal wrote that was cut off.
    async fn end_rehearsal(&self) -> Result<(), SolverError> {
        Ok(())
    }

    /// Makes the answer visible; once this returns, it is being served.
    ///
    /// Quick unless another run of this program holds the port, which is waited for; safe to repeat
    /// with the same challenge. Leaves nothing behind when it fails.
    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError>;

    /// Presents several, together where that is quicker.
    async fn present_all(&self, challenges: &[&Challenge]) -> Result<(), SolverError> {
        for challenge in challenges {
            self.present(challenge).await?;
        }
        Ok(())
    }

    /// Takes the answer back. What is not there (any more) is no error.
    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError>;

    /// Takes several back, whatever becomes of each; the error is that of the first that failed.
    async fn clean_up_all(&self, challenges: &[&Challenge]) -> Result<(), SolverError> {
        let mut first = Ok(());
        for challenge in challenges {
            first = first.and(self.clean_up(challenge).await);
        }
        first
    }
}

/// Why a challenge cannot be answered from this host.
#[derive(Debug, Error)]
pub(crate) enum SolverError {
    #[error("{kind} cannot prove control over {identifier}")]
    Unprovable { kind: ChallengeKind, identifier: Identifier },
    #[error("port {} is in use by {holder}; {}", address.port(), holder.advice())]
    PortInUse { address: SocketAddr, holder: PortHolder },
    #[error("not allowed to listen on {address}; grant CAP_NET_BIND_SERVICE or use --webroot DIR")]
    PortForbidden { address: SocketAddr, source: io::Error },
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot listen on the sockets that were handed over")]
    Handed(#[source] io::Error),
    #[error("the `acmeagent serve` that has the port did not take the answer for {identifier}")]
    Deputy { identifier: Identifier, source: io::Error },
    #[error("cannot make the tls-alpn-01 certificate for {identifier}")]
    Certificate { identifier: Identifier, source: Box<dyn StdError + Send + Sync> },
    #[error("a running server did not take the answer for {identifier}")]
    Slot { identifier: Identifier, source: Box<dyn StdError + Send + Sync> },
    #[error("cannot use {} for challenge files", path.display())]
    Webroot { path: PathBuf, source: io::Error },
    #[error("refused to touch {}: {why}", path.display())]
    Unsafe { path: PathBuf, why: &'static str },
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error(transparent)]
    Persist(#[from] PersistError),
}

impl SolverError {
    /// A port may be free next time and a full disk emptied; the rest needs somebody to act.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::PortInUse { .. }
            | Self::Listen { .. }
            | Self::Handed(_)
            | Self::Deputy { .. }
            | Self::Slot { .. }
            | Self::Certificate { .. } => Fault::Passing,
            Self::Dns(error) => error.fault(),
            Self::Persist(error) => error.fault(),
            Self::Webroot { source, .. } if is_lasting(source.kind()) => Fault::Permanent,
            Self::Webroot { .. } => Fault::Passing,
            Self::Unprovable { .. } | Self::PortForbidden { .. } | Self::Unsafe { .. } => {
                Fault::Permanent
            }
        }
    }

    /// The word by which it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns_provider",
            _ => "solver",
        }
    }

    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Dns(error) => error.hint(),
            Self::Persist(error) => error.hint(),
            _ => None,
        }
    }
}

fn is_lasting(kind: ErrorKind) -> bool {
    use ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(kind, NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// Refuses a challenge no answer of this kind can meet, such as a wildcard by http-01.
fn ensure_provable(kind: ChallengeKind, challenge: &Challenge) -> Result<(), SolverError> {
    let identifier = &challenge.identifier;
    if kind == challenge.kind && kind.proves(identifier) {
        return Ok(());
    }
    Err(SolverError::Unprovable { kind, identifier: identifier.clone() })
}
