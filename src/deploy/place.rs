//! The one place of this room that writes: whole files, put where others were.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use thiserror::Error;
use zeroize::Zeroizing;

use super::TargetError;

/// Who may read a file. It is created for us alone and widened on the descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Access {
    /// We, unless given.
    pub(super) owner: Option<u32>,
    /// What the directory gives, unless given.
    pub(super) group: Option<u32>,
    pub(super) mode: u32,
}

/// A file to be put into a directory.
#[derive(Clone, Copy)]
pub(super) struct NewFile<'a> {
    pub(super) name: &'a OsStr,
    pub(super) bytes: &'a [u8],
    pub(super) access: Access,
}

/// Why nothing can be put, or was not put, in a place.
#[derive(Debug, Error)]
pub(super) enum PlaceError {
    #[error("{} {what}", path.display())]
    Refused { path: PathBuf, what: String, hint: String },
    #[error("cannot {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
}

impl PlaceError {
    /// The error as one of a target.
    pub(super) fn of(self, target: &str) -> TargetError {
        let target = target.to_owned();
        match self {
            Self::Refused { path, what, hint } => TargetError::Refused {
                target,
                what: format!("{} {what}", path.display()),
                output: String::new(),
                hint: Some(hint),
            },
            Self::Io { act, path, source } => {
                TargetError::Io { target, what: format!("{act} {}", path.display()), source }
            }
        }
    }
}

/// A directory into which files may be put: only root, we, and the owner of the files can change
/// what is in it or on the way to it.
pub(super) struct Place {
    dir: OwnedFd,
    shown: PathBuf,
}

impl Place {
    /// Larger than any file with a certificate and a key.
    const LARGEST: u64 = 1 << 20;

    /// Opens a directory for files of `owner`, or for ours.
    ///
    /// # Errors
    /// It is missing, or somebody else could bend the way to it.
    pub(super) fn open(dir: &Path, owner: Option<u32>) -> Result<Self, PlaceError> {
        let fail = |source| PlaceError::Io { act: "open directory", path: dir.to_owned(), source };
        let real = match std::fs::canonicalize(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PlaceError::Refused {
                    path: dir.to_owned(),
                    what: "does not exist".to_owned(),
                    hint: format!("install -d -m 0755 {}", quoted(dir)),
                });
            }
            other => other.map_err(fail)?,
        };
        for step in real.ancestors() {
            judge(step, step == real, owner)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&real, flags, Mode::empty());
        let dir = opened.map_err(|errno| fail(errno.into()))?;
        Ok(Self { dir, shown: real })
    }

    /// Who may read a file that is there; `None` if there is none.
    pub(super) fn access_of(&self, name: &OsStr) -> Result<Option<Access>, PlaceError> {
        let found = self.look(name)?;
        Ok(found.map(|facts| Access {
            owner: Some(facts.st_uid),
            group: Some(facts.st_gid),
            mode: facts.st_mode & 0o7777,
        }))
    }

    /// The bytes of a file that is there; `None` if there is none, or it is no file of ours.
    pub(super) fn read(&self, name: &OsStr) -> Result<Option<Zeroizing<Vec<u8>>>, PlaceError> {
        Ok(self.open_old(name)?.map(|(_, bytes)| bytes))
    }

    /// Finds out whether [`Self::put`] could do its work. Changes nothing.
    pub(super) fn check(&self, files: &[NewFile<'_>]) -> Result<(), PlaceError> {
        rustix::fs::accessat(&self.dir, ".", rustix::fs::Access::WRITE_OK, AtFlags::EACCESS)
            .map_err(|errno| self.fail("write in", OsStr::new(""), errno))?;
        files.iter().try_for_each(|file| self.look(file.name).map(drop))?;
        let facts = rustix::fs::fstatvfs(&self.dir)
            .map_err(|errno| self.fail("look at", OsStr::new(""), errno))?;
        // Old and new lie side by side for a moment, each in blocks of its own.
        let needed = files.iter().map(|file| file.bytes.len() as u64 + facts.f_frsize).sum::<u64>();
        if facts.f_bavail.saturating_mul(facts.f_frsize) < needed {
            return Err(self.fail("reserve room in", OsStr::new(""), Errno::NOSPC));
        }
        Ok(())
    }

    /// Puts files in the place of others, one switch right after the other in the order given, and
    /// says whether anything had to be changed.
    ///
    /// Readers see the old or the new file, whole; before the first is switched all of them are
    /// complete and synced, so that no lack of room leaves a half of them. What is there already,
    /// byte for byte and with the same owner and mode, is left alone. What was written is read back.
    ///
    /// # Errors
    /// Nothing was switched, unless the disk itself fails between two switches. A symbolic link or
    /// a directory is never replaced or followed.
    pub(super) fn put(&self, files: &[NewFile<'_>]) -> Result<bool, PlaceError> {
        let mut changed = Vec::new();
        for file in files {
            // Perhaps a run was killed here; nobody else makes this name.
            self.unlink(&temporary(file.name))?;
            if !self.holds(file)? {
                changed.push(file);
            }
        }
        let written = changed.iter().map(|file| self.write(file));
        let written = written.collect::<Result<Vec<_>, _>>()?;
        for (temporary, file) in written.iter().zip(&changed) {
            rustix::fs::renameat(&self.dir, &temporary.name, &self.dir, file.name)
                .map_err(|errno| self.fail("replace", file.name, errno))?;
        }
        if changed.is_empty() {
            return Ok(false);
        }
        match rustix::fs::fsync(&self.dir) {
            // Some network file systems have no sync for directories; they write names at once.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(self.fail("sync", OsStr::new(""), errno)),
        }
        for file in changed {
            if !self.holds(file)? {
                let source = io::Error::other("it does not hold what was written");
                return Err(PlaceError::Io { act: "verify", path: self.path(file.name), source });
            }
        }
        Ok(true)
    }

    /// Whether a file is there just as it shall be.
    fn holds(&self, file: &NewFile<'_>) -> Result<bool, PlaceError> {
        self.look(file.name)?;
        let Some((facts, bytes)) = self.open_old(file.name)? else { return Ok(false) };
        let access = file.access;
        let ours = rustix::process::geteuid().as_raw();
        Ok(*bytes == *file.bytes
            && facts.uid() == access.owner.unwrap_or(ours)
            && access.group.is_none_or(|group| facts.gid() == group)
            && facts.mode() & 0o7777 == access.mode)
    }

    /// What there is; refuses all but a file.
    fn look(&self, name: &OsStr) -> Result<Option<rustix::fs::Stat>, PlaceError> {
        let facts = match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(|errno| self.fail("look at", name, errno))?,
        };
        let path = self.path(name);
        let (what, hint) = match FileType::from_raw_mode(facts.st_mode) {
            FileType::RegularFile => return Ok(Some(facts)),
            FileType::Symlink => (
                "is a symbolic link, which is not followed",
                format!("name the file it leads to, or rm {}", quoted(&path)),
            ),
            FileType::Directory => (
                "is a directory, not a file",
                format!("give another path, or rmdir {}", quoted(&path)),
            ),
            _ => ("is not a file", format!("ls -l {}", quoted(&path))),
        };
        Err(PlaceError::Refused { path, what: what.to_owned(), hint })
    }

    fn open_old(&self, name: &OsStr) -> Result<Option<Old>, PlaceError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => File::from(other.map_err(|errno| self.fail("read", name, errno))?),
        };
        let read = || {
            let facts = file.metadata()?;
            // One byte more than expected, so that a private key is never moved by growing.
            let size = facts.len().min(Self::LARGEST) as usize;
            let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
            (&file).take(Self::LARGEST).read_to_end(&mut bytes)?;
            Ok((facts, bytes))
        };
        read().map(Some).map_err(|error: io::Error| self.fail("read", name, error))
    }

    /// Writes a file beside the place it is meant for.
    fn write(&self, file: &NewFile<'_>) -> Result<Temporary<'_>, PlaceError> {
        let fail = |error: io::Error| self.fail("write", file.name, error);
        let name = temporary(file.name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let created = rustix::fs::openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR);
        let mut created = File::from(created.map_err(|errno| fail(errno.into()))?);
        let temporary = Temporary { place: self, name };
        let mut write = || {
            created.write_all(file.bytes)?;
            let Access { owner, group, mode } = file.access;
            if owner.is_some() || group.is_some() {
                let (owner, group) = (owner.map(Uid::from_raw), group.map(Gid::from_raw));
                rustix::fs::fchown(&created, owner, group)?;
            }
            rustix::fs::fchmod(&created, Mode::from_raw_mode(mode))?;
            created.sync_all()?;
            // So that what is read back comes from the disk; where that cannot be had, so be it.
            let _ = rustix::fs::fadvise(&created, 0, None, rustix::fs::Advice::DontNeed);
            Ok(())
        };
        write().map_err(fail)?;
        Ok(temporary)
    }

    fn unlink(&self, name: &OsStr) -> Result<(), PlaceError> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.fail("remove", name, errno)),
        }
    }

    fn path(&self, name: &OsStr) -> PathBuf {
        if name.is_empty() { self.shown.clone() } else { self.shown.join(name) }
    }

    fn fail(&self, act: &'static str, name: &OsStr, error: impl Into<io::Error>) -> PlaceError {
        PlaceError::Io { act, path: self.path(name), source: error.into() }
    }
}

/// What there was: its facts and its bytes.
type Old = (std::fs::Metadata, Zeroizing<Vec<u8>>);

/// A file not yet switched; removed when dropped. Once switched there is nothing of that name.
struct Temporary<'a> {
    place: &'a Place,
    name: OsString,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is by the next run.
        let _ = self.place.unlink(&self.name);
    }
}

/// The name a file has until it is complete, the same in every run; it fits the 255 bytes of a file
/// name for the longest [`CertName`](crate::model::name::CertName) and an ending.
fn temporary(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".acmeagent");
    temporary
}

/// Refuses a directory that others than root, us and `owner` could bend; above the last one a
/// sticky one such as `/tmp` will do.
fn judge(dir: &Path, last: bool, owner: Option<u32>) -> Result<(), PlaceError> {
    let facts = std::fs::symlink_metadata(dir).map_err(|source| PlaceError::Io {
        act: "look at",
        path: dir.to_owned(),
        source,
    })?;
    let refuse = |what, command: String| {
        let hint = format!("{command} {}", quoted(dir));
        Err(PlaceError::Refused { path: dir.to_owned(), what, hint })
    };
    let ours = rustix::process::geteuid().as_raw();
    if ![0, ours].contains(&facts.uid()) && owner != Some(facts.uid()) {
        let what = format!("belongs to user {}, who could exchange what is in it", facts.uid());
        return refuse(what, format!("chown {}", owner.unwrap_or(ours)));
    }
    let mode = facts.mode() & 0o7777;
    let shared_but_sticky = !last && mode & 0o1000 != 0;
    if !facts.is_dir() {
        return refuse("is not a directory".to_owned(), "ls -l".to_owned());
    }
    if mode & 0o022 != 0 && !shared_but_sticky {
        let what = format!("can be changed by others than its owner (mode {mode:04o})");
        return refuse(what, "chmod go-w".to_owned());
    }
    Ok(())
}

/// A path as a word for the operator's shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().into_owned();
    shlex::try_quote(&text).map_or(text.clone(), |word| word.into_owned())
}

#[cfg(test)]
mod tests;
