//! A disk for tests that stops, or starts to fail, at the n-th change.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use super::disk::{Act, Disk, DiskError, DiskResult, Facts, LockFile, NewFile, Real, Room, Tail};
use super::lock::Holder;

/// What happens at the n-th change and after.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// Nothing works any more, not even reading: the process is gone.
    Crash,
    /// This change fails, the next ones work.
    Once(Errno),
    /// This change fails and every later one.
    Forever(Errno),
}

/// What the file system lacks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lacks {
    pub(super) exchange: bool,
    pub(super) links: bool,
}

/// The real disk up to a point.
#[derive(Debug)]
pub(super) struct Crashing {
    changes: AtomicUsize,
    /// Counted from 1; 0 is never.
    fails_at: usize,
    failure: Failure,
    lacks: Lacks,
    /// Directories with names a power cut would take away.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    /// Files that grew, and the length a power cut would leave.
    grown: Mutex<BTreeMap<PathBuf, u64>>,
    syncs: AtomicUsize,
    sync_takes: Duration,
}

impl Crashing {
    pub(super) fn new(fails_at: usize, failure: Failure, lacks: Lacks) -> Self {
        Self {
            changes: AtomicUsize::new(0),
            fails_at,
            failure,
            lacks,
            unsynced: Mutex::default(),
            grown: Mutex::default(),
            syncs: AtomicUsize::new(0),
            sync_takes: Duration::ZERO,
        }
    }

    /// A disk that never fails, and takes its time.
    pub(super) fn slow(sync_takes: Duration) -> Self {
        Self { sync_takes, ..Self::new(0, Failure::Crash, Lacks::default()) }
    }

    /// Whether the point was reached.
    pub(super) fn failed(&self) -> bool {
        self.fails_at != 0 && self.changes.load(Ordering::Relaxed) >= self.fails_at
    }

    fn change(&self, act: Act, path: &Path) -> DiskResult<()> {
        let change = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = self.fails_at != 0 && change >= self.fails_at;
        match self.failure {
            Failure::Crash if failed => Err(DiskError::new(act, path, Errno::IO)),
            Failure::Forever(errno) if failed => Err(DiskError::new(act, path, errno)),
            Failure::Once(errno) if change == self.fails_at => {
                Err(DiskError::new(act, path, errno))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn unsynced(&self) -> BTreeSet<PathBuf> {
        self.unsynced.lock().unwrap().clone()
    }

    /// How often a file that grew was synced.
    pub(super) fn syncs(&self) -> usize {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Takes away what was appended and not synced.
    pub(super) fn cut_power(&self) {
        for (path, length) in std::mem::take(&mut *self.grown.lock().unwrap()) {
            Real.append(&path, length, b"").unwrap();
        }
    }

    /// Notes a new name; the names below it must be safe before anything can come to rely on them.
    fn named(&self, from: Option<&Path>, to: &Path) {
        let mut unsynced = self.unsynced.lock().unwrap();
        assert!(from.is_none_or(|from| !unsynced.contains(from)), "{to:?} given to unsynced names");
        unsynced.insert(to.parent().unwrap().to_owned());
    }

    fn alive(&self, act: Act, path: &Path) -> DiskResult<()> {
        if matches!(self.failure, Failure::Crash) && self.failed() {
            return Err(DiskError::new(act, path, Errno::IO));
        }
        Ok(())
    }
}

impl Disk for Crashing {
    fn look(&self, path: &Path) -> DiskResult<Option<Facts>> {
        self.alive(Act::Look, path)?;
        Real.look(path)
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<OsString>> {
        self.alive(Act::List, dir)?;
        Real.list(dir)
    }

    fn read(&self, path: &Path, limit: u64) -> DiskResult<Option<Vec<u8>>> {
        self.alive(Act::Read, path)?;
        Real.read(path, limit)
    }

    fn read_on(&self, path: &Path, from: u64, limit: u64) -> DiskResult<Option<Tail>> {
        self.alive(Act::Read, path)?;
        Real.read_on(path, from, limit)
    }

    fn room(&self, dir: &Path) -> DiskResult<Room> {
        self.alive(Act::Look, dir)?;
        Real.room(dir)
    }

    fn check_writable(&self, dir: &Path) -> DiskResult<()> {
        self.alive(Act::Write, dir)?;
        Real.check_writable(dir)
    }

    fn create(&self, files: &[NewFile<'_>]) -> DiskResult<()> {
        for file in files {
            if let Err(error) = self.change(Act::Write, &file.path) {
                // Cut off in the middle.
                let bytes = &file.bytes[..file.bytes.len() / 2];
                let _ = Real.create(&[NewFile { bytes, ..file.clone() }]);
                return Err(error);
            }
            Real.create(std::slice::from_ref(file))?;
            self.named(None, &file.path);
            self.change(Act::Sync, &file.path)?;
        }
        Ok(())
    }

    fn jot(&self, path: &Path, bytes: &[u8]) -> DiskResult<()> {
        self.change(Act::Write, path)?;
        Real.jot(path, bytes)
    }

    fn append(&self, path: &Path, at: u64, bytes: &[u8]) -> DiskResult<()> {
        self.grown.lock().unwrap().entry(path.to_owned()).or_insert(at);
        if let Err(error) = self.change(Act::Write, path) {
            // Cut off in the middle.
            Real.append(path, at, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        Real.append(path, at, bytes)
    }

    fn sync(&self, path: &Path) -> DiskResult<()> {
        self.change(Act::Sync, path)?;
        std::thread::sleep(self.sync_takes);
        Real.sync(path)?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.grown.lock().unwrap().remove(path);
        Ok(())
    }

    fn reserve(&self, path: &Path, bytes: u64) -> DiskResult<()> {
        self.change(Act::Reserve, path)?;
        Real.reserve(path, bytes)
    }

    fn make_dir(&self, path: &Path, mode: u32) -> DiskResult<()> {
        self.change(Act::MakeDirectory, path)?;
        Real.make_dir(path, mode)?;
        self.named(None, path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.change(Act::Link, to)?;
        if self.lacks.links {
            return Err(DiskError::new(Act::Link, to, Errno::PERM));
        }
        Real.link(from, to)?;
        self.named(None, to);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.change(Act::Rename, to)?;
        Real.rename(from, to)?;
        self.grown.lock().unwrap().remove(to);
        self.named(Some(from), to);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.change(Act::Rename, to)?;
        Real.rename_new(from, to)?;
        self.named(Some(from), to);
        Ok(())
    }

    fn exchange(&self, a: &Path, b: &Path) -> DiskResult<()> {
        self.change(Act::Exchange, b)?;
        if self.lacks.exchange {
            return Err(DiskError::new(Act::Exchange, b, Errno::INVAL));
        }
        Real.exchange(a, b)?;
        self.named(Some(a), b);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        self.change(Act::Remove, path)?;
        Real.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> DiskResult<()> {
        self.change(Act::Remove, path)?;
        self.unsynced.lock().unwrap().remove(path);
        Real.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        self.change(Act::Sync, dir)?;
        self.unsynced.lock().unwrap().remove(dir);
        Real.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> DiskResult<Result<LockFile, Holder>> {
        self.alive(Act::Lock, path)?;
        Real.lock(path)
    }
}
