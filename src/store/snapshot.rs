//! Snapshots: what was in service, hard-linked, with a manifest of SHA-256 sums.

use std::io;

use super::lock::Lock;
use super::{Store, StoreError};
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;
use crate::model::time::Timestamp;

/// A snapshot as `snapshot list` shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SnapshotInfo {
    pub(crate) id: SnapshotId,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    pub(crate) certificates: Vec<CertName>,
}

/// A file of a snapshot that is not what it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    pub(crate) name: CertName,
    /// As in `privkey.pem`.
    pub(crate) file: String,
    pub(crate) what: MismatchKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MismatchKind {
    Missing,
    Changed,
}

impl Store {
    /// Takes what is in service of these certificates, their settings and their states.
    ///
    /// A certificate without a live generation is part of it with its settings alone.
    pub(crate) fn take_snapshot(
        &self,
        locks: &[&Lock],
        reason: &str,
        at: Timestamp,
    ) -> Result<SnapshotId, StoreError> {
        todo!("{locks:?} {reason} {at}")
    }

    /// All snapshots, newest last. One with a damaged manifest is left out.
    pub(crate) fn snapshots(&self) -> Result<Vec<SnapshotInfo>, StoreError> {
        todo!()
    }

    /// Checks every sum of a snapshot. An in-place edit of a live file shows here by name.
    pub(crate) fn verify_snapshot(&self, id: &SnapshotId) -> Result<Vec<Mismatch>, StoreError> {
        todo!("{id}")
    }

    /// Links a certificate's generation back into the archive, and writes its settings (and a lost
    /// state) back; `live` is not touched. The caller then switches to the generation returned.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the snapshot itself no longer matches its sums.
    pub(crate) fn restore(&self, id: &SnapshotId, lock: &Lock) -> Result<Generation, StoreError> {
        todo!("{id} {lock:?}")
    }

    /// Removes every snapshot that is not among the `keep` newest of any certificate it holds.
    pub(crate) fn prune(&self, keep: usize) -> Result<Vec<SnapshotId>, StoreError> {
        todo!("{keep}")
    }

    /// Writes a snapshot as a tar archive. It contains private keys.
    pub(crate) fn export(&self, id: &SnapshotId, to: &mut dyn io::Write) -> Result<(), StoreError> {
        let _ = to;
        todo!("{id}")
    }
}
