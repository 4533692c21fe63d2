//! This machine as the checks read it: small files below one root.

#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use crate::deploy::files::{list, text};

/// Where the files of the system lie: below `/`, or below a folder that stands for it in a test.
pub(super) struct Host {
    root: PathBuf,
    /// The home of whoever runs us.
    pub(super) home: Option<PathBuf>,
}

impl Host {
    pub(super) fn here() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        Self { root: "/".into(), home }
    }

    #[cfg(test)]
    pub(super) fn below(root: &Path) -> Self {
        Self { root: root.to_owned(), home: Some(root.join("root")) }
    }

    /// Where an absolute path of the system lies.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The text of a file of the system.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        text(&self.at(path))
    }

    /// The entries of a directory of the system, sorted.
    pub(super) fn list(&self, path: &str) -> Vec<PathBuf> {
        list(&self.at(path))
    }
}
