//! The CA's directory on disk: small files written whole, and one log that only grows.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::CaError;

/// A directory only its owner can read.
#[derive(Clone)]
pub(super) struct Keep {
    dir: PathBuf,
}

/// Held while nobody else, in this process or another, may change the directory.
pub(super) struct Locked {
    /// The kernel lets go of the lock when this is closed, also when the process dies.
    _file: File,
}

impl Keep {
    const LOCK: &str = "lock";
    const PRIVATE: u32 = 0o600;

    /// Makes the directory (0700) when it is missing.
    pub(super) fn open(dir: &Path) -> Result<Self, CaError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| CaError::Keep { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Waits until nobody else holds the directory.
    ///
    /// Opens the file anew each time: locks of one open file do not exclude each other.
    pub(super) fn lock(&self) -> Result<Locked, CaError> {
        let file = self.open_growing(Self::LOCK)?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|source| self.error(Self::LOCK, source.into()))?;
        Ok(Locked { _file: file })
    }

    /// The content of a file; none when it is missing.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, CaError> {
        match fs::read_to_string(self.path(name)) {
            Ok(text) => Ok(Some(text)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(self.error(name, why)),
        }
    }

    /// Writes a file (0600) so that a reader sees either the old content or all of the new.
    ///
    /// Asks for [`Locked`] because two writers would share the draft.
    pub(super) fn write(&self, _: &Locked, name: &str, text: &str) -> Result<(), CaError> {
        let draft = self.path(&format!("{name}.draft"));
        replace(&draft, &self.path(name), text).map_err(|source| self.error(name, source))
    }

    /// Opens a file for reading and appending, made (0600) when missing.
    #[allow(clippy::disallowed_methods, reason = "appending to the CA's own log, beside the store")]
    pub(super) fn open_growing(&self, name: &str) -> Result<File, CaError> {
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(Self::PRIVATE)
            .open(self.path(name))
            .map_err(|source| self.error(name, source))
    }

    fn error(&self, name: &str, source: io::Error) -> CaError {
        CaError::Keep { path: self.path(name), source }
    }
}

#[allow(clippy::disallowed_methods, reason = "the CA's own small files, beside the store")]
fn replace(draft: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(Keep::PRIVATE).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)
}

/// A log of lines that several processes append to and follow.
pub(super) struct Log {
    file: File,
    /// Everything before this byte has been read; it is always the beginning of a line.
    read_to: u64,
}

impl Log {
    pub(super) fn new(file: File) -> Self {
        Self { file, read_to: 0 }
    }

    /// The whole lines added since the last call, by whomever.
    ///
    /// A line still being written has no end yet and is left for the next call.
    pub(super) fn news(&mut self) -> io::Result<String> {
        let length = self.file.metadata()?.len();
        if length <= self.read_to {
            return Ok(String::new());
        }
        let size = usize::try_from(length - self.read_to).map_err(io::Error::other)?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, self.read_to)?;
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.read_to += bytes.len() as u64;
        String::from_utf8(bytes).map_err(io::Error::other)
    }

    /// Adds whole lines. What a writer that died left of a line is cut off first.
    pub(super) fn append(&mut self, _: &Locked, lines: &str) -> io::Result<()> {
        if self.file.metadata()?.len() > self.read_to {
            self.file.set_len(self.read_to)?;
        }
        self.file.write_all(lines.as_bytes())
    }
}
