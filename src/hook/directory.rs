//! The programs of a hook directory.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Hook, HookError};

/// Why a hook directory is not run.
#[derive(Debug, Error)]
pub(crate) enum DirectoryError {
    #[error("cannot read {path} for hooks", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} belongs to user {owner}, who is neither root nor this one", path = path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("{path} has mode {mode:04o}: others may change it", path = path.display())]
    Mode { path: PathBuf, mode: u32 },
}

impl DirectoryError {
    /// The command that mends it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::Owner { path, .. } => Some(format!("chown root {}", path.display())),
            Self::Mode { path, .. } => Some(format!("chmod go-w {}", path.display())),
        }
    }
}

/// Lists the programs of `hooks/{pre,deploy,post}` in byte order; none if there is no directory.
///
/// A program is an executable regular file, perhaps behind a symlink, whose name does not end in
/// `~`. One that somebody other than root or this user could have put there makes the whole
/// directory an error; so does a directory on the way to it.
pub(crate) fn directory(dir: &Path) -> Result<Vec<Hook>, DirectoryError> {
    let unreadable = |source| DirectoryError::Read { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let dir = fs::canonicalize(dir).map_err(unreadable)?;
    check_parents(&dir.join("."))?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    names.retain(|name| !name.as_bytes().ends_with(b"~"));
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let mut hooks = Vec::new();
    for name in names {
        let path = dir.join(name);
        if is_program(&path)? {
            hooks.push(Hook::at(&path));
        }
    }
    Ok(hooks)
}

/// Refuses a file that somebody other than root or this user could have put there.
pub(crate) fn ensure_ours(path: &Path) -> Result<(), HookError> {
    let check = || {
        let unreadable = |source| DirectoryError::Read { path: path.to_owned(), source };
        let real = fs::canonicalize(path).map_err(unreadable)?;
        check_parents(&real)?;
        check(&real, &fs::metadata(&real).map_err(unreadable)?)
    };
    check().map_err(|error: DirectoryError| HookError::Unsafe {
        program: path.to_string_lossy().escape_debug().to_string(),
        why: Box::new(error),
    })
}

/// Whether `path` is to be run; an error if it is but is not safe.
fn is_program(path: &Path) -> Result<bool, DirectoryError> {
    let unreadable = |source| DirectoryError::Read { path: path.to_owned(), source };
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        // A dangling symlink is no program, and an editor's lock is one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unreadable(error)),
    };
    let facts = fs::metadata(&real).map_err(unreadable)?;
    if !facts.is_file() || facts.mode() & 0o111 == 0 {
        return Ok(false);
    }
    check_parents(&real)?;
    check(&real, &facts)?;
    Ok(true)
}

/// Checks every directory above `path`, which is canonical.
fn check_parents(path: &Path) -> Result<(), DirectoryError> {
    for parent in path.ancestors().skip(1) {
        let facts = fs::metadata(parent)
            .map_err(|source| DirectoryError::Read { path: parent.to_owned(), source })?;
        check(parent, &facts)?;
    }
    Ok(())
}

/// Refuses what somebody else may change. In a sticky directory they may not touch what is ours.
fn check(path: &Path, facts: &Metadata) -> Result<(), DirectoryError> {
    let (path, owner, mode) = (path.to_owned(), facts.uid(), facts.mode() & 0o7777);
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return Err(DirectoryError::Owner { path, owner });
    }
    let sticky = facts.is_dir() && mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !sticky {
        return Err(DirectoryError::Mode { path, mode });
    }
    Ok(())
}
