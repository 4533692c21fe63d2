//! The time all certificates share on the page, and what of each lies where on it.

use std::time::Duration;

use serde::Serialize;

use super::words::{formatted, percent};
use crate::model::generation::Generation;
use crate::model::outlook::{Held, Outlook, Prospect};
use crate::model::time::Timestamp;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Steps between two marks of the axis, in seconds.
const STEPS: [u64; 10] =
    [HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY];
/// More marks would stand too near each other.
const MOST_MARKS: u64 = 9;
/// The word for now takes so much of the axis to either side, in percent.
const ROOM: f64 = 8.0;
/// Lives that end so much later than most run off the page, for the others to be seen.
const MUCH_LATER: u32 = 4;
/// Of each certificate no more generations are shown than these.
const MOST_GENERATIONS: usize = 6;

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    now: Timestamp,
    from: Timestamp,
    to: Timestamp,
}

/// A mark of the axis.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Mark {
    at: f64,
    text: String,
}

/// A stretch of one certificate's track.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Stretch {
    /// One of the letters of the style sheet.
    class: &'static str,
    left: f64,
    width: f64,
}

/// What lies on the track of one certificate.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Track {
    stretches: Vec<Stretch>,
    planned: Option<f64>,
    safe: Option<f64>,
}

impl Axis {
    /// Takes in what is live, and of what was before about as much.
    pub(super) fn of(outlook: &Outlook) -> Self {
        let now = outlook.at;
        let ends =
            |one: &Prospect| one.live.as_ref().map(|live| live.validity.not_after.since(now));
        let mut ahead: Vec<Duration> = outlook.certificates.iter().filter_map(ends).collect();
        ahead.sort_unstable();
        let median = ahead.get(ahead.len() / 2).copied().unwrap_or_default();
        let bound = (median * MUCH_LATER).max(Duration::from_secs(DAY));
        let ahead = ahead.last().copied().unwrap_or_default().min(bound);
        let ahead = ahead.max(Duration::from_secs(DAY)).mul_f64(1.04);
        let begun = |held: &Held| now.since(held.validity.not_before);
        let past = outlook.certificates.iter().flat_map(|one| one.generations.iter().map(begun));
        let past = past.max().unwrap_or_default().clamp(ahead / 4, ahead.mul_f64(0.8));
        Self { now, from: now.minus(past), to: now.plus(ahead) }
    }

    /// Where an instant is, in percent from the left; those outside are at the edge.
    pub(super) fn place(&self, at: Timestamp) -> f64 {
        percent(at.since(self.from).as_secs_f64() / self.to.since(self.from).as_secs_f64())
    }

    pub(super) fn now(&self) -> f64 {
        self.place(self.now)
    }

    fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let all = self.to.since(self.from).as_secs();
        let step = STEPS.into_iter().find(|step| all / step <= MOST_MARKS);
        let step = i64::try_from(step.unwrap_or(all / MOST_MARKS)).unwrap_or(i64::MAX);
        let format =
            if step < i64::try_from(DAY).unwrap_or(i64::MAX) { "%-d %b %H:%M" } else { "%-d %b" };
        let first = self.from.unix().div_euclid(step) + 1;
        let instants = (first..).map(|number| Timestamp::from_unix(number * step));
        let marks = instants.take_while(|at| *at < self.to);
        let marks = marks.map(|at| Mark { at: self.place(at), text: formatted(at, format) });
        marks.filter(|mark| (mark.at - self.now()).abs() > ROOM && mark.at < 100.0 - ROOM).collect()
    }

    fn stretch(&self, class: &'static str, from: Timestamp, to: Timestamp) -> Option<Stretch> {
        let (left, right) = (self.place(from), self.place(to));
        let is_seen = to >= self.from && from <= self.to;
        is_seen.then(|| Stretch { class, left, width: ((right - left) * 10.0).round() / 10.0 })
    }

    pub(super) fn track(&self, one: &Prospect) -> Track {
        let live = one.live.as_ref().map(|live| live.generation);
        let skip = one.generations.len().saturating_sub(MOST_GENERATIONS);
        let shown = &one.generations[skip..];
        let mut stretches = Vec::new();
        for (place, held) in shown.iter().enumerate() {
            let (from, to) = (held.validity.not_before, held.validity.not_after);
            // One generation serves until the next does.
            let next = shown[place + 1..].iter().find(|next| served(next, live));
            let until = next.map_or(to, |next| to.min(next.validity.not_before));
            stretches.extend(match Some(held.generation) == live {
                true => self.stretch(if to > self.to { "l m" } else { "l" }, from, to),
                false if served(held, live) => self.stretch("p", from, until),
                false => self.stretch("o", from, to),
            });
        }
        let window = one.advice.as_ref().map(|advice| advice.window);
        stretches.extend(window.and_then(|at| self.stretch("w", at.start(), at.end())));
        let seen = |at: Option<Timestamp>| at.filter(|at| self.has(*at)).map(|at| self.place(at));
        let planned = seen(one.next.as_ref().map(|next| next.at));
        Track { stretches, planned, safe: seen(one.last_safe_attempt) }
    }
}

/// Whether a generation was, or is, what is live, as far as that can be told.
fn served(held: &Held, live: Option<Generation>) -> bool {
    let was = |live| held.generation < live && held.fate.is_none();
    live.is_some_and(|live| held.generation == live || was(live))
}
