//! What was tried, where, and what kind of failure it was.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

/// A failed act: what was tried, and where.
#[derive(Debug, Error)]
#[error("cannot {act} {}", path.display())]
pub(crate) struct DiskError {
    pub(crate) act: Act,
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) source: io::Error,
}

impl DiskError {
    pub(crate) fn new(act: Act, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { act, path: path.to_owned(), source: source.into() }
    }

    fn errno(&self) -> Option<Errno> {
        Errno::from_io_error(&self.source)
    }

    /// No blocks, no inodes, or no quota left.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOSPC | Errno::DQUOT))
    }

    /// The file system fails, or takes no writes any more.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.errno(), Some(Errno::IO | Errno::ROFS))
    }

    pub(crate) fn already_exists(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }

    /// We may not write here.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.errno(), Some(Errno::ROFS | Errno::ACCESS | Errno::PERM))
    }

    /// What lies there is no file of ours: a symbolic link, a directory, a device, too large.
    pub(crate) fn is_misshapen(&self) -> bool {
        matches!(self.errno(), None | Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO))
    }

    /// The file system cannot do this at all; another way has to be found.
    pub(crate) fn is_impossible(&self) -> bool {
        let always = matches!(self.errno(), Some(Errno::NOSYS | Errno::OPNOTSUPP));
        let here = match self.act {
            Act::Link => {
                matches!(self.errno(), Some(Errno::XDEV | Errno::PERM | Errno::MLINK))
            }
            Act::Exchange => matches!(self.errno(), Some(Errno::INVAL)),
            _ => false,
        };
        always || here
    }
}

/// What can be done to a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    Exchange,
    Link,
    List,
    Lock,
    Look,
    MakeDirectory,
    Read,
    Remove,
    Rename,
    Reserve,
    Sync,
    Write,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exchange => "exchange",
            Self::Link => "link",
            Self::List => "list",
            Self::Lock => "lock",
            Self::Look => "look at",
            Self::MakeDirectory => "make directory",
            Self::Read => "read",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Reserve => "reserve room in",
            Self::Sync => "sync",
            Self::Write => "write",
        })
    }
}

pub(crate) type DiskResult<T> = Result<T, DiskError>;
