//! What holds for the whole machine: `acmeagent.toml`.

use std::path::Path;

use url::Url;

use super::cert::CertSettings;
use super::choice::{AbsolutePath, CaName, Eab};
use super::reader::ConfigError;
use crate::model::name::Identifier;

/// The machine's settings: defaults for new certificates, and CAs beyond the built-in ones.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct MachineSettings {
    defaults: CertSettings,
    cas: Vec<CaTable>,
}

/// One `[[ca]]`: a private CA, or a built-in one with other particulars.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CaTable {
    pub(crate) name: CaName,
    pub(crate) directory: Url,
    /// The PEM file with the root of the CA's own TLS.
    pub(crate) root: Option<AbsolutePath>,
    pub(crate) eab: Option<Eab>,
}

impl MachineSettings {
    /// Reads the file's text; `path` is only for the messages.
    pub(crate) fn parse(_path: &Path, _text: &str) -> Result<Self, ConfigError> {
        todo!()
    }

    /// Reads the file at `path`; the built-in defaults if there is none.
    pub(crate) fn load(_path: &Path) -> Result<Self, ConfigError> {
        todo!()
    }

    /// Makes the settings of a certificate that has none yet, from the defaults.
    pub(crate) fn new_certificate(&self, _identifiers: Vec<Identifier>) -> CertSettings {
        todo!()
    }

    /// Finds the `[[ca]]` of that name; the built-in table comes after it.
    pub(crate) fn ca(&self, name: &CaName) -> Option<&CaTable> {
        self.cas.iter().find(|ca| ca.name == *name)
    }
}
