//! Who was told of what, so that nobody is told twice.
//!
//! Worth no more than a message: what cannot be read counts as nothing told.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk::{Access, LockFile, NewFile};
use super::layout::Label;
use super::{Store, StoreError, permissions, sealed};

/// More than what is remembered of all receivers takes.
const LARGEST: u64 = 16 << 20;

/// Proof that this run alone judges and tells. Dropping it unlocks.
#[derive(Debug)]
pub(crate) struct AlertsLock {
    _file: LockFile,
}

impl Store {
    /// Takes the telling of alerts, waiting at most `patience`. Blocks the thread.
    pub(crate) fn lock_alerts(&self, patience: Duration) -> Result<AlertsLock, StoreError> {
        let what = || "the telling of alerts".to_owned();
        let file = self.wait_for(&self.layout.alerts_lock(), patience, what)?;
        Ok(AlertsLock { _file: file })
    }

    /// What was told, as it was saved; nothing where nothing can be read.
    pub(crate) fn alerts<T: DeserializeOwned + Default>(&self) -> T {
        let bytes = self.disk.read(&self.layout.alerts(), LARGEST).ok().flatten();
        bytes.and_then(|bytes| sealed::open(&bytes).ok()).unwrap_or_default()
    }

    /// Saves what was told, in one piece.
    pub(crate) fn save_alerts<T: Serialize>(
        &self,
        _: &AlertsLock,
        told: &T,
    ) -> Result<(), StoreError> {
        let (dir, bytes) = (self.layout.state_dir(), sealed::seal(told));
        permissions::check_way(&dir)?;
        let saved = self.disk.replace(&self.layout.alerts(), &bytes);
        saved.map_err(|error| self.explain(error, &dir, bytes.len()))
    }

    /// Writes a message for a program to read, for this user's eyes only; the caller removes it.
    pub(crate) fn put_message(
        &self,
        _: &AlertsLock,
        receiver: &Label,
        bytes: &[u8],
    ) -> Result<PathBuf, StoreError> {
        let path = self.layout.message(receiver);
        permissions::check_way(&self.layout.state_dir())?;
        // One that an interrupted run left.
        self.disk.remove_file(&path)?;
        self.disk.create(&[NewFile { path: path.clone(), bytes, access: Access::default() }])?;
        Ok(path)
    }

    /// Removes a message; one that stays is replaced the next time.
    pub(crate) fn take_message(&self, _: &AlertsLock, receiver: &Label) {
        let _ = self.disk.remove_file(&self.layout.message(receiver));
    }
}
