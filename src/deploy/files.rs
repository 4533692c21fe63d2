//! Small files of this machine, read without trust in what they are.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any configuration file has, and little enough to be read.
const LARGEST: u64 = 1 << 20;
/// More entries than this of one directory are not looked at.
const MOST_ENTRIES: usize = 4096;

/// The bytes of a regular file of bounded size; `None` for anything else.
pub(crate) fn bytes(path: &Path) -> Option<Vec<u8>> {
    // A pipe in the place of a file would hang whoever opens it.
    let facts = path.metadata().ok().filter(|facts| facts.is_file() && facts.len() <= LARGEST)?;
    // One byte more than expected, so that a private key is never moved by growing.
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).ok()? + 1);
    File::open(path).ok()?.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST).then_some(bytes)
}

/// [`bytes`] as text; what is no UTF-8 is replaced.
pub(crate) fn text(path: &Path) -> Option<String> {
    bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The entries of a directory, sorted; none where there is no directory.
pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let mut found: Vec<_> =
        entries.take(MOST_ENTRIES).filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort_unstable();
    found
}

/// A path without links, as far as there is something at it.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_as_far_as_there_is_something() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&root, root.join("link")).unwrap();
        assert_eq!(resolved(&root.join("link/link")), root);
        assert_eq!(resolved(&root.join("link/gone/x.pem")), root.join("gone/x.pem"));
        assert_eq!(resolved(Path::new("/no/such/../thing")), Path::new("/no/such/../thing"));
        assert_eq!(resolved(Path::new("relative-and-gone")), Path::new("relative-and-gone"));
    }
}
