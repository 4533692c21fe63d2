//! What was done, for good: [`crate::model::history`] on the disk.
//!
//! A file for each year, and another where one grew large; the chain goes on from one to the next.
//! All that one run did is appended at once and synced once; only then the head is noted beside it.
//! So what follows the noted head and does not continue the chain is what a crash left: it was never
//! promised, and is cut off by the next writer. What is lost or changed before the head stays seen:
//! the next record follows on the noted one.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::disk::{Access, NewFile};
use super::layout::HistoryPart;
use super::{Store, StoreError, sealed};
use crate::model::history::{Broken, Deed, Head, Record, Verifier};
use crate::model::name::CertName;

/// From this size on a file is not added to.
const LARGE: u64 = 16 << 20;
/// More than a file and what one run adds to it.
const LARGEST: u64 = 64 << 20;
/// The lock is held for milliseconds; who waits longer waits for something stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was noted after the last sync.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Noted {
    head: Head,
    part: HistoryPart,
    /// Where the next line of the part belongs.
    end: u64,
}

/// Where the next record belongs.
struct Place {
    head: Head,
    newest: Option<HistoryPart>,
    /// Where the next line belongs in the newest file; `None` where that is not to be added to.
    end: Option<u64>,
}

impl Place {
    /// The file of the next record, and where it belongs in it; `None` for one that is not there yet.
    fn next(&self, year: u16) -> (HistoryPart, Option<u64>) {
        match (self.newest, self.end.filter(|end| *end < LARGE)) {
            (Some(newest), Some(end)) if newest.year >= year => (newest, Some(end)),
            (Some(HistoryPart { year: begun, number }), _) if begun >= year => {
                (HistoryPart { year: begun, number: number + 1 }, None)
            }
            _ => (HistoryPart { year, number: 1 }, None),
        }
    }
}

/// Why the history cannot be relied on.
#[derive(Debug, Error)]
pub(crate) enum HistoryFault {
    #[error("{broken} in {}", path.display())]
    Broken { path: PathBuf, broken: Broken },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Adds what was done to the history; once this returns, it survives a power cut.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Disk`], or [`StoreError::Locked`] by something that is
    /// stuck: nothing was added then.
    pub(crate) fn write_history(&self, deeds: &[Deed]) -> Result<Option<Head>, StoreError> {
        let Some(first) = deeds.first() else { return Ok(None) };
        let dir = self.layout.history_dir();
        self.make_checked(&dir, 0o700)?;
        let _lock =
            self.wait_for(&self.layout.history_lock(), PATIENCE, || "the history".into())?;
        let place = self.end_of_history()?;
        let (part, at) = place.next(first.at.year());
        let (mut head, newest, path) = (place.head, place.newest, self.layout.history(part));
        let lines: String = deeds.iter().map(|deed| head.append(deed)).collect();
        let written = match at {
            Some(at) => {
                let appended = self.disk.append(&path, at, lines.as_bytes());
                appended.and_then(|()| self.disk.sync(&path))
            }
            None => {
                let access = Access { mode: 0o600, ..Access::default() };
                let file = NewFile { path, bytes: lines.as_bytes(), access };
                // What it goes on from must not be taken away by a power cut.
                let before =
                    newest.map_or(Ok(()), |part| self.disk.sync(&self.layout.history(part)));
                let created = before.and_then(|()| self.disk.create(&[file]));
                created.and_then(|()| self.disk.sync_dir(&dir))
            }
        };
        written.map_err(|error| self.explain(error, &dir, lines.len()))?;
        let end = at.unwrap_or(0) + lines.len() as u64;
        let noted = Noted { head: head.clone(), part, end };
        // Without it only the loss of the last records would go unseen.
        let _ = self.disk.jot(&self.layout.history_head(), &sealed::seal(&noted));
        Ok(Some(head))
    }

    /// What was done with these certificates, or with all, in its order; what cannot be read is left
    /// out. Reads only, as [`Store::verify_history`] does.
    pub(crate) fn history(&self, names: &[CertName]) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for part in self.parts()? {
            let bytes = self.read_part(part, 0)?;
            let read = whole_lines(&bytes).filter_map(|line| serde_json::from_slice(line).ok());
            records.extend(
                read.filter(|record: &Record| {
                    names.is_empty() || names.contains(&record.deed.name)
                }),
            );
        }
        Ok(records)
    }

    /// Follows the history from its beginning to the head; `None` where there is none.
    ///
    /// Reads only: takes no lock, needs no [`Store::open`], works on a read-only disk.
    pub(crate) fn verify_history(&self) -> Result<Option<Head>, HistoryFault> {
        // First: what it knows of must be there then, whoever writes meanwhile.
        let noted = self.noted_head();
        let mut path = self.layout.history_dir();
        let (parts, is_noted) = (self.parts()?, noted.is_some());
        let mut verifier = Verifier::new(noted.map(|noted| noted.head));
        for part in &parts {
            path = self.layout.history(*part);
            let bytes = self.read_part(*part, 0)?;
            let lines: Vec<&[u8]> = whole_lines(&bytes).collect();
            let followed = verifier.follow(&lines);
            followed.map_err(|broken| HistoryFault::Broken { path: path.clone(), broken })?;
        }
        let head = verifier.end().map_err(|broken| HistoryFault::Broken { path, broken })?;
        Ok((is_noted || !parts.is_empty()).then_some(head))
    }

    fn end_of_history(&self) -> Result<Place, StoreError> {
        let (noted, parts) = (self.noted_head(), self.parts()?);
        let Some(Noted { mut head, part, end }) = noted else { return self.end_unnoted(&parts) };
        let mut place = Place { head: Head::default(), newest: parts.last().copied(), end: None };
        for open in parts.into_iter().filter(|open| *open >= part) {
            let mut from = if open == part { end } else { 0 };
            // With the end of the line before, to see that it is there.
            let tail = self.read_part(open, from.saturating_sub(1))?;
            let news = match (from, tail.as_slice()) {
                (0, tail) => tail,
                (_, [b'\n', news @ ..]) => news,
                // Something was lost: what there is stays as it is.
                _ => continue,
            };
            for line in whole_lines(news).take_while(|line| head.follow(line)) {
                from += line.len() as u64 + 1;
            }
            place.end = Some(from).filter(|_| place.newest == Some(open));
        }
        Ok(Place { head, ..place })
    }

    /// The end as the files tell it.
    fn end_unnoted(&self, parts: &[HistoryPart]) -> Result<Place, StoreError> {
        let (newest, mut end) = (parts.last().copied(), None);
        for part in parts.iter().rev() {
            let bytes = self.read_part(*part, 0)?;
            let lines: Vec<&[u8]> = whole_lines(&bytes).collect();
            end = end.or_else(|| Some(lines.iter().map(|line| line.len() as u64 + 1).sum()));
            if let Some(head) = lines.iter().rev().find_map(|line| Head::at(line)) {
                return Ok(Place { head, newest, end });
            }
        }
        Ok(Place { head: Head::default(), newest, end })
    }

    /// The head as it was noted; what cannot be read counts as nothing.
    fn noted_head(&self) -> Option<Noted> {
        self.read_sealed(&self.layout.history_head()).ok()
    }

    /// The files there are, the oldest first.
    fn parts(&self) -> Result<Vec<HistoryPart>, StoreError> {
        let names = self.disk.list(&self.layout.history_dir())?;
        let parts = names.iter().filter_map(|name| HistoryPart::parse(name.to_str()?));
        let mut parts: Vec<HistoryPart> = parts.collect();
        parts.sort_unstable();
        Ok(parts)
    }

    fn read_part(&self, part: HistoryPart, from: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.layout.history(part);
        match self.disk.read_on(&path, from, LARGEST) {
            Err(error) if error.is_misshapen() => {
                Err(StoreError::Damaged { path, what: error.source.to_string() })
            }
            read => Ok(read?.map(|tail| tail.bytes).unwrap_or_default()),
        }
    }
}

/// The lines of a file; half a one is what a crash left.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    bytes[..whole].split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1])
}
