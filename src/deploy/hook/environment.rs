//! What a hook finds in its environment, and nothing else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::model::name::{CertName, Identifier};

/// The whole environment of a hook: a fixed `PATH` and what is added here.
#[derive(Clone, Debug)]
pub(crate) struct HookEnv {
    variables: BTreeMap<&'static str, OsString>,
}

impl HookEnv {
    /// Begins with the `PATH` in which bare program names are found.
    pub(crate) fn new() -> Self {
        Self { variables: BTreeMap::new() }
    }

    /// Adds `ACMEAGENT_NAME`, `ACMEAGENT_LIVE_DIR` and certbot's `RENEWED_LINEAGE`.
    pub(crate) fn certificate(self, _name: &CertName, _live_dir: &Path) -> Self {
        todo!()
    }

    /// Adds `ACMEAGENT_GENERATION` and `ACMEAGENT_FINGERPRINT` (SHA-256 of the leaf, hex).
    pub(crate) fn generation(self, _number: u32, _fingerprint: &str) -> Self {
        todo!()
    }

    /// Adds certbot's `RENEWED_DOMAINS`.
    pub(crate) fn renewed(self, _identifiers: &[Identifier]) -> Self {
        todo!()
    }

    /// Adds certbot's `FAILED_DOMAINS`.
    pub(crate) fn failed(self, _identifiers: &[Identifier]) -> Self {
        todo!()
    }

    /// Adds `ACMEAGENT_JSON`, the path of a file with everything; the caller writes and removes it.
    pub(crate) fn json(self, _path: &Path) -> Self {
        todo!()
    }
}
