//! What the lines of the ledger come to. Touches no disk.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::disk::Tail;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::schedule::bearings::TOLERANCE;
use crate::schedule::budget::{Budget, Entry, What};
use crate::schedule::limits::Limits;

/// The version of everything this one writes.
pub(super) const VERSION: u64 = 1;

const MAGIC: &str = "acmeagent-ledger";
/// Shorter than this it is never written anew for its length.
const LONG: usize = 4096;
/// What was counted longer ago than any limit looks back, with a day to spare.
const FORGOTTEN: Duration = Duration::from_secs(8 * 24 * 3600);

/// An identifier a CA takes no orders for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Paused {
    pub(crate) ca: String,
    pub(crate) identifier: Identifier,
    /// Where a person can end it.
    pub(crate) page: String,
}

/// The ledger as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// By CA, once its limits are known.
    counted: BTreeMap<String, (Limits, Budget)>,
    /// Of the other CAs.
    waiting: BTreeMap<String, Vec<Entry>>,
    inode: Option<(u64, u64)>,
    /// Always the end of a line.
    read_to: u64,
    /// The last line read; while it lies where it lay, the file has only grown since.
    last: Vec<u8>,
    lines: usize,
    /// So long it may become before it is looked at what of it is needed.
    bound: usize,
    /// The latest time in the file, be it believed or not.
    newest: Option<Timestamp>,
    /// An entry was taken to be earlier than it says.
    is_moved: bool,
    flaw: Option<String>,
}

impl Books {
    pub(super) fn flawed(why: String) -> Self {
        Self { flaw: Some(why), ..Self::default() }
    }

    /// The first thing found that no ledger of ours has.
    pub(super) fn flaw(&self) -> Option<&str> {
        self.flaw.as_deref()
    }

    pub(super) fn inode(&self) -> Option<(u64, u64)> {
        self.inode
    }

    /// Where a next line belongs; what lies behind is half a line of a writer that died.
    pub(super) fn end(&self) -> u64 {
        self.read_to
    }

    /// Where to read on: at the last line, to see whether it is still there.
    pub(super) fn from(&self) -> u64 {
        self.read_to - self.last.len() as u64
    }

    /// Whether an entry claimed to be later than it was read: a clock was ahead when it was written.
    pub(super) fn is_moved(&self) -> bool {
        self.is_moved
    }

    /// Whether the books can be kept as they are, or the file has to be read from its beginning.
    pub(super) fn will_do(&self, ca: &str, limits: Limits, now: Timestamp) -> bool {
        let counted_otherwise = self.counted.get(ca).is_some_and(|(by, _)| *by != limits);
        let is_ahead = self.newest.is_some_and(|newest| is_later(newest, now));
        !counted_otherwise && self.flaw.is_none() && !self.is_moved && !is_ahead
    }

    /// What is new in `tail`, read from [`Books::from`]; `None` when it is another file by now.
    pub(super) fn news<'a>(&self, tail: &'a Tail) -> Option<&'a [u8]> {
        let same = self.inode.is_none_or(|inode| inode == tail.inode);
        tail.bytes.strip_prefix(self.last.as_slice()).filter(|_| same)
    }

    /// Takes the whole lines of `news`, and of each that says it is later than `now` that it is
    /// not. What is no entry is a flaw and passed over.
    ///
    /// # Errors
    /// The version of a ledger newer than this program.
    pub(super) fn read(
        &mut self,
        inode: (u64, u64),
        news: &[u8],
        now: Timestamp,
    ) -> Result<(), u64> {
        self.inode = Some(inode);
        let whole = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = news[..whole].split_inclusive(|byte| *byte == b'\n').peekable();
        if self.read_to == 0 {
            match lines.peek().and_then(|line| version(line)) {
                Some(VERSION) => drop(lines.next()),
                Some(newer) => return Err(newer),
                None => self.flaw = Some("it does not begin as a ledger does".to_owned()),
            }
        }
        for line in lines {
            self.lines += 1;
            match serde_json::from_slice(line) {
                Ok(entry) => self.enter(entry, now),
                Err(_) if self.flaw.is_some() => {}
                Err(_) => self.flaw = Some(format!("line {} is not readable", self.lines + 1)),
            }
        }
        self.read_to += whole as u64;
        if let Some(last) = news[..whole].split_inclusive(|byte| *byte == b'\n').next_back() {
            self.last = last.to_owned();
        }
        Ok(())
    }

    fn enter(&mut self, entry: Entry, now: Timestamp) {
        self.newest = self.newest.max(Some(entry.at));
        let entry = if is_later(entry.at, now) {
            self.is_moved = true;
            moved_to(now, entry)
        } else {
            entry
        };
        match self.counted.get_mut(&entry.ca) {
            Some((_, budget)) => budget.enter(&entry),
            None => self.waiting.entry(entry.ca.clone()).or_default().push(entry),
        }
    }

    /// What a CA with these limits still allows.
    pub(super) fn budget(&mut self, ca: &str, limits: Limits) -> &Budget {
        let (_, budget) =
            self.counted.entry(ca.to_owned()).or_insert_with(|| (limits, Budget::new(limits)));
        for entry in self.waiting.remove(ca).unwrap_or_default() {
            budget.enter(&entry);
        }
        budget
    }

    /// What CAs have paused: the CA, the identifier and the page to visit.
    pub(super) fn paused(&self) -> Vec<Paused> {
        let mut budgets: Vec<(&String, Budget)> = Vec::new();
        budgets.extend(self.counted.iter().map(|(ca, (_, budget))| (ca, budget.clone())));
        for (ca, entries) in &self.waiting {
            // A pause is one whatever the limits are.
            let mut budget = Budget::new(Limits::UNKNOWN);
            entries.iter().for_each(|entry| budget.enter(entry));
            budgets.push((ca, budget));
        }
        let of_one = |(ca, budget): &(&String, Budget)| {
            let paused = budget.pages().map(|(identifier, page)| Paused {
                ca: (*ca).clone(),
                identifier: identifier.clone(),
                page: page.to_owned(),
            });
            paused.collect::<Vec<_>>()
        };
        budgets.iter().flat_map(of_one).collect()
    }

    /// The entries that still matter: of a CA whose limits are not known, all that may.
    pub(super) fn entries(&self, now: Timestamp) -> Vec<Entry> {
        let counted = self.counted.iter().flat_map(|(ca, (_, budget))| budget.entries(ca, now));
        let waiting = self.waiting.values().flatten().filter(|entry| may_matter(entry, now));
        counted.chain(waiting.cloned()).collect()
    }

    /// Whether the file has become much longer than it need be.
    pub(super) fn is_long(&mut self, now: Timestamp) -> bool {
        if self.lines <= self.bound.max(LONG) {
            return false;
        }
        self.bound = self.entries(now).len().saturating_mul(2).max(LONG);
        self.lines > self.bound
    }
}

/// A whole file with these entries.
pub(super) fn file(entries: &[Entry]) -> String {
    format!("{MAGIC} {VERSION}\n{}", lines(entries))
}

pub(super) fn lines(entries: &[Entry]) -> String {
    let line = |entry| serde_json::to_string(entry).expect("an entry is plain data") + "\n";
    entries.iter().map(line).collect()
}

/// The version a first line tells; `None` when it is none of ours.
fn version(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix(MAGIC)?;
    let version = text.strip_prefix(' ')?.strip_suffix('\n')?.parse().ok()?;
    (version >= VERSION).then_some(version)
}

fn may_matter(entry: &Entry, now: Timestamp) -> bool {
    match &entry.what {
        What::Ordering { .. }
        | What::Settled { .. }
        | What::Registering
        | What::Unproven { .. } => entry.at.plus(FORGOTTEN) > now,
        What::Refused { .. } | What::Paused { .. } | What::Resumed { .. } | What::Level { .. } => {
            true
        }
    }
}

fn is_later(at: Timestamp, now: Timestamp) -> bool {
    at > now.plus(TOLERANCE)
}

/// Moves an entry from the future to `now`, with the instants it speaks of.
fn moved_to(now: Timestamp, entry: Entry) -> Entry {
    let ahead = entry.at.since(now);
    let what = match entry.what {
        What::Refused { scope, until } => What::Refused { scope, until: until.minus(ahead) },
        What::Level { scope, full_at } => {
            let ahead = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX);
            What::Level { scope, full_at: full_at.saturating_sub(ahead) }
        }
        what => what,
    };
    Entry { at: now, what, ..entry }
}
