//! TOML with places.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::file::FileError;

/// A place in a settings file; line and column count from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// Why a settings file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("{at}: not valid TOML: {why}")]
    Syntax { at: Place, why: String },
    #[error("{at}: unknown key `{key}`")]
    UnknownKey { at: Place, key: String, hint: Option<String> },
    #[error("{at}: `{key}`: {why}")]
    Value { at: Place, key: String, why: String },
    #[error("{at}: `{key}` is missing")]
    Missing { at: Place, key: String },
    #[error("{path} holds a secret and others may read it", path = path.display())]
    Exposed { path: PathBuf },
    #[error(transparent)]
    File(#[from] FileError),
}

impl ConfigError {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        todo!()
    }

    /// Says whether it is a matter of security rather than of spelling.
    pub(crate) fn is_refusal(&self) -> bool {
        todo!()
    }
}
