//! tls-alpn-01 by a TLS server of our own (RFC 8737, RFC 8738 §6).

use async_trait::async_trait;

use super::{Listen, Solver, SolverError};
use crate::model::challenge::{Challenge, ChallengeKind};

/// Answers `acme-tls/1` handshakes while a challenge is pending, and no other handshake.
pub(crate) struct TlsAlpn {}

impl TlsAlpn {
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
impl Solver for TlsAlpn {
    fn kind(&self) -> ChallengeKind {
        ChallengeKind::TlsAlpn01
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
