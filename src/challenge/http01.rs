//! http-01 by a web server of our own (RFC 8555 §8.3, RFC 8738 §4).

use async_trait::async_trait;

use super::{Listen, Solver, SolverError};
use crate::model::challenge::{Challenge, ChallengeKind};

/// Serves key authorizations over HTTP while any is pending.
pub(crate) struct Standalone {}

impl Standalone {
    /// Opens nothing yet. Port 0 lets the kernel choose at each opening.
    pub(crate) fn new(listen: Listen, port: u16) -> Self {
        todo!("{listen:?} {port}")
    }

    /// The port it listens on now; `None` while nothing is pending.
    pub(crate) fn port(&self) -> Option<u16> {
        todo!()
    }
}

#[async_trait]
impl Solver for Standalone {
    fn kind(&self) -> ChallengeKind {
        ChallengeKind::Http01
    }

    async fn precheck(&self) -> Result<(), SolverError> {
        todo!()
    }

    async fn present(&self, _challenge: &Challenge) -> Result<(), SolverError> {
        todo!()
    }

    async fn clean_up(&self, _challenge: &Challenge) -> Result<(), SolverError> {
        todo!()
    }
}
