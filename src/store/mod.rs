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

pub(crate) mod alerts;
pub(crate) mod archive;
#[cfg(test)]
mod crashing;
pub(crate) mod disk;
pub(crate) mod fitness;
mod handout;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod ledger;
pub(crate) mod live;
mod loan;
pub(crate) mod lock;
mod permissions;
mod records;
pub(crate) mod recover;
pub(crate) mod runs;
mod sealed;
pub(crate) mod snapshot;
mod tally;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::fault::Fault;
use crate::model::generation::SnapshotId;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use disk::{Disk, DiskError, DiskResult};
use layout::{HookKind, Label, Layout};
use lock::{AccountLock, Lock};
pub(crate) use permissions::Owner;
use sealed::Broken;

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("cannot write the export")]
    Export(#[source] io::Error),
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
    #[error("there is no certificate to take a snapshot of")]
    NothingToKeep,
    /// `mend` is the command that removes the cause.
    #[error("{} {what}", path.display())]
    Refused { path: PathBuf, what: String, mend: String },
}

impl StoreError {
    /// The word by which it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Full { .. } => "store_full",
            Self::Disk(error) if error.is_full() => "store_full",
            Self::Locked { .. } => "locked",
            _ => "store",
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Disk(_) | Self::Export(_) | Self::Full { .. } | Self::Locked { .. } => {
                Fault::Passing
            }
            Self::Damaged { .. }
            | Self::NewerSchema { .. }
            | Self::NoSnapshot(_)
            | Self::NothingToKeep
            | Self::NotInSnapshot { .. }
            | Self::Refused { .. } => Fault::Permanent,
        }
    }
}

/// Everything the agent keeps, and the settings beside it.
#[derive(Debug)]
pub(crate) struct Store {
    layout: Layout,
    disk: Arc<dyn Disk>,
    queue: index::Queue,
    ledger: ledger::Ledger,
}

impl Store {
    /// Looks at a store where it lies: checks nothing and makes nothing, so it costs nothing.
    ///
    /// For commands that only read, and for [`Store::due_from_index`].
    pub(crate) fn at(layout: Layout, disk: Arc<dyn Disk>) -> Self {
        let (queue, ledger) = (index::Queue::default(), ledger::Ledger::default());
        Self { layout, disk, queue, ledger }
    }

    /// Opens a store for work: makes what is missing, checks who may write on the way to it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a directory others could bend, with the command that mends it;
    /// [`StoreError::Disk`] for a read-only file system, before a CA is asked for anything.
    pub(crate) fn open(layout: Layout, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let store = Self::at(layout, disk);
        let layout = &store.layout;
        store.make_way(layout.store_root())?;
        let private = [
            layout.accounts_dir(),
            layout.archive_dir(),
            layout.locks_dir(),
            layout.snapshots_dir(),
            layout.state_dir(),
        ];
        for dir in private {
            store.make_checked(&dir, 0o700)?;
        }
        store.make_checked(&layout.live_dir(), 0o755)?;
        store.open_config()?;
        Ok(store)
    }

    /// Does for the settings what can be done: a service may well be forbidden to write them.
    fn open_config(&self) -> Result<(), StoreError> {
        let hooks = HookKind::ALL.map(|kind| self.layout.hooks(kind));
        let own = [self.layout.certificates_dir(), self.layout.hooks_dir()];
        match self.make_way(self.layout.config_root()) {
            Err(StoreError::Disk(error)) if error.is_denied() => {}
            made => made?,
        }
        for dir in own.into_iter().chain(hooks) {
            match self.make_checked(&dir, 0o755) {
                Err(StoreError::Disk(error)) if error.is_denied() => {}
                made => made?,
            }
        }
        Ok(())
    }

    /// Makes a root and the missing directories above it, after a look at who could bend the way.
    fn make_way(&self, root: &Path) -> Result<(), StoreError> {
        match root.parent().filter(|above| !above.as_os_str().is_empty()) {
            Some(above) if self.disk.look(above)?.is_none() => self.make_way(above)?,
            Some(above) => permissions::check_way_above(above)?,
            None => {}
        }
        self.make_checked(root, 0o711)
    }

    fn make_checked(&self, dir: &Path, mode: u32) -> Result<(), StoreError> {
        if self.disk.look(dir)?.is_none() {
            match self.disk.make_dir(dir, mode) {
                // Another run was as quick.
                Err(error) if error.already_exists() => {}
                made => made?,
            }
            if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
                self.disk.sync_dir(above)?;
            }
        }
        permissions::check_way(dir)?;
        Ok(self.disk.check_writable(dir)?)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Every certificate there is anything of: settings, archive, live or state.
    pub(crate) fn names(&self) -> Result<BTreeSet<CertName>, StoreError> {
        let places = [
            (self.layout.certificates_dir(), ".toml"),
            (self.layout.state_dir(), ".json"),
            (self.layout.archive_dir(), ""),
            (self.layout.live_dir(), ""),
        ];
        let mut names = BTreeSet::new();
        for (dir, suffix) in places {
            let entries = self.disk.list(&dir)?;
            let stems = entries.iter().filter_map(|entry| entry.to_str()?.strip_suffix(suffix));
            names.extend(stems.filter_map(|stem| CertName::parse(stem).ok()));
        }
        Ok(names)
    }

    /// Writes the settings of a certificate, atomically; for us alone, as they may hold secrets.
    pub(crate) fn write_settings(&self, lock: &Lock, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.layout.settings(lock.name());
        self.change_settings(|| Ok(self.disk.replace(&path, bytes)?))
    }

    fn forget_settings(&self, name: &CertName) -> Result<(), StoreError> {
        let path = self.layout.settings(name);
        self.change_settings(|| {
            self.disk.remove_file(&path)?;
            Ok(self.disk.sync_dir(&self.layout.certificates_dir())?)
        })
    }

    /// Reads an account: opaque bytes, with its key.
    pub(crate) fn read_account(
        &self,
        ca: &Label,
        id: &Label,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.read_secret(&self.layout.account(ca, id))
    }

    /// Writes an account, atomically and synced.
    pub(crate) fn save_account(
        &self,
        lock: &AccountLock,
        id: &Label,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let dir = self.layout.accounts(lock.ca());
        self.make_checked(&dir, 0o700)?;
        let saved = self.disk.replace(&self.layout.account(lock.ca(), id), bytes);
        saved.map_err(|error| self.explain(error, &dir, bytes.len()))
    }

    /// Makes an account file ours alone by writing it anew; fine where there is none.
    pub(crate) fn mend_account(&self, lock: &AccountLock, id: &Label) -> Result<(), StoreError> {
        let path = self.layout.account(lock.ca(), id);
        match self.disk.read(&path, disk::LARGEST)?.map(Zeroizing::new) {
            Some(bytes) => self.save_account(lock, id, &bytes),
            None => Ok(()),
        }
    }

    /// Gives an account file a second name, so that another may take its place; the name.
    pub(crate) fn keep_account(
        &self,
        lock: &AccountLock,
        id: &Label,
        at: Timestamp,
    ) -> Result<PathBuf, StoreError> {
        let path = self.layout.account(lock.ca(), id);
        let kept = layout::former(&path, at);
        self.disk.link_or_copy(&path, &kept)?;
        self.disk.sync_dir(&self.layout.accounts(lock.ca()))?;
        Ok(kept)
    }

    pub(crate) fn remove_account(&self, lock: &AccountLock, id: &Label) -> Result<(), StoreError> {
        self.disk.remove_file(&self.layout.account(lock.ca(), id))?;
        Ok(self.disk.sync_dir(&self.layout.accounts(lock.ca()))?)
    }

    fn read_secret(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(facts) = self.disk.look(path)? else { return Ok(None) };
        permissions::check_private(path, &facts, 0o600, None)?;
        Ok(self.disk.read(path, disk::LARGEST)?.map(Zeroizing::new))
    }

    /// Reads a document of ours; a missing one counts as damaged.
    fn read_sealed<T: DeserializeOwned>(&self, path: &Path) -> Result<T, StoreError> {
        let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
        let bytes = match self.disk.read(path, disk::LARGEST) {
            Err(error) if error.is_misshapen() => return Err(damaged(error.source.to_string())),
            read => read?.ok_or_else(|| damaged("it is missing".to_owned()))?,
        };
        sealed::open(&bytes).map_err(|broken| match broken {
            Broken::Damaged(what) => damaged(what),
            Broken::Newer(found) => {
                StoreError::NewerSchema { path: path.to_owned(), found, known: sealed::SCHEMA }
            }
        })
    }

    /// Keeps what is in the way under the first free name beside it; `keep` moves or links it there.
    fn keep_aside(
        &self,
        path: &Path,
        keep: impl Fn(&Path) -> DiskResult<()>,
    ) -> Result<PathBuf, StoreError> {
        let mut number = 1_u32;
        loop {
            let aside = layout::aside(path, number);
            match keep(&aside) {
                Err(error) if error.already_exists() => number += 1,
                kept => return Ok(kept.map(|()| aside)?),
            }
        }
    }

    /// Says of a full disk how much is wanted where, and how much there is.
    fn explain(&self, error: DiskError, dir: &Path, need: usize) -> StoreError {
        match self.disk.room(dir) {
            Ok(room) if error.is_full() => StoreError::Full {
                dir: dir.to_owned(),
                need: format!("{} KiB", need.div_ceil(1024)),
                have: match room.inodes {
                    Some(inodes) => format!("{} KiB and {inodes} inodes", room.bytes >> 10),
                    None => format!("{} KiB", room.bytes >> 10),
                },
            },
            _ => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
