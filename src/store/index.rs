//! What is due when, in one file: a run with nothing due reads this and no certificate.
//!
//! ```text
//! acmeagent-index 2 <stamp> <held>
//! <wakes> <expires> <failing> <name>
//! end
//! ```
//! `wakes` and `expires` are Unix times or `-`, `failing` that word or `-`. Those that are failing
//! stand first, then all are ordered by `wakes`, `-` (never) last: reading stops at the first that is
//! neither failing nor due. It is derived from the states and never trusted further: anything odd
//! makes it stale, and it is written anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::disk::LockFile;
use super::{Store, StoreError, layout};
use crate::model::name::CertName;
use crate::model::time::Timestamp;

/// The settings as the index knows them; when it differs from the directory's, the index is stale.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(String);

/// What the index knows of a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wake {
    /// When it wants to be looked at: the earliest of renewal, ARI poll and deploy retry.
    pub(crate) at: Option<Timestamp>,
    /// When what is live expires; `None` where nothing is.
    pub(crate) expires: Option<Timestamp>,
    /// Whether something is wanted of it that failed and waits to be tried again.
    pub(crate) failing: bool,
}

/// What the index says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum IndexRead {
    Fresh {
        /// Those whose time has come, the one with the least runway first.
        due: Vec<CertName>,
        /// Those that failed and wait for their next attempt.
        failing: Vec<CertName>,
        /// How many certificates there are.
        held: usize,
        /// When the next of those that are not due wakes.
        next: Option<Timestamp>,
    },
    /// Missing, damaged or older than the settings: look at every certificate, then
    /// [`Store::rebuild_index`] with this stamp.
    Stale(Stamp),
}

const MAGIC: &str = "acmeagent-index 2";
const END: &str = "end\n";
const NONE: &str = "-";
const FAILING: &str = "failing";
/// Room for some hundred thousand certificates.
const LARGEST: u64 = 64 << 20;
/// The index lock is held for milliseconds; who waits longer waits for something stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far a file system's clock may run ahead of ours without meaning anything.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// What is known of each certificate. Names are parsed when they are due, so that a change costs
/// little however many there are.
type Entries<'a> = BTreeMap<&'a str, Wake>;

/// Changes waiting to be written together. Whoever gets the turn writes for all.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<BTreeMap<CertName, Change>>,
    turn: Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Wake(Wake),
    Forget,
}

impl Store {
    /// Reads what is due. Needs no [`Store::open`] and touches nothing.
    pub(crate) fn due_from_index(&self, now: Timestamp) -> Result<IndexRead, StoreError> {
        let stamp = self.stamp()?;
        let written = self.disk.look(&self.layout.index())?.map(|facts| facts.modified.0);
        if written.is_some_and(|at| Timestamp::from_unix(at) > now.plus(CLOCK_SKEW)) {
            // Written while the clock was ahead: what it puts off may be due long since.
            return Ok(IndexRead::Stale(stamp));
        }
        let text = self.index_text()?;
        let read = Lines::parse(&text, &stamp).and_then(|lines| lines.due(now));
        Ok(read.unwrap_or(IndexRead::Stale(stamp)))
    }

    /// Notes when a certificate wants to be looked at next. Callers in parallel are written together.
    ///
    /// Where there is no usable index nothing is written: it stays stale.
    pub(crate) fn update_index(&self, name: &CertName, wake: Wake) -> Result<(), StoreError> {
        self.change_index(name, Change::Wake(wake))
    }

    pub(super) fn drop_from_index(&self, name: &CertName) -> Result<(), StoreError> {
        self.change_index(name, Change::Forget)
    }

    fn change_index(&self, name: &CertName, change: Change) -> Result<(), StoreError> {
        // A thread that died holding one of these left nothing half done in it.
        let waiting = || self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().insert(name.clone(), change);
        let _turn = self.queue.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting().is_empty() {
            return Ok(());
        }
        let _lock = self.lock_index()?;
        let changes = std::mem::take(&mut *waiting());
        let (stamp, text) = (self.stamp()?, self.index_text()?);
        let Some(entries) = Lines::parse(&text, &stamp).and_then(Lines::entries) else {
            return Ok(());
        };
        let changed = self.write_index(&stamp, &changed(entries, &changes));
        if changed.is_err() {
            // Better no index than one that knows nothing of this change.
            let _ = self.disk.remove_file(&self.layout.index());
        }
        changed
    }

    /// Notes for many certificates at once when they want to be looked at next, without their locks.
    ///
    /// Only those that were due before `began` are moved: what was written since then is another
    /// run's, and newer. Should nothing be written, they are looked at once more.
    pub(crate) fn update_due(
        &self,
        began: Timestamp,
        wakes: &[(CertName, Wake)],
    ) -> Result<(), StoreError> {
        if wakes.is_empty() {
            return Ok(());
        }
        let _turn = self.queue.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_index()?;
        let (stamp, text) = (self.stamp()?, self.index_text()?);
        let Some(mut entries) = Lines::parse(&text, &stamp).and_then(Lines::entries) else {
            return Ok(());
        };
        for (name, wake) in wakes {
            let entry = entries.get_mut(name.as_str());
            if let Some(entry) = entry.filter(|entry| entry.at.is_some_and(|at| at < began)) {
                *entry = *wake;
            }
        }
        self.write_index(&stamp, &entries)
    }

    /// Makes the index stale, so that the next run looks at every certificate and its settings.
    pub(crate) fn forget_index(&self) -> Result<(), StoreError> {
        let _turn = self.queue.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_index()?;
        Ok(self.disk.remove_file(&self.layout.index())?)
    }

    /// Runs a change of the settings under the index lock, so that our own changes do not make the
    /// index stale; somebody else's before it do.
    pub(super) fn change_settings(
        &self,
        change: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _turn = self.queue.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_index()?;
        let text = self.index_text()?;
        let entries = Lines::parse(&text, &self.stamp()?).and_then(Lines::entries);
        change()?;
        entries.map_or(Ok(()), |entries| self.write_index(&self.stamp()?, &entries))
    }

    /// Takes the turn to write the index, and removes what an interrupted writer left.
    fn lock_index(&self) -> Result<LockFile, StoreError> {
        let what = || "the index".to_owned();
        let lock = self.wait_for(&self.layout.index_lock(), PATIENCE, what)?;
        self.disk.remove_tree(&layout::temporary(&self.layout.index()))?;
        Ok(lock)
    }

    /// The index as it lies there; what is not even text counts as none.
    fn index_text(&self) -> Result<String, StoreError> {
        let bytes = self.disk.read(&self.layout.index(), LARGEST)?.unwrap_or_default();
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }

    /// Writes the whole index. `stamp` is from before the certificates were looked at.
    pub(crate) fn rebuild_index(
        &self,
        stamp: &Stamp,
        entries: &[(CertName, Wake)],
    ) -> Result<(), StoreError> {
        let entries = entries.iter().map(|(name, wake)| (name.as_str(), *wake)).collect();
        let _turn = self.queue.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_index()?;
        self.write_index(stamp, &entries)
    }

    fn write_index(&self, stamp: &Stamp, entries: &Entries<'_>) -> Result<(), StoreError> {
        let mut lines: Vec<_> = entries.iter().collect();
        lines.sort_by_key(|(_, wake)| (!wake.failing, wake.at.unwrap_or(Timestamp::MAX)));
        let mut text = format!("{MAGIC} {} {}\n", stamp.0, lines.len());
        for (name, Wake { at, expires, failing }) in lines {
            for time in [at, expires] {
                match time {
                    Some(time) => write!(text, "{} ", time.unix()),
                    None => write!(text, "{NONE} "),
                }
                .expect("writing to a string cannot fail");
            }
            let failing = if *failing { FAILING } else { NONE };
            writeln!(text, "{failing} {name}").expect("writing to a string cannot fail");
        }
        text.push_str(END);
        Ok(self.disk.replace(&self.layout.index(), text.as_bytes())?)
    }

    /// What the settings look like now: when the directory and the main file last changed.
    fn stamp(&self) -> Result<Stamp, StoreError> {
        let mut text = String::new();
        for path in [self.layout.certificates_dir(), self.layout.main_settings()] {
            let (seconds, nanos) = self.disk.look(&path)?.map_or((0, 0), |facts| facts.modified);
            let comma = if text.is_empty() { "" } else { "," };
            write!(text, "{comma}{seconds}.{nanos:09}").expect("writing to a string cannot fail");
        }
        Ok(Stamp(text))
    }
}

fn changed<'a>(mut entries: Entries<'a>, changes: &'a BTreeMap<CertName, Change>) -> Entries<'a> {
    for (name, change) in changes {
        match change {
            Change::Wake(wake) => drop(entries.insert(name.as_str(), *wake)),
            Change::Forget => drop(entries.remove(name.as_str())),
        }
    }
    entries
}

/// The body of an index that is fresh and complete.
struct Lines<'a> {
    held: usize,
    body: &'a str,
}

impl<'a> Lines<'a> {
    fn parse(text: &'a str, stamp: &Stamp) -> Option<Self> {
        let (head, rest) = text.split_once('\n')?;
        let head = head.strip_prefix(MAGIC)?.strip_prefix(' ')?.strip_prefix(stamp.0.as_str())?;
        let held = head.strip_prefix(' ')?.parse().ok()?;
        let body = rest.strip_suffix(END)?;
        (body.is_empty() || body.ends_with('\n')).then_some(Self { held, body })
    }

    fn due(&self, now: Timestamp) -> Option<IndexRead> {
        let (mut due, mut failing, mut next) = (Vec::new(), Vec::new(), None);
        for line in self.body.lines() {
            let (wake, name) = read_line(line)?;
            if wake.at.is_some_and(|at| at <= now) {
                due.push((wake.expires, CertName::parse(name).ok()?));
                continue;
            }
            next = [next, wake.at].into_iter().flatten().min();
            if !wake.failing {
                break;
            }
            failing.push(CertName::parse(name).ok()?);
        }
        due.sort_by_key(|(expires, _)| *expires);
        let due = due.into_iter().map(|(_, name)| name).collect();
        Some(IndexRead::Fresh { due, failing, held: self.held, next })
    }

    fn entries(self) -> Option<Entries<'a>> {
        let line = |line| read_line(line).map(|(wake, name)| (name, wake));
        let entries = self.body.lines().map(line).collect::<Option<Entries>>()?;
        (entries.len() == self.held).then_some(entries)
    }
}

fn read_line(line: &str) -> Option<(Wake, &str)> {
    let (at, rest) = line.split_once(' ')?;
    let (expires, rest) = rest.split_once(' ')?;
    let (failing, name) = rest.split_once(' ')?;
    let time = |text: &str| match text {
        NONE => Some(None),
        text => Some(Some(Timestamp::from_unix(text.parse().ok()?))),
    };
    let failing = match failing {
        FAILING => true,
        NONE => false,
        _ => return None,
    };
    Some((Wake { at: time(at)?, expires: time(expires)?, failing }, name))
}
