//! Where the configurations of servers name the files of certificates.

use std::path::{Path, PathBuf};

/// What a directive takes from the file it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Chain,
    Key,
    /// Chain and key in one file.
    Bundle,
}

/// A place in a configuration that names a file of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mention {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    /// The directive, as in `ssl_certificate`.
    pub(crate) word: &'static str,
    pub(crate) part: Part,
    pub(crate) path: PathBuf,
    /// The names the server answers to there, as far as they are written beside it.
    pub(crate) names: Vec<String>,
}

/// Joins a path of a configuration to the directory it is relative to.
pub(super) fn resolve(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().collect()
}
