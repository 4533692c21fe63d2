//! What is in service, and the one atomic act that changes it.

use super::lock::Lock;
use super::{Store, StoreError};
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;

/// What the file system could not do in a switch; to be said once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Switched {
    /// No hard links: the files were copied.
    pub(crate) copied: bool,
    /// No exchange: the change took two renames, with a moment between them without `live`.
    pub(crate) in_two_steps: bool,
}

impl Store {
    /// The generation in service, decided by inode identity with the archive, or by content where
    /// links are impossible. `None` where there is no live directory.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when files are missing or altered ([`Store::recover`] mends that);
    /// [`StoreError::Refused`] when something that is not ours lies in its place.
    pub(crate) fn live(&self, name: &CertName) -> Result<Option<Generation>, StoreError> {
        todo!("{name}")
    }

    /// Puts a generation in service: journals the intent, then exchanges the whole live directory.
    ///
    /// Safe to repeat. `to` is checked against its manifest first. Afterwards the caller puts it to
    /// use, verifies, and calls [`Store::confirm`] or [`Store::switch_back`].
    pub(crate) fn switch(
        &self,
        lock: &Lock,
        to: Generation,
        snapshot: &SnapshotId,
    ) -> Result<Switched, StoreError> {
        todo!("{lock:?} {to} {snapshot}")
    }

    /// Records that what is live proved good. Without an intent there is nothing to do.
    pub(crate) fn confirm(&self, lock: &Lock) -> Result<(), StoreError> {
        todo!("{lock:?}")
    }

    /// Returns to the generation the intent came from and marks the other bad; the one now live.
    ///
    /// A first generation has nothing to go back to: it stays live and is not marked.
    pub(crate) fn switch_back(&self, lock: &Lock) -> Result<Option<Generation>, StoreError> {
        todo!("{lock:?}")
    }

    /// Removes every trace of a certificate but its snapshots: settings, live, archive, state.
    ///
    /// A crash on the way leaves it listed, so that the removal can be repeated.
    pub(crate) fn forget(&self, lock: Lock) -> Result<(), StoreError> {
        todo!("{lock:?}")
    }
}
