//! Floor 4: the disk and nothing else.
//!
//! A generation is written once, completely, and synced before it gets its number; what is in
//! service is a directory of hard links to one generation, exchanged as a whole; every fact that
//! must outlive the process is synced before what depends on it. Referents are written before
//! references, and references removed before referents. So a crash at any instant leaves the old
//! or the new certificate, whole, and [`Store::recover`] finds out which.
//!
//! Everything here blocks: async callers go through `spawn_blocking`. Calls that change a
//! certificate take its [`lock::Lock`] as proof. The process is expected to run under umask 077.

pub(crate) mod archive;
pub(crate) mod disk;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod live;
pub(crate) mod lock;
mod permissions;
pub(crate) mod recover;
mod sealed;
pub(crate) mod snapshot;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::fault::Fault;
use crate::model::generation::SnapshotId;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use disk::{Disk, DiskError};
use layout::{Label, Layout};
use lock::{AccountLock, Lock};

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("store full: need {need} in {}, have {have}", dir.display())]
    Full { dir: PathBuf, need: String, have: String },
    #[error("{what} is held by {holder}")]
    Locked { what: String, holder: lock::Holder },
    #[error("{} was written by a newer version (schema {found}, this one knows {known})", path.display())]
    NewerSchema { path: PathBuf, found: u64, known: u64 },
    #[error("there is no snapshot {0}")]
    NoSnapshot(SnapshotId),
    #[error("snapshot {id} holds nothing of {name} that was in service")]
    NotInSnapshot { id: SnapshotId, name: CertName },
    /// `mend` is the command that removes the cause.
    #[error("{} {what}", path.display())]
    Refused { path: PathBuf, what: String, mend: String },
}

impl StoreError {
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Disk(_) | Self::Full { .. } | Self::Locked { .. } => Fault::Passing,
            Self::Damaged { .. }
            | Self::NewerSchema { .. }
            | Self::NoSnapshot(_)
            | Self::NotInSnapshot { .. }
            | Self::Refused { .. } => Fault::Permanent,
        }
    }

    /// Whether no certificate can be issued or deployed because the disk does not take it.
    pub(crate) fn is_disk(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Disk(_) | Self::Full { .. })
    }
}

/// Everything the agent keeps, and the settings beside it.
#[derive(Debug)]
pub(crate) struct Store {
    layout: Layout,
    disk: Arc<dyn Disk>,
}

impl Store {
    /// Looks at a store where it lies: checks nothing and makes nothing, so it costs nothing.
    ///
    /// For commands that only read, and for [`Store::due_from_index`].
    pub(crate) fn at(layout: Layout, disk: Arc<dyn Disk>) -> Self {
        Self { layout, disk }
    }

    /// Opens a store for work: makes what is missing, checks who may write on the way to it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a directory others could bend, with the command that mends it;
    /// [`StoreError::Disk`] for a read-only file system, before a CA is asked for anything.
    pub(crate) fn open(layout: Layout, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        todo!("{layout:?} {disk:?}")
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Every certificate there is anything of: settings, archive, live or state.
    pub(crate) fn names(&self) -> Result<BTreeSet<CertName>, StoreError> {
        todo!()
    }

    /// Writes a settings file under `certificates/` or the main one: atomically, for us alone.
    pub(crate) fn write_settings(&self, lock: &Lock, bytes: &[u8]) -> Result<(), StoreError> {
        todo!("{lock:?} {}", bytes.len())
    }

    /// Reads an account: opaque bytes, with its key.
    pub(crate) fn read_account(
        &self,
        ca: &Label,
        id: &Label,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        todo!("{ca} {id}")
    }

    /// Writes an account, atomically and synced.
    pub(crate) fn save_account(
        &self,
        lock: &AccountLock,
        id: &Label,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        todo!("{lock:?} {id} {}", bytes.len())
    }

    pub(crate) fn remove_account(&self, lock: &AccountLock, id: &Label) -> Result<(), StoreError> {
        todo!("{lock:?} {id}")
    }

    /// The accounts held at a CA.
    pub(crate) fn accounts(&self, ca: &Label) -> Result<Vec<Label>, StoreError> {
        todo!("{ca}")
    }
}
