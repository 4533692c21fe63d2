//! What was asked of the CAs, by whatever run, counted against their limits.
//!
//! ```text
//! acmeagent-ledger 1
//! {"at": …, "ca": …, "what": …}     one entry a line, in the order of time
//! ```
//! A line is appended before what it tells of is done. Only whole lines count: half of one is what
//! a crash left, was never promised, and is cut off by the next writer. Each process follows the
//! file and keeps the sums in memory; decisions are made and entered under one lock, and many are
//! synced together.
//!
//! An entry that lies in the future counts as of now, and is written so by the next writer: a
//! clock that once was wrong must not block for years. So `now` is to be the time that is believed.

mod books;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::disk::{Act, DiskError, DiskResult, Kind, LockFile};
use super::journal::Repaired;
use super::{Store, StoreError, layout};
use crate::model::time::Timestamp;
use crate::schedule::budget::{Budget, Entry};
use crate::schedule::limits::Limits;
use books::Books;
pub(crate) use books::Paused;

/// Room for some hundred thousand sets of names.
const LARGEST: u64 = 64 << 20;
/// The lock is held for milliseconds; who waits longer waits for something stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ledger as this process knows it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    desk: Mutex<Desk>,
    turn: Mutex<Turn>,
    turn_ended: Condvar,
    repaired: Mutex<Option<Repaired>>,
}

#[derive(Debug, Default)]
struct Desk {
    books: Books,
    /// How often this process has appended.
    appended: u64,
    /// A sync failed: what the file holds is not to be built upon.
    is_doubtful: bool,
}

/// Whoever has the turn syncs for all that was appended before.
#[derive(Debug, Default)]
struct Turn {
    is_taken: bool,
    synced: u64,
    failed: u64,
}

impl Store {
    /// Looks at what `ca` allows as the ledger stands now.
    ///
    /// Reads only: takes no lock, needs no [`Store::open`], works on a read-only disk.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer version wrote the ledger.
    pub(crate) fn budget<T>(
        &self,
        ca: &str,
        limits: Limits,
        now: Timestamp,
        look: impl FnOnce(&Budget) -> T,
    ) -> Result<T, StoreError> {
        let mut desk = self.desk();
        self.follow(&mut desk, ca, limits, now)?;
        Ok(look(desk.books.budget(ca, limits)))
    }

    /// What the CAs have paused, as far as is known. Reads only, as [`Store::budget`] does.
    pub(crate) fn paused(&self, now: Timestamp) -> Result<Vec<Paused>, StoreError> {
        let mut books = Books::default();
        self.read_on(&mut books, now)?;
        Ok(books.paused())
    }

    /// Lets `decide` judge the budget as all runs have left it, and writes what it decides before
    /// anybody else may judge. Once this returns, the entries survive a power cut.
    ///
    /// `decide` is called with the lock held and must not take long.
    ///
    /// # Errors
    /// Nothing was promised then, and what was decided must not be done: [`StoreError::Full`],
    /// [`StoreError::Disk`], [`StoreError::NewerSchema`], or [`StoreError::Locked`] by something
    /// that is stuck.
    pub(crate) fn account_for<T>(
        &self,
        ca: &str,
        limits: Limits,
        now: Timestamp,
        decide: impl FnOnce(&Budget) -> (T, Vec<Entry>),
    ) -> Result<T, StoreError> {
        let (verdict, appended) = self.write_ledger(ca, limits, now, decide)?;
        appended.map_or(Ok(()), |appended| self.sync_ledger(appended))?;
        Ok(verdict)
    }

    /// Writes entries without waiting for the disk: for what only gives back.
    pub(crate) fn enter(
        &self,
        ca: &str,
        limits: Limits,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let Some(now) = entries.iter().map(|entry| entry.at).max() else { return Ok(()) };
        self.write_ledger(ca, limits, now, |_| ((), entries.to_owned())).map(|_| ())
    }

    /// Says, once, that the ledger was damaged and begun anew with what of it could be read.
    pub(crate) fn ledger_repaired(&self) -> Option<Repaired> {
        locked(&self.ledger.repaired).take()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        locked(&self.ledger.desk)
    }

    fn write_ledger<T>(
        &self,
        ca: &str,
        limits: Limits,
        now: Timestamp,
        decide: impl FnOnce(&Budget) -> (T, Vec<Entry>),
    ) -> Result<(T, Option<u64>), StoreError> {
        let mut desk = self.desk();
        let _lock = self.lock_ledger()?;
        self.follow(&mut desk, ca, limits, now)?;
        self.tidy(&mut desk, ca, limits, now)?;
        let (verdict, entries) = decide(desk.books.budget(ca, limits));
        if entries.is_empty() {
            return Ok((verdict, None));
        }
        let (path, lines) = (self.layout.ledger(), books::lines(&entries));
        let appended = self.disk.append(&path, desk.books.end(), lines.as_bytes());
        appended.map_err(|error| self.explain(error, &self.layout.state_dir(), lines.len()))?;
        desk.appended += 1;
        self.read_on(&mut desk.books, now)?;
        Ok((verdict, Some(desk.appended)))
    }

    /// Takes the turn to write the ledger, and removes what an interrupted writer left.
    fn lock_ledger(&self) -> Result<LockFile, StoreError> {
        let what = || "the ledger".to_owned();
        let lock = self.wait_for(&self.layout.ledger_lock(), PATIENCE, what)?;
        self.disk.remove_tree(&layout::temporary(&self.layout.ledger()))?;
        Ok(lock)
    }

    /// Brings the books level with the file.
    fn follow(
        &self,
        desk: &mut Desk,
        ca: &str,
        limits: Limits,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !desk.books.will_do(ca, limits, now) {
            desk.books = Books::default();
        }
        self.read_on(&mut desk.books, now)
    }

    fn read_on(&self, books: &mut Books, now: Timestamp) -> Result<(), StoreError> {
        let path = self.layout.ledger();
        let tail = match self.disk.read_on(&path, books.from(), LARGEST) {
            Err(error) if error.is_misshapen() => {
                *books = Books::flawed(error.source.to_string());
                return Ok(());
            }
            read => read?,
        };
        let Some(tail) = tail else {
            *books = Books::default();
            return Ok(());
        };
        let Some(news) = books.news(&tail) else {
            // Another process has written it anew.
            *books = Books::default();
            return self.read_on(books, now);
        };
        books.read(tail.inode, news, now).map_err(|found| {
            *books = Books::default();
            StoreError::NewerSchema { path, found, known: books::VERSION }
        })
    }

    /// Writes the ledger anew where it is missing, damaged, ahead of the clock or too long.
    fn tidy(
        &self,
        desk: &mut Desk,
        ca: &str,
        limits: Limits,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let flaw = desk.books.flaw().map(str::to_owned);
        let unusable = flaw.is_some() || desk.is_doubtful || desk.books.is_moved();
        if !unusable && desk.books.end() > 0 {
            desk.books.budget(ca, limits);
            if !desk.books.is_long(now) {
                return Ok(());
            }
        }
        if flaw.is_some() {
            self.keep_damaged_ledger(now)?;
        }
        let file = books::file(&desk.books.entries(now));
        let written = self.disk.replace(&self.layout.ledger(), file.as_bytes());
        written.map_err(|error| self.explain(error, &self.layout.state_dir(), file.len()))?;
        desk.is_doubtful = false;
        desk.books = Books::default();
        if let Some(why) = flaw {
            *locked(&self.ledger.repaired) = Some(Repaired { why });
        }
        self.read_on(&mut desk.books, now)
    }

    /// Keeps the damaged ledger beside its place, and no other.
    fn keep_damaged_ledger(&self, now: Timestamp) -> Result<(), StoreError> {
        let (path, dir) = (self.layout.ledger(), self.layout.state_dir());
        let aside = layout::aside(&path, now.unix());
        for entry in self.disk.list(&dir)? {
            if entry.to_str().is_some_and(|entry| entry.starts_with("ledger.damaged-")) {
                self.disk.remove_tree(&dir.join(entry))?;
            }
        }
        match self.disk.look(&path)?.map(|facts| facts.kind) {
            Some(Kind::File) => self.disk.link_or_copy(&path, &aside).map(|_| ())?,
            Some(_) => self.disk.rename_new(&path, &aside)?,
            None => {}
        }
        Ok(())
    }

    /// Waits until what this process has appended up to there survives a power cut.
    fn sync_ledger(&self, appended: u64) -> Result<(), StoreError> {
        let Ledger { turn, turn_ended, .. } = &self.ledger;
        let mut turn = locked(turn);
        while turn.is_taken && turn.outcome(appended).is_none() {
            turn = turn_ended.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        match turn.outcome(appended) {
            Some(true) => return Ok(()),
            Some(false) => {
                let path = self.layout.ledger();
                return Err(DiskError::new(Act::Sync, &path, Errno::IO).into());
            }
            None => turn.is_taken = true,
        }
        drop(turn);
        let (all, synced) = self.sync_all();
        let mut turn = locked(&self.ledger.turn);
        turn.is_taken = false;
        match synced {
            Ok(()) => turn.synced = all,
            Err(_) => turn.failed = all,
        }
        turn_ended.notify_all();
        Ok(synced?)
    }

    /// Syncs what was appended so far, and says how much that is.
    fn sync_all(&self) -> (u64, DiskResult<()>) {
        let (all, inode, is_doubtful) = {
            let desk = self.desk();
            (desk.appended, desk.books.inode(), desk.is_doubtful)
        };
        let path = self.layout.ledger();
        if is_doubtful {
            return (all, Err(DiskError::new(Act::Sync, &path, Errno::IO)));
        }
        let synced = self.disk.sync(&path).and_then(|()| {
            // Who writes it anew at this moment may not have come to sync its name.
            match self.disk.look(&path)?.map(|facts| facts.inode) == inode {
                true => Ok(()),
                false => self.disk.sync_dir(&self.layout.state_dir()),
            }
        });
        if synced.is_err() {
            // Never synced again: the next writer writes it anew.
            self.desk().is_doubtful = true;
        }
        (all, synced)
    }
}

impl Turn {
    /// Whether what was appended up to there is synced; `None` while that is not known.
    fn outcome(&self, appended: u64) -> Option<bool> {
        let synced = self.synced >= appended;
        (synced || self.failed >= appended).then_some(synced)
    }
}

/// A thread that died holding one of these left nothing half done in it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
