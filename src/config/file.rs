//! Small files read with care: bounded, regular, and in the right hands.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

/// Why a file was not read.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} does not exist", path = path.display())]
    Missing { path: PathBuf },
    #[error("{path} is not a regular file", path = path.display())]
    NotRegular { path: PathBuf },
    #[error("{path} is larger than {limit} bytes", path = path.display())]
    TooLarge { path: PathBuf, limit: usize },
    #[error("{path} is not UTF-8 text", path = path.display())]
    NotText { path: PathBuf },
    #[error("{path} belongs to user {owner}, who is neither root nor this one", path = path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("{path} has mode {mode:04o}: others may {can} it", path = path.display())]
    Mode { path: PathBuf, mode: u32, can: &'static str },
}

impl FileError {
    /// The command that mends it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Owner { path, .. } => Some(format!("chown root {}", path.display())),
            Self::Mode { path, can: Trust::WRITE, .. } => {
                Some(format!("chmod go-w {}", path.display()))
            }
            Self::Mode { path, .. } => Some(format!("chmod 600 {}", path.display())),
            _ => None,
        }
    }

    /// Says whether it is a matter of who may write or read the file.
    pub(crate) fn is_unsafe(&self) -> bool {
        matches!(self, Self::Owner { .. } | Self::Mode { .. })
    }
}

/// What must hold for a file's owner and mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// Only root and this user may write it: it names programs to run.
    Settings,
    /// Only root and this user may do anything with it.
    Secret,
    /// Whoever made the path has seen to it, as systemd for its credentials.
    Path,
}

impl Trust {
    const WRITE: &'static str = "write";
    const READ: &'static str = "read";

    fn check(self, path: &Path, owner: u32, mode: u32) -> Result<(), FileError> {
        let path = || path.to_owned();
        if self == Self::Path {
            return Ok(());
        }
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(FileError::Owner { path: path(), owner });
        }
        if mode & 0o022 != 0 {
            return Err(FileError::Mode { path: path(), mode, can: Self::WRITE });
        }
        if self == Self::Secret && mode & 0o077 != 0 {
            return Err(FileError::Mode { path: path(), mode, can: Self::READ });
        }
        Ok(())
    }
}

/// A text and the permission bits of the file it was read from.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) mode: u32,
}

impl Text {
    /// Refuses a file with a secret in it that others may read.
    pub(super) fn refuse_readers(&self, path: &Path) -> Result<(), FileError> {
        match self.mode {
            mode if mode & 0o077 == 0 => Ok(()),
            mode => Err(FileError::Mode { path: path.to_owned(), mode, can: Trust::READ }),
        }
    }
}

/// Reads a file of at most `limit` bytes; `None` if there is none.
///
/// What is checked is what is read, by descriptor. The text never moves while it is read, so that
/// a secret leaves no copies behind.
pub(super) fn read(path: &Path, limit: usize, trust: Trust) -> Result<Option<Text>, FileError> {
    let failed = |error: io::Error| FileError::Read { path: path.to_owned(), source: error };
    // Not blocking, as opening a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    };
    let facts = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
    if !FileType::from_raw_mode(facts.st_mode).is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    let mode = facts.st_mode & 0o7777;
    trust.check(path, facts.st_uid, mode)?;
    let too_large = || FileError::TooLarge { path: path.to_owned(), limit };
    let size = usize::try_from(facts.st_size).ok().filter(|size| *size <= limit);
    let size = size.ok_or_else(too_large)?;
    let mut bytes = Vec::with_capacity(size + 32);
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::from(file).take(bound).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    let text =
        String::from_utf8(bytes).map_err(|_| FileError::NotText { path: path.to_owned() })?;
    Ok(Some(Text { text, mode }))
}

/// Reads a settings file; `None` if there is none.
pub(super) fn read_settings(path: &Path) -> Result<Option<Text>, FileError> {
    const LIMIT: usize = 1024 * 1024;
    read(path, LIMIT, Trust::Settings)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make the files that are read")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with_mode(path: &Path, text: &[u8], mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn modes_decide() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let table = [
            (0o600, true, true),
            (0o400, true, true),
            (0o640, true, false),
            (0o644, true, false),
            (0o604, true, false),
            (0o620, false, false),
            (0o602, false, false),
            (0o666, false, false),
        ];
        for (mode, settings, secret) in table {
            let _ = fs::remove_file(&path);
            with_mode(&path, b"text", mode);
            for (trust, fits) in [(Trust::Settings, settings), (Trust::Secret, secret)] {
                match read(&path, 9, trust) {
                    Ok(read) => assert!(fits && read.unwrap().mode == mode, "{mode:o} {trust:?}"),
                    Err(error) => {
                        assert!(!fits && error.is_unsafe(), "{mode:o} {trust:?} {error}");
                        assert!(error.hint().unwrap().starts_with("chmod "));
                    }
                }
            }
            assert_eq!(read(&path, 9, Trust::Path).unwrap().unwrap().text, "text");
        }
        let stranger = Trust::Settings.check(&path, 4_000_000, 0o600);
        assert!(matches!(stranger, Err(FileError::Owner { owner: 4_000_000, .. })));
    }

    #[test]
    fn only_small_regular_text_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(read(&path, 4, Trust::Settings).unwrap().is_none());
        with_mode(&path, b"1234", 0o600);
        assert_eq!(read(&path, 4, Trust::Settings).unwrap().unwrap().text, "1234");
        assert!(matches!(read(&path, 3, Trust::Settings), Err(FileError::TooLarge { .. })));
        with_mode(&path, b"\xff", 0o600);
        assert!(matches!(read(&path, 4, Trust::Settings), Err(FileError::NotText { .. })));
        let error = read(dir.path(), 4, Trust::Path).err().unwrap();
        assert!(matches!(error, FileError::NotRegular { .. }));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = read(&pipe, 4, Trust::Settings).err().unwrap();
        assert!(matches!(error, FileError::NotRegular { .. }));
    }
}
