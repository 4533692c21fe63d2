//! Handshakes with the old and the new certificate, beside each other.

use serde::Serialize;

use super::super::alert::plain;
use super::rows::Judged;
use super::words::{When, milliseconds, percent};
use crate::model::tally::{Counted, Handshakes, Place};
use crate::model::time::Timestamp;

/// What was measured, in the order of what is to be looked at first.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pairs: Vec<Pair>,
    /// How many are left out.
    more: usize,
}

/// One certificate at one place, before and after a switch.
#[derive(Debug, Serialize)]
struct Pair {
    anchor: usize,
    name: String,
    /// Where, or who counted.
    place: String,
    old: Side,
    new: Side,
    /// What is wrong, if anything is.
    problem: Option<String>,
    /// As in `+12 %`.
    change: Option<String>,
    seen: When,
    #[serde(skip)]
    seconds: (Option<f64>, Option<f64>),
}

#[derive(Debug, Default, Serialize)]
struct Side {
    took: Option<String>,
    /// Of the longest of all, in percent.
    width: f64,
    /// As in `2 of 52`; nothing where nobody counted.
    failed: Option<String>,
    has_failed: bool,
}

/// So many are shown.
const MOST: usize = 24;

pub(super) fn latency(sorted: &[Judged<'_>], now: Timestamp) -> Latency {
    let mut pairs = Vec::new();
    for (anchor, (one, _)) in sorted.iter().enumerate() {
        let name = one.name.to_string();
        let counts = one.observed.handshakes.iter();
        pairs.extend(counts.map(|counts| of_clients(counts, anchor, &name, now)));
        let places = one.observed.places.iter();
        pairs.extend(places.map(|(place, seen)| of_place(place, seen, anchor, &name, now)));
    }
    pairs.sort_by_cached_key(|pair| {
        let fails = pair.problem.is_some() || pair.new.has_failed;
        (!fails, pair.new.failed.is_none(), std::cmp::Reverse(slower_by(pair)))
    });
    let more = pairs.len().saturating_sub(MOST);
    pairs.truncate(MOST);
    let all = pairs.iter().flat_map(|pair| [pair.seconds.0, pair.seconds.1]).flatten();
    let longest = all.fold(0.0, f64::max);
    for pair in &mut pairs {
        let width = |took: Option<f64>| took.map_or(0.0, |took| percent(took / longest));
        (pair.old.width, pair.new.width) = (width(pair.seconds.0), width(pair.seconds.1));
    }
    Latency { pairs, more }
}

/// By how many microseconds the new one takes longer.
#[expect(clippy::cast_possible_truncation, reason = "a float's cast saturates")]
fn slower_by(pair: &Pair) -> i64 {
    let (old, new) = pair.seconds;
    old.zip(new).map_or(i64::MIN, |(old, new)| ((new - old) * 1e6) as i64)
}

fn of_clients(counts: &Handshakes, anchor: usize, name: &str, now: Timestamp) -> Pair {
    let side = |counted: &Counted| {
        let bad = counted.failed.saturating_add(counted.refused);
        let failed = (counted.all() > 0).then(|| format!("{bad} of {}", counted.all()));
        let took = counted.mean.map(milliseconds);
        Side { took, failed, has_failed: bad > 0, ..Side::default() }
    };
    let (old, new) = (side(&counts.old), side(&counts.new));
    let refused = counts.new.refused;
    let problem = (refused > 0).then(|| format!("{refused} clients did not accept the new one"));
    Pair {
        anchor,
        name: name.to_owned(),
        place: "as its server counted".to_owned(),
        old,
        new,
        problem,
        change: change(counts.old.mean, counts.new.mean),
        seen: When::of(counts.at, now),
        seconds: (counts.old.mean, counts.new.mean),
    }
}

fn of_place(place: &str, seen: &Place, anchor: usize, name: &str, now: Timestamp) -> Pair {
    let side = |took: Option<f64>| Side { took: took.map(milliseconds), ..Side::default() };
    let wrong = || seen.problem.as_deref().unwrap_or("it does not serve what is live");
    let problem = (!seen.serves).then(|| plain(wrong()));
    Pair {
        anchor,
        name: name.to_owned(),
        // Most places are called after the certificate.
        place: plain(place.strip_prefix(name).map_or(place, str::trim_start)),
        old: side(seen.took_before),
        new: side(seen.took),
        problem,
        change: change(seen.took_before, seen.took),
        seen: When::of(seen.at, now),
        seconds: (seen.took_before, seen.took),
    }
}

/// By how much the new one takes longer, or is quicker.
fn change(old: Option<f64>, new: Option<f64>) -> Option<String> {
    let (old, new) = old.zip(new).filter(|(old, _)| *old > 0.0)?;
    let change = (new / old - 1.0) * 100.0;
    Some(if change.abs() < 0.5 {
        "±0 %".to_owned()
    } else {
        format!("{change:+.0} %").replace('-', "−")
    })
}
