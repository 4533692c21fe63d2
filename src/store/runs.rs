//! When `renew` last ran by itself: whether it comes in time depends on how often it is called.
//!
//! ```text
//! good <RFC 3339>            the last that came to its end with nothing served at risk
//! <RFC 3339>[ resident]      one line per run, the newest last
//! ```
//! Worth no more than a look at the timer: it is written without a sync, what cannot be written is
//! not, and what cannot be read counts as nothing.

use std::fmt::Write;

use super::{Store, permissions};
use crate::model::time::Timestamp;
use crate::schedule::bearings::TOLERANCE;

/// How many runs are remembered.
const KEPT: usize = 8;
const RESIDENT: &str = "resident";
const GOOD: &str = "good";
/// More than the file has.
const LARGEST: u64 = 4096;

/// The last unattended runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Runs {
    /// The newest last.
    pub(crate) at: Vec<Timestamp>,
    /// Whether the last one stays, and so misses no instant while it lives.
    pub(crate) resident: bool,
    /// The last one that was good; `None` also where none was since this is written down.
    pub(crate) good: Option<Timestamp>,
}

impl Runs {
    /// What was written while the clock was ahead of `now` by much is left out.
    fn parse(text: &str, now: Timestamp) -> Self {
        let mut runs = Self::default();
        let parse = |at| Timestamp::parse(at).filter(|at| *at <= now.plus(TOLERANCE));
        for line in text.lines() {
            let (at, resident) = match line.split_once(' ') {
                Some((at, RESIDENT)) => (at, true),
                Some((GOOD, at)) => {
                    runs.good = parse(at).or(runs.good);
                    continue;
                }
                Some(_) => continue,
                None => (line, false),
            };
            if let Some(at) = parse(at) {
                runs.at.push(at);
                runs.resident = resident;
            }
        }
        runs.at.sort_unstable();
        runs
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(good) = self.good {
            writeln!(text, "{GOOD} {good}").expect("writing to a string cannot fail");
        }
        let newest = self.at.len().saturating_sub(1);
        for (number, at) in self.at.iter().enumerate() {
            let kind = if self.resident && number == newest { " resident" } else { "" };
            writeln!(text, "{at}{kind}").expect("writing to a string cannot fail");
        }
        text
    }
}

impl Store {
    /// The last unattended runs, as far as is known.
    pub(crate) fn runs(&self, now: Timestamp) -> Runs {
        let bytes = self.disk.read(&self.layout.runs(), LARGEST).ok().flatten();
        Runs::parse(&String::from_utf8_lossy(&bytes.unwrap_or_default()), now)
    }

    /// Notes that an unattended run begins, if that can be done: nothing depends on it.
    pub(crate) fn note_run(&self, now: Timestamp, resident: bool) {
        let mut runs = self.runs(now);
        runs.at.push(now);
        runs.at.drain(..runs.at.len().saturating_sub(KEPT));
        self.jot_runs(&Runs { resident, ..runs });
    }

    /// Notes that an unattended run was good, if that can be done.
    pub(crate) fn note_good_run(&self, now: Timestamp) {
        self.jot_runs(&Runs { good: Some(now), ..self.runs(now) });
    }

    fn jot_runs(&self, runs: &Runs) {
        if permissions::check_way(&self.layout.state_dir()).is_ok() {
            let _ = self.disk.jot(&self.layout.runs(), runs.text().as_bytes());
        }
    }
}
