//! Kernel locks: they die with their process, so a stale one does not exist and none is ever stolen.

use std::fmt;
use std::path::Path;
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

impl AccountLock {
    pub(crate) fn ca(&self) -> &Label {
        &self.ca
    }
}

/// Proof that this process alone serves in front for the home. Dropping it unlocks.
#[derive(Debug)]
pub(crate) struct DeskLock {
    _file: LockFile,
}

/// How long a wait for a lock sleeps between two looks.
const PAUSE: Duration = Duration::from_millis(5);

impl Store {
    /// Takes a certificate for this run, without waiting.
    ///
    /// What is due is to be looked at again afterwards: another run may just have done it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the pid of the run that holds it and since when.
    pub(crate) fn lock(&self, name: &CertName) -> Result<Lock, StoreError> {
        let held = self.disk.lock(&self.layout.lock(name))?;
        let file = held.map_err(|holder| StoreError::Locked { what: name.to_string(), holder })?;
        Ok(Lock { name: name.clone(), _file: file })
    }

    /// Takes the desk at which answers to challenges are handed over, without waiting.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the pid of the process that serves.
    pub(crate) fn lock_desk(&self) -> Result<DeskLock, StoreError> {
        let held = self.disk.lock(&self.layout.desk_lock())?;
        let what = || "the place in front of an application".to_owned();
        let file = held.map_err(|holder| StoreError::Locked { what: what(), holder })?;
        Ok(DeskLock { _file: file })
    }

    /// Takes the accounts of a CA, waiting at most `patience`. Blocks the thread.
    pub(crate) fn lock_account(
        &self,
        ca: &Label,
        patience: Duration,
    ) -> Result<AccountLock, StoreError> {
        let what = || format!("the account at {ca}");
        let file = self.wait_for(&self.layout.account_lock(ca), patience, what)?;
        Ok(AccountLock { ca: ca.clone(), _file: file })
    }

    /// Tries a lock until it is free or patience ends. Sleeping is counted, so no clock is needed.
    pub(super) fn wait_for(
        &self,
        path: &Path,
        patience: Duration,
        what: impl Fn() -> String,
    ) -> Result<LockFile, StoreError> {
        let mut slept = Duration::ZERO;
        loop {
            match self.disk.lock(path)? {
                Ok(file) => return Ok(file),
                Err(holder) if slept >= patience => {
                    return Err(StoreError::Locked { what: what(), holder });
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
            slept += PAUSE;
        }
    }
}
