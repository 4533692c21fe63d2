//! Secrets: where they may come from, and a type that does not tell.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use thiserror::Error;
use zeroize::Zeroizing;

use super::choice::AbsolutePath;
use super::file::FileError;
use crate::deploy::hook::command::Command;

/// A secret text: zeroed when dropped, printed as `***`.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Hands the text out; the caller keeps it out of logs, arguments and files.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is kept, from the best place to the worst.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SecretSource {
    /// A systemd credential, by its name.
    Credential(String),
    /// A file of root or of the running user that nobody else may read.
    File(AbsolutePath),
    /// A program that prints it.
    Command(Command),
    /// An environment variable.
    Environment(String),
    /// Written out in the settings, which then nobody else may read.
    Literal(Secret),
}

/// What a [`SecretSource`] is looked up in.
#[derive(Clone, Copy)]
pub(crate) struct SecretPlaces<'a> {
    /// `$CREDENTIALS_DIRECTORY`.
    pub(crate) credentials: Option<&'a Path>,
    /// Reads the agent's own environment.
    pub(crate) variable: &'a (dyn Fn(&str) -> Option<OsString> + Sync),
}

/// Why a secret could not be had; never holds a part of it.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    #[error("there is no systemd credential {name:?}: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials { name: String },
    #[error("environment variable {name} is not set")]
    NoVariable { name: String },
    #[error("the secret in {place} is empty")]
    Empty { place: String },
    #[error("the secret in {place} is not plain text of one line")]
    NotText { place: String },
    #[error("cannot run {program} for a secret")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{program} should have printed a secret but {why}")]
    Program { program: String, why: String },
    #[error(transparent)]
    File(#[from] FileError),
}

impl SecretSource {
    /// Fetches the secret.
    pub(crate) async fn reveal(&self, _places: SecretPlaces<'_>) -> Result<Secret, SecretError> {
        todo!()
    }
}
