//! Kernel locks: they die with their process, so a stale one does not exist and none is ever stolen.

use std::fmt;
use std::time::Duration;

use super::disk::LockFile;
use super::layout::Label;
use super::{Store, StoreError};
use crate::model::name::CertName;
use crate::model::time::Timestamp;

/// Who holds a lock, as far as the lock file tells: information only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Holder {
    pub(crate) pid: Option<u32>,
    pub(crate) since: Option<Timestamp>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        self.since.map_or(Ok(()), |since| write!(f, " since {since}"))
    }
}

/// Proof that this run alone works on a certificate. Dropping it unlocks.
#[derive(Debug)]
pub(crate) struct Lock {
    name: CertName,
    _file: LockFile,
}

impl Lock {
    pub(crate) fn name(&self) -> &CertName {
        &self.name
    }
}

/// Proof that this run alone creates, changes or removes accounts at a CA. Dropping it unlocks.
#[derive(Debug)]
pub(crate) struct AccountLock {
    ca: Label,
    _file: LockFile,
}

impl Store {
    /// Takes a certificate for this run, without waiting.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the pid of the run that holds it and since when.
    pub(crate) fn lock(&self, name: &CertName) -> Result<Lock, StoreError> {
        todo!("{name}")
    }

    /// Takes the accounts of a CA, waiting at most `patience`. Blocks the thread.
    pub(crate) fn lock_account(
        &self,
        ca: &Label,
        patience: Duration,
    ) -> Result<AccountLock, StoreError> {
        todo!("{ca} {patience:?}")
    }
}
