//! This machine as the checks read it: small files below one root.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any configuration file has, and little enough to be read.
const LARGEST: u64 = 1 << 20;
/// More entries than this of one directory are not looked at.
const MOST_ENTRIES: usize = 4096;

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

/// The bytes of a regular file of bounded size; `None` for anything else.
pub(super) fn bytes(path: &Path) -> Option<Vec<u8>> {
    // A pipe in the place of a file would hang whoever opens it.
    let facts = path.metadata().ok().filter(|facts| facts.is_file() && facts.len() <= LARGEST)?;
    // One byte more than expected, so that a private key is never moved by growing.
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).ok()? + 1);
    File::open(path).ok()?.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST).then_some(bytes)
}

/// [`bytes`] as text; what is no UTF-8 is replaced.
pub(super) fn text(path: &Path) -> Option<String> {
    bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The entries of a directory, sorted; none where there is no directory.
pub(super) fn list(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let mut found: Vec<_> =
        entries.take(MOST_ENTRIES).filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort_unstable();
    found
}
