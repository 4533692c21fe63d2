//! Secrets from where the settings of this machine keep them, in the environment of this process.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use zeroize::Zeroizing;

use crate::config::secret::{Secret, SecretError, SecretPlaces, SecretSource};

/// Fetches a secret.
pub(super) async fn reveal(source: &SecretSource) -> Result<Secret, SecretError> {
    source.reveal(places(credentials().as_deref())).await
}

/// Fetches a secret of several words.
pub(super) async fn reveal_text(source: &SecretSource) -> Result<Zeroizing<String>, SecretError> {
    source.reveal_text(places(credentials().as_deref())).await
}

fn credentials() -> Option<OsString> {
    std::env::var_os("CREDENTIALS_DIRECTORY")
}

fn places(credentials: Option<&OsStr>) -> SecretPlaces<'_> {
    SecretPlaces { credentials: credentials.map(Path::new), variable: &variable }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
