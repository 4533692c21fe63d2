//! http-01 through the files of a running web server (RFC 8555 §8.3).

use std::path::PathBuf;

use async_trait::async_trait;

use super::{Solver, SolverError};
use crate::model::challenge::{Challenge, ChallengeKind};

/// Puts key authorizations beneath the root of a web server, and nothing outside it.
pub(crate) struct Webroot {}

impl Webroot {
    /// Takes hold of the directory; it must exist.
    pub(crate) fn new(root: PathBuf) -> Result<Self, SolverError> {
        todo!("{}", root.display())
    }
}

#[async_trait]
impl Solver for Webroot {
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
