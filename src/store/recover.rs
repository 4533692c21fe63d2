//! Finishes or undoes what a crash left, and mends what was damaged since.

use super::archive::{Stored, TEMPORARY};
use super::journal::{Intent, Repaired, State};
use super::lock::Lock;
use super::{Store, StoreError, layout};
use crate::model::generation::Generation;
use crate::model::name::CertName;

/// What was found and done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Recovery {
    /// The facts as they are after recovery.
    pub(crate) state: State,
    /// The state file was damaged: kept aside, and rebuilt.
    pub(crate) state_repaired: Option<Repaired>,
    /// A switch took place that was never confirmed: the caller goes on with it, or back.
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

impl LiveRecovery {
    /// What is in service now.
    pub(crate) fn generation(&self) -> Option<Generation> {
        match self {
            Self::Intact(generation) | Self::Mended { to: generation, .. } => Some(*generation),
            Self::Absent | Self::Lost { .. } => None,
        }
    }
}

impl Store {
    /// Brings one certificate back to order; to be called when its lock was taken and more than its
    /// facts is to change.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when something not ours lies where live should be, or a key is open
    /// to others; [`StoreError::NewerSchema`] when a newer version wrote the state. Nothing was
    /// touched then.
    pub(crate) fn recover(&self, lock: &Lock) -> Result<Recovery, StoreError> {
        let name = lock.name();
        let (mut state, state_repaired) = self.state(name)?;
        let before = state.clone();
        let mut found = match self.read_live(name) {
            Err(refused @ StoreError::Refused { .. }) => return Err(refused),
            found => found,
        };
        if self.undo_half_switch(name)? {
            found = self.read_live(name);
        }
        let swept = self.sweep(name)?;
        let mut live = self.mend_live(name, &state, found)?;
        let unfinished = self.settle_intent(name, &mut live, &mut state)?;
        self.settle_order(lock, &mut state)?;
        if state_repaired.is_some() {
            self.keep_damaged_state(name)?;
        }
        if state != before || state_repaired.is_some() {
            self.save_state(lock, &state)?;
        }
        Ok(Recovery { state, state_repaired, unfinished, live, swept })
    }

    /// Removes what runs left that did not come to their end. Says how much it was.
    pub(super) fn sweep(&self, name: &CertName) -> Result<usize, StoreError> {
        let archive = self.layout.archive(name);
        let mut swept = 0;
        for entry in self.disk.list(&archive)? {
            if entry.to_str().is_some_and(|entry| entry.starts_with(TEMPORARY)) {
                swept += usize::from(self.disk.remove_tree(&archive.join(entry))?);
            }
        }
        for live in [self.layout.live_next(name), self.layout.live_old(name)] {
            swept += usize::from(self.discard(&live)?);
        }
        swept += usize::from(self.disk.remove_tree(&self.layout.snapshot_next(name))?);
        let (pending, reserve) = (self.layout.pending(name), self.layout.reserve(name));
        let written = [self.layout.state(name), self.layout.settings(name), pending.clone()];
        let mut files: Vec<_> = written.iter().map(|path| layout::temporary(path)).collect();
        if self.disk.look(&pending)?.is_none() {
            files.push(reserve);
        }
        for file in files {
            swept += usize::from(self.disk.remove_tree(&file)?);
        }
        Ok(swept)
    }

    fn mend_live(
        &self,
        name: &CertName,
        state: &State,
        found: Result<Option<Stored>, StoreError>,
    ) -> Result<LiveRecovery, StoreError> {
        let why = match found {
            Ok(Some(stored)) => {
                self.adopt(name, stored.generation)?;
                return Ok(LiveRecovery::Intact(stored.generation));
            }
            Ok(None) if !was_live(state) => return Ok(LiveRecovery::Absent),
            Ok(None) => "it is missing".to_owned(),
            Err(error @ StoreError::Damaged { .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        match self.best_generation(name, state)? {
            Some(to) => self.put_live(name, to).map(|_| LiveRecovery::Mended { to, why }),
            None => Ok(LiveRecovery::Lost { why }),
        }
    }

    /// Takes what is live back into an archive that lost it.
    fn adopt(&self, name: &CertName, generation: Generation) -> Result<(), StoreError> {
        let (live, place) = (self.layout.live(name), self.layout.generation(name, generation));
        if self.is_linked(&live, &place)? {
            return Ok(());
        }
        match self.read(name, generation) {
            Err(StoreError::Damaged { .. }) => self.link_generation(&live, name, generation),
            other => other.map(|_| ()),
        }
    }

    /// The pinned, else the last confirmed, else the newest generation that is whole and not bad.
    fn best_generation(
        &self,
        name: &CertName,
        state: &State,
    ) -> Result<Option<Generation>, StoreError> {
        let known = state.pin.map(|pin| pin.generation).into_iter().chain(state.confirmed);
        for generation in known.chain(self.generations(name)?.into_iter().rev()) {
            if state.bad.contains(&generation) {
                continue;
            }
            match self.read(name, generation) {
                Ok(_) => return Ok(Some(generation)),
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Clears an intent that never took effect, completes one already judged, reports the rest.
    fn settle_intent(
        &self,
        name: &CertName,
        live: &mut LiveRecovery,
        state: &mut State,
    ) -> Result<Option<Intent>, StoreError> {
        let Some(intent) = state.intent.clone() else { return Ok(None) };
        let in_effect = *live == LiveRecovery::Intact(intent.to);
        // What is damaged since is no way back.
        let is_whole = |from: &Generation| self.read(name, *from).is_ok();
        let back = intent.from.filter(|_| intent.rollout.back.is_some()).filter(is_whole);
        let good_before = intent.from.is_some_and(|from| !state.bad.contains(&from));
        match back {
            // Its targets may not have heard of it yet.
            Some(from) if in_effect || *live == LiveRecovery::Intact(from) => {
                if in_effect {
                    self.put_live(name, from)?;
                    *live = LiveRecovery::Intact(from);
                }
                return Ok(Some(intent));
            }
            // With both of them revoked there is no use in either way: another one is needed.
            None if state.bad.contains(&intent.to) && !good_before => {}
            None if in_effect => return Ok(Some(intent)),
            _ => {}
        }
        state.intent = None;
        Ok(None)
    }

    /// Forgets an order whose certificate is in the archive already, and a key without an order:
    /// an order is journaled before it is finalized, so nothing can come for such a key.
    fn settle_order(&self, lock: &Lock, state: &mut State) -> Result<(), StoreError> {
        let name = lock.name();
        let newest = self.generations(name)?.pop();
        let archived = newest.and_then(|newest| self.meta(name, newest).ok());
        let archived = archived.map(|meta| meta.order_url);
        state.order = state.order.take().filter(|order| archived.as_ref() != Some(&order.url));
        match state.order {
            Some(_) => Ok(()),
            None => self.drop_pending(lock),
        }
    }

    fn keep_damaged_state(&self, name: &CertName) -> Result<(), StoreError> {
        let state = self.layout.state(name);
        if self.disk.look(&state)?.is_some() {
            self.keep_aside(&state, |aside| self.disk.link_or_copy(&state, aside).map(|_| ()))?;
        }
        Ok(())
    }
}

/// Whether there must have been a live directory.
fn was_live(state: &State) -> bool {
    state.confirmed.is_some() || state.intent.as_ref().is_some_and(|intent| intent.from.is_some())
}
