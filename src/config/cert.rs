//! What is wanted of one certificate.

use std::path::Path;

use thiserror::Error;

use super::choice::{
    AbsolutePath, CaChoice, Eab, Email, Hooks, Http01, KeyKind, Permissions, Profile,
};
use super::reader::ConfigError;
use crate::model::challenge::ChallengeKind;
use crate::model::name::Identifier;

/// The settings of one certificate: `certificates/<name>.toml`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CertSettings {
    pub(crate) identifiers: Vec<Identifier>,
    /// In the order in which they are tried.
    pub(crate) cas: Vec<CaChoice>,
    /// The PEM file with the root of the CA's own TLS, where the system's roots do not do.
    pub(crate) ca_root: Option<AbsolutePath>,
    pub(crate) email: Option<Email>,
    pub(crate) eab: Option<Eab>,
    pub(crate) profile: Option<Profile>,
    /// Common name of the root (or top intermediate) whose chain is chosen.
    pub(crate) preferred_chain: Option<String>,
    pub(crate) key_type: KeyKind,
    pub(crate) reuse_key: bool,
    /// In the order in which they are tried.
    pub(crate) challenges: Vec<ChallengeKind>,
    pub(crate) http01: Http01,
    pub(crate) tls_alpn01_port: Option<u16>,
    pub(crate) hooks: Hooks,
    pub(crate) permissions: Permissions,
}

impl Default for CertSettings {
    fn default() -> Self {
        Self {
            identifiers: Vec::new(),
            cas: vec![CaChoice::default()],
            ca_root: None,
            email: None,
            eab: None,
            profile: None,
            preferred_chain: None,
            key_type: KeyKind::default(),
            reuse_key: false,
            challenges: vec![ChallengeKind::Http01],
            http01: Http01::default(),
            tls_alpn01_port: None,
            hooks: Hooks::default(),
            permissions: Permissions::default(),
        }
    }
}

/// Settings that are each well-formed but cannot hold together.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Contradiction {
    #[error("no identifier is given")]
    NoIdentifier,
    #[error("{0} is listed twice")]
    Twice(Identifier),
    #[error("{wildcard} covers {covered} already; CAs refuse an order with both")]
    Redundant { wildcard: Identifier, covered: Identifier },
    #[error("{identifier} cannot be proved by {tried}")]
    Unprovable { identifier: Identifier, tried: String },
}

impl CertSettings {
    /// Reads a settings file; `path` is only for the messages.
    pub(crate) fn parse(_path: &Path, _text: &str) -> Result<Self, ConfigError> {
        todo!()
    }

    /// Reads the file at `path`, with its text for [`Self::write_over`]; `None` if there is none.
    ///
    /// Refuses a file that others may write, and one that holds a literal secret and that others
    /// may read.
    pub(crate) fn load(_path: &Path) -> Result<Option<(Self, String)>, ConfigError> {
        todo!()
    }

    /// Writes these settings over the text of a file, changing only the keys that differ: the
    /// operator's comments, order and spelling stay. `None` begins a new file.
    ///
    /// Fails as [`Self::parse`] does if `existing` is no valid settings file.
    pub(crate) fn write_over(
        &self,
        _path: &Path,
        _existing: Option<&str>,
    ) -> Result<String, ConfigError> {
        todo!()
    }

    /// Says whether the file must not be readable by others (mode 0600).
    pub(crate) fn holds_secret(&self) -> bool {
        todo!()
    }

    /// Checks what no single key can know; file and command line both end here.
    pub(crate) fn check(&self) -> Result<(), Contradiction> {
        todo!()
    }
}
