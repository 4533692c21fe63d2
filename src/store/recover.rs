//! Finishes or undoes what a crash left, and mends what was damaged since.

use super::journal::{Intent, Repaired, State};
use super::lock::Lock;
use super::{Store, StoreError};
use crate::model::generation::Generation;

/// What was found and done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Recovery {
    /// The facts as they are after recovery.
    pub(crate) state: State,
    /// The state file was damaged: kept aside, and rebuilt.
    pub(crate) state_repaired: Option<Repaired>,
    /// A switch took place that was never confirmed: the caller verifies, then confirms or switches back.
    pub(crate) unfinished: Option<Intent>,
    pub(crate) live: LiveRecovery,
    /// Leftovers removed.
    pub(crate) swept: usize,
}

/// What became of the live directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum LiveRecovery {
    /// There is none and there has been none.
    #[default]
    Absent,
    /// Whole and untouched.
    Intact(Generation),
    /// It was damaged or missing; this generation is live now. The caller verifies it.
    Mended { to: Generation, why: String },
    /// It is damaged or missing and no good generation is left: issue anew.
    Lost { why: String },
}

impl Store {
    /// Brings one certificate back to order; to be called whenever its lock was taken.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when something not ours lies where live should be,
    /// [`StoreError::NewerSchema`] when a newer version wrote the state. Nothing was touched then.
    pub(crate) fn recover(&self, lock: &Lock) -> Result<Recovery, StoreError> {
        todo!("{lock:?}")
    }
}
