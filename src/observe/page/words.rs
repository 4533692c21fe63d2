//! Times, spans and texts as the page writes them.

use std::time::Duration;

use chrono::{DateTime, Datelike};
use serde::Serialize;

use crate::model::time::{Timestamp, in_words};

/// So long is an instant as we write it.
const RFC3339: usize = "2027-01-15T08:00:00Z".len();

/// An instant for programs and for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct When {
    /// RFC 3339.
    pub(super) iso: String,
    /// As in `20 Jan 08:00`, with the year where that is another than now.
    pub(super) date: String,
    /// As in `in 3 d 8 h` or `3 h ago`.
    pub(super) words: String,
}

impl When {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        Self { iso: at.to_string(), date: date(at, now), words: from_now(at, now) }
    }
}

/// Says how far an instant is away, as in `in 3 d 8 h` or `3 h ago`.
pub(super) fn from_now(at: Timestamp, now: Timestamp) -> String {
    match at.since(now) {
        Duration::ZERO if at == now => "now".to_owned(),
        Duration::ZERO => format!("{} ago", in_words(now.since(at))),
        ahead => format!("in {}", in_words(ahead)),
    }
}

/// Writes an instant in UTC by format, as `chrono` has it.
pub(super) fn formatted(at: Timestamp, format: &str) -> String {
    let at = DateTime::from_timestamp(at.unix(), 0).expect("clamped to four-digit years");
    at.format(format).to_string()
}

fn date(at: Timestamp, now: Timestamp) -> String {
    let year = |at: Timestamp| DateTime::from_timestamp(at.unix(), 0).map(|at| at.year());
    match year(at) == year(now) {
        true => formatted(at, "%-d %b %H:%M"),
        false => formatted(at, "%-d %b %Y"),
    }
}

/// The text with the instants in it as [`When`] writes them.
pub(super) fn readable(text: &str, now: Timestamp) -> String {
    let words = text.split_inclusive(' ').map(|word| {
        let instant = word.get(..RFC3339).filter(|instant| instant.ends_with('Z'));
        match instant.and_then(Timestamp::parse) {
            Some(at) => format!("{}{}", date(at, now), &word[RFC3339..]),
            None => word.to_owned(),
        }
    });
    words.collect()
}

/// What there is to do, with the commands in it apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Hint(Vec<(bool, String)>);

impl Hint {
    /// Takes a sentence with commands between backticks.
    pub(super) fn of(text: &str) -> Self {
        let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
        Self(parts.map(|(place, part)| (place % 2 == 1, part.to_owned())).collect())
    }
}

/// A number with what it counts, as in `1 certificate` or `3 certificates`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A share in percent, as the position or width of something.
pub(super) fn percent(share: f64) -> f64 {
    (share.clamp(0.0, 1.0) * 1000.0).round() / 10.0
}

/// A span of seconds as people compare them, as in `4.2 ms`.
pub(super) fn milliseconds(seconds: f64) -> String {
    match seconds * 1000.0 {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.0} s", ms / 1000.0),
    }
}
