//! The programs of a hook directory.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Hook;

/// Why a hook directory is not run.
#[derive(Debug, Error)]
pub(crate) enum DirectoryError {
    #[error("cannot read hook directory {path}", path = path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} belongs to user {owner}, who is neither root nor this one", path = path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("{path} has mode {mode:04o}: others may write it", path = path.display())]
    Mode { path: PathBuf, mode: u32 },
}

impl DirectoryError {
    /// The command that mends it.
    pub(crate) fn hint(&self) -> Option<String> {
        todo!()
    }
}

/// Lists the programs of `hooks/{pre,deploy,post}` in byte order; none if there is no directory.
///
/// A program is an executable regular file whose name does not end in `~`. One that somebody
/// other than root or this user could have put there makes the whole directory an error.
pub(crate) fn directory(_dir: &Path) -> Result<Vec<Hook>, DirectoryError> {
    todo!()
}
