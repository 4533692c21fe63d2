//! What is in service, and the one atomic act that changes it.

use std::path::Path;

use super::archive::Stored;
use super::disk::Kind;
use super::journal::{Intent, Rollout, State};
use super::lock::Lock;
use super::{Store, StoreError, permissions};
use crate::model::file;
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
        let dir = self.layout.live(name);
        if !self.is_ours(&dir)? {
            return Ok(None);
        }
        let generation = self.manifest_in(&dir)?.generation;
        if !self.is_linked(&dir, &self.layout.generation(name, generation))? {
            self.read_in(&dir)?;
        }
        Ok(Some(generation))
    }

    /// Reads what is in service, and checks every sum.
    pub(super) fn read_live(&self, name: &CertName) -> Result<Option<Stored>, StoreError> {
        let dir = self.layout.live(name);
        self.is_ours(&dir)?.then(|| self.read_in(&dir)).transpose()
    }

    /// Whether there is a live directory; anything else in its place is refused.
    fn is_ours(&self, dir: &Path) -> Result<bool, StoreError> {
        let what = match self.disk.look(dir)?.map(|facts| facts.kind) {
            None => return Ok(false),
            Some(Kind::Directory) => return Ok(true),
            Some(Kind::File) => "is a file where a directory is expected",
            Some(Kind::Symlink) => "is a symbolic link, which is not followed",
            Some(Kind::Other) => "is neither a file nor a directory",
        };
        // Hidden, or it would pass for a certificate itself.
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let aside = dir.with_file_name(format!(".{name}.aside"));
        let mend = format!("mv -n {} {}", permissions::quoted(dir), permissions::quoted(&aside));
        Err(StoreError::Refused { path: dir.to_owned(), what: what.to_owned(), mend })
    }

    /// Whether two folders hold the same files under two names each.
    pub(super) fn is_linked(&self, a: &Path, b: &Path) -> Result<bool, StoreError> {
        for file in file::ALL {
            let inode = |dir: &Path| {
                let facts = self.disk.look(&dir.join(file))?;
                Ok::<_, StoreError>(facts.map(|facts| facts.inode))
            };
            let ours = inode(a)?;
            if ours.is_none() || ours != inode(b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts a generation in service: journals the intent, then exchanges the whole live directory.
    ///
    /// Safe to repeat. `to` is checked against its manifest first. Afterwards the caller puts it to
    /// use, verifies, and calls [`Store::confirm`], or [`Store::turn_back`] and [`Store::went_back`].
    pub(crate) fn switch(
        &self,
        lock: &Lock,
        to: Generation,
        snapshot: &SnapshotId,
        rollout: Rollout,
    ) -> Result<Switched, StoreError> {
        let name = lock.name();
        self.read(name, to)?;
        let from = match self.live(name) {
            // Nothing worth going back to; recovery found nothing better.
            Err(StoreError::Damaged { .. }) => None,
            other => other?,
        };
        if from == Some(to) {
            return Ok(Switched::default());
        }
        let intent = Intent { to, from, snapshot: snapshot.clone(), rollout };
        self.change_state(lock, |state| state.intent = Some(intent))?;
        self.put_live(name, to)
    }

    /// Exchanges the live directory for one with the files of `to`.
    pub(super) fn put_live(&self, name: &CertName, to: Generation) -> Result<Switched, StoreError> {
        let (live, next) = (self.layout.live(name), self.layout.live_next(name));
        self.discard(&next)?;
        let from = self.layout.generation(name, to);
        self.disk.make_dir(&next, 0o755)?;
        let mut switched = Switched::default();
        for file in file::ALL {
            switched.copied |= self.disk.link_or_copy(&from.join(file), &next.join(file))?;
        }
        self.disk.sync_dir(&next)?;
        if self.disk.look(&live)?.is_none() {
            self.disk.rename_new(&next, &live)?;
        } else {
            match self.disk.exchange(&next, &live) {
                Err(error) if error.is_impossible() => {
                    switched.in_two_steps = true;
                    self.exchange_in_two_steps(name)?;
                }
                exchanged => exchanged?,
            }
        }
        self.disk.sync_dir(&self.layout.live_dir())?;
        // In service and durable: what was before may go now, or be swept by the next run.
        let _ = self.discard(&next).and_then(|_| self.discard(&self.layout.live_old(name)));
        Ok(switched)
    }

    /// The journaled intent lets recovery finish this if it stops between the two.
    fn exchange_in_two_steps(&self, name: &CertName) -> Result<(), StoreError> {
        let (live, old) = (self.layout.live(name), self.layout.live_old(name));
        self.discard(&old)?;
        self.disk.rename_new(&live, &old)?;
        if let Err(error) = self.disk.rename_new(&self.layout.live_next(name), &live) {
            // Better the old one than none; if this fails too, recovery tries again.
            let _ = self.disk.rename_new(&old, &live);
            return Err(error.into());
        }
        Ok(())
    }

    /// Undoes the first of two renames that never saw the second. Says whether there was one.
    pub(super) fn undo_half_switch(&self, name: &CertName) -> Result<bool, StoreError> {
        let (live, old) = (self.layout.live(name), self.layout.live_old(name));
        let half = self.disk.look(&live)?.is_none() && self.disk.look(&old)?.is_some();
        if half {
            self.disk.rename_new(&old, &live)?;
            self.disk.sync_dir(&self.layout.live_dir())?;
        }
        Ok(half)
    }

    /// Removes a former live directory. Says whether there was one.
    ///
    /// Only files of ours are deleted: a directory with anything else in it is kept aside.
    pub(super) fn discard(&self, dir: &Path) -> Result<bool, StoreError> {
        let found = self.disk.list(dir)?;
        let is_ours = |name: &std::ffi::OsString| file::ALL.iter().any(|ours| name == ours);
        if !found.iter().all(is_ours) {
            return self.keep_aside(dir, |aside| self.disk.rename_new(dir, aside)).map(|_| true);
        }
        Ok(self.disk.remove_tree(dir)?)
    }

    /// Records that what is live proved good. Without an intent there is nothing to do.
    pub(crate) fn confirm(&self, lock: &Lock) -> Result<(), StoreError> {
        self.change_state(lock, |state| {
            if let Some(intent) = state.intent.take() {
                // On the way back the one it came from is live already.
                let back = intent.from.filter(|_| intent.rollout.back.is_some());
                state.confirmed = Some(back.unwrap_or(intent.to));
            }
        })
    }

    /// Journals how far a rollout has come. Without an intent there is nothing to journal.
    pub(crate) fn progress(
        &self,
        lock: &Lock,
        change: impl FnOnce(&mut Rollout),
    ) -> Result<(), StoreError> {
        self.change_state(lock, |state| {
            if let Some(intent) = &mut state.intent {
                change(&mut intent.rollout);
            }
        })
    }

    /// Returns to the generation the intent came from; the one now live.
    ///
    /// `why` is journaled first, with the verdict that the other is bad if it is `condemned`: cut in
    /// between, the next run knows which way to go. The targets follow; then comes
    /// [`Store::went_back`]. A first generation has nothing to go back to: it stays live.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when what is to be returned to is no longer whole; live stays.
    pub(crate) fn turn_back(
        &self,
        lock: &Lock,
        why: &str,
        condemned: bool,
    ) -> Result<Option<Generation>, StoreError> {
        let name = lock.name();
        let (state, _) = self.state(name)?;
        let Some((intent, from)) = state.intent.and_then(|i| i.from.map(|from| (i, from))) else {
            return self.live(name);
        };
        self.read(name, from)?;
        self.change_state(lock, |state| {
            if condemned {
                state.bad.insert(intent.to);
            }
            if let Some(intent) = &mut state.intent {
                intent.rollout.back.get_or_insert_with(|| why.to_owned());
            }
        })?;
        if self.live(name).ok().flatten() != Some(from) {
            self.put_live(name, from)?;
        }
        self.live(name)
    }

    /// Records that the way back is at its end. Without an intent there is nothing to do.
    pub(crate) fn went_back(&self, lock: &Lock) -> Result<(), StoreError> {
        self.change_state(lock, |state| {
            if let Some(intent) = state.intent.take() {
                state.confirmed = intent.from.or(state.confirmed);
            }
        })
    }

    fn change_state(&self, lock: &Lock, change: impl FnOnce(&mut State)) -> Result<(), StoreError> {
        let (before, _) = self.state(lock.name())?;
        let mut after = before.clone();
        change(&mut after);
        if after == before { Ok(()) } else { self.save_state(lock, &after) }
    }

    /// Removes every trace of a certificate but its snapshots: settings, live, archive, state.
    ///
    /// A crash on the way leaves it listed, so that the removal can be repeated.
    pub(crate) fn forget(&self, lock: Lock) -> Result<(), StoreError> {
        let name = lock.name();
        self.forget_settings(name)?;
        let (live, next) = (self.layout.live(name), self.layout.live_next(name));
        self.discard(&next)?;
        if self.is_ours(&live)? {
            self.disk.rename_new(&live, &next)?;
            self.disk.sync_dir(&self.layout.live_dir())?;
            self.discard(&next)?;
        }
        self.disk.remove_tree(&self.layout.archive(name))?;
        self.disk.sync_dir(&self.layout.archive_dir())?;
        self.sweep(name)?;
        self.drop_pending(&lock)?;
        let state = self.layout.state(name);
        self.disk.remove_file(&state)?;
        self.disk.sync_dir(&self.layout.state_dir())?;
        self.drop_from_index(name)?;
        Ok(self.disk.remove_file(&self.layout.lock(name))?)
    }
}
