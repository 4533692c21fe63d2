//! What was counted of all runs.
//!
//! ```text
//! acmeagent-tally 1 <SHA-256 of all that follows>
//! <JSON: the counts>
//! <name> <JSON: what was seen of it last>       for each certificate
//! ```
//! Worth no more than a look at a chart: it is written without a sync, a run with nothing to count
//! does not write it, and what cannot be read is begun anew. Lines of certificates of which nothing
//! is counted are copied as they are, so that a run costs little however many there are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Store, StoreError, layout, sealed};
use crate::model::event::Event;
use crate::model::name::CertName;
use crate::model::tally::Tally;
use crate::model::time::Timestamp;

const MAGIC: &str = "acmeagent-tally";
const VERSION: u64 = 1;
/// Room for some hundred thousand certificates.
const LARGEST: u64 = 256 << 20;
/// The lock is held for milliseconds; who waits longer waits for something stuck.
const PATIENCE: Duration = Duration::from_secs(3);

impl Store {
    /// What was counted so far; nothing since now where that is not known.
    pub(crate) fn tally(&self, now: Timestamp) -> Tally {
        let text = self.tally_text().unwrap_or_default();
        let Ok(Pages { mut counts, certificates }) = self.pages(&text, now) else {
            return Tally::begun(now);
        };
        let read = |(name, json): (&str, &str)| {
            Some((CertName::parse(name).ok()?, serde_json::from_str(json).ok()?))
        };
        counts.certificates = certificates.into_iter().filter_map(read).collect();
        counts
    }

    /// Adds what happened, and forgets certificates that do not exist any more.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer version counted: its counts are left alone.
    pub(crate) fn count(
        &self,
        now: Timestamp,
        events: &[(Timestamp, Event)],
        exists: impl Fn(&CertName) -> bool,
    ) -> Result<(), StoreError> {
        if !Tally::concerns(events) {
            return Ok(());
        }
        let what = || "the tally".to_owned();
        let _lock = self.wait_for(&self.layout.tally_lock(), PATIENCE, what)?;
        let text = self.tally_text()?;
        let Pages { mut counts, certificates: mut others } = self.pages(&text, now)?;
        for (at, event) in events {
            let name = event.name();
            let held =
                others.remove(name.as_str()).and_then(|json| serde_json::from_str(json).ok());
            if let Some(held) = held {
                counts.certificates.insert(name.clone(), held);
            }
            counts.note(*at, event);
        }
        counts.keep(&exists);
        others.retain(|name, _| CertName::parse(name).is_ok_and(|name| exists(&name)));
        self.write_tally(&written(counts, &others))
    }

    fn write_tally(&self, text: &str) -> Result<(), StoreError> {
        let path = self.layout.tally();
        let next = layout::temporary(&path);
        self.disk.remove_tree(&next)?;
        let jotted = self.disk.jot(&next, text.as_bytes());
        let written = jotted.and_then(|()| self.disk.rename(&next, &path));
        written.map_err(|error| self.explain(error, &self.layout.state_dir(), text.len()))
    }

    /// The tally as it lies there; what is not even text counts as none.
    fn tally_text(&self) -> Result<String, StoreError> {
        let bytes = self.disk.read(&self.layout.tally(), LARGEST)?.unwrap_or_default();
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }

    fn pages<'a>(&self, text: &'a str, now: Timestamp) -> Result<Pages<'a>, StoreError> {
        match version(text) {
            Some(found) if found > VERSION => {
                let path = self.layout.tally();
                Err(StoreError::NewerSchema { path, found, known: VERSION })
            }
            _ => Ok(Pages::parse(text).unwrap_or_else(|| Pages::begun(now))),
        }
    }
}

/// A tally whose certificates were not read yet.
struct Pages<'a> {
    counts: Tally,
    /// The JSON of each.
    certificates: BTreeMap<&'a str, &'a str>,
}

impl<'a> Pages<'a> {
    fn begun(now: Timestamp) -> Self {
        Self { counts: Tally::begun(now), certificates: BTreeMap::new() }
    }

    fn parse(text: &'a str) -> Option<Self> {
        let (head, body) = text.split_once('\n')?;
        if head != header(body) {
            return None;
        }
        let (counts, lines) = body.split_once('\n')?;
        let certificates = lines.lines().map(|line| line.split_once(' '));
        Some(Self {
            counts: serde_json::from_str(counts).ok()?,
            certificates: certificates.collect::<Option<_>>()?,
        })
    }
}

fn version(text: &str) -> Option<u64> {
    text.strip_prefix(MAGIC)?.split_whitespace().next()?.parse().ok()
}

fn header(body: &str) -> String {
    format!("{MAGIC} {VERSION} {}", sealed::sha256(body.as_bytes()))
}

fn written(mut counts: Tally, others: &BTreeMap<&str, &str>) -> String {
    let touched = std::mem::take(&mut counts.certificates);
    let mut body = json(&counts) + "\n";
    for (name, observed) in &touched {
        add_line(&mut body, name.as_str(), &json(observed));
    }
    for (name, json) in others {
        add_line(&mut body, name, json);
    }
    format!("{}\n{body}", header(&body))
}

fn add_line(body: &mut String, name: &str, json: &str) {
    for part in [name, " ", json, "\n"] {
        body.push_str(part);
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with text keys")
}
