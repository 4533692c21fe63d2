//! The disk as a few orthogonal acts: the only place that writes files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

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

impl std::fmt::Display for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// Who may read a finished file. Files are created for us alone and widened on the descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Access {
    pub(crate) owner: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) mode: u32,
}

impl Default for Access {
    fn default() -> Self {
        Self { owner: None, group: None, mode: 0o400 }
    }
}

/// A held kernel lock; let go when dropped.
#[derive(Debug)]
pub(crate) struct LockFile(File);

/// The acts. Every change of the disk is one of these, so that a test can stop after any of them.
pub(crate) trait Disk: std::fmt::Debug + Send + Sync {
    fn todo(&self, path: &Path);
}

/// The disk of this machine.
#[derive(Debug)]
pub(crate) struct Real;

impl Disk for Real {
    fn todo(&self, _: &Path) {}
}
