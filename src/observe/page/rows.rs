//! The certificates: those that need somebody first, then those that expire first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::super::alert::{Condition, Severity, plain};
use super::axis::{Axis, Track};
use super::words::{Hint, When, counted, readable};
use crate::model::outlook::{Outlook, Prospect};
use crate::model::time::{Timestamp, in_words};

/// So many names of a certificate are shown.
const MOST_NAMES: usize = 3;
/// Where more certificates are well than these, they are folded away.
const MOST_UNFOLDED: usize = 100;

/// Certificates that belong together.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    id: &'static str,
    title: &'static str,
    is_open: bool,
    pub(super) rows: Vec<Row>,
}

/// One certificate.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    anchor: usize,
    pub(super) name: String,
    names: String,
    ca: String,
    /// How bad it is: `c`, `w` or nothing.
    level: &'static str,
    until: Option<When>,
    /// What is left of the life of what is served.
    left: String,
    share: Option<u8>,
    next: Option<When>,
    why: String,
    track: Track,
    /// What the track shows, in words.
    told: String,
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Failure {
    when: Option<When>,
    /// As in `3 times in a row`.
    often: String,
    message: String,
    hint: Hint,
}

/// A certificate with the worst that holds of it.
pub(super) type Judged<'a> = (&'a Prospect, Option<Severity>);

/// In the order of the page.
pub(super) fn sorted<'a>(outlook: &'a Outlook, holding: &[Condition]) -> Vec<Judged<'a>> {
    let mut worst: BTreeMap<&str, Severity> = BTreeMap::new();
    for one in holding {
        if let Some(name) = &one.certificate {
            let known = worst.entry(name).or_insert(one.severity);
            *known = one.severity.max(*known);
        }
    }
    let judged =
        outlook.certificates.iter().map(|one| (one, worst.get(one.name.as_str()).copied()));
    let mut sorted: Vec<Judged<'_>> = judged.collect();
    let ends = |one: &Prospect| one.live.as_ref().map(|live| live.validity.not_after);
    sorted.sort_by_key(|(one, worst)| (Reverse(*worst), ends(one), &one.name));
    sorted
}

pub(super) fn groups(sorted: &[Judged<'_>], axis: &Axis, now: Timestamp) -> Vec<Group> {
    let rows = sorted.iter().enumerate().map(|(anchor, judged)| row(judged, anchor, axis, now));
    let (ill, well): (Vec<Row>, Vec<Row>) = rows.partition(|row| !row.level.is_empty());
    let title = if ill.is_empty() {
        "All, the first to expire first"
    } else {
        "Well, the first to expire first"
    };
    let is_open = well.len() <= MOST_UNFOLDED;
    let ill =
        Group { id: "ill", title: "Need somebody, the worst first", is_open: true, rows: ill };
    let well = Group { id: "well", title, is_open, rows: well };
    [ill, well].into_iter().filter(|group| !group.rows.is_empty()).collect()
}

/// The class of what is that bad.
pub(super) fn level(worst: Option<Severity>) -> &'static str {
    match worst {
        Some(Severity::Critical) => "c",
        Some(Severity::Warning) => "w",
        None => "",
    }
}

fn row((one, worst): &Judged<'_>, anchor: usize, axis: &Axis, now: Timestamp) -> Row {
    let validity = one.live.as_ref().map(|live| live.validity);
    let left = match validity.map(|validity| validity.not_after) {
        None if one.unreadable.is_some() => "unknown".to_owned(),
        None => "nothing is served".to_owned(),
        Some(until) if until <= now => "EXPIRED".to_owned(),
        Some(until) => in_words(until.since(now)),
    };
    let ca = [one.ca.as_deref(), one.profile.as_deref()];
    let ca: Vec<String> = ca.into_iter().flatten().map(plain).collect();
    Row {
        anchor,
        name: one.name.to_string(),
        names: names(one),
        ca: ca.join(" · "),
        level: level(*worst),
        until: validity.map(|validity| When::of(validity.not_after, now)),
        left,
        share: validity.map(|validity| share(validity.left(now))),
        next: one.next.as_ref().map(|next| When::of(next.at, now)),
        why: why(one, now),
        track: axis.track(one),
        told: told(one, now),
        failure: failure(one, now),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
fn share(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}

/// The identifiers where they tell more than the certificate's name.
fn names(one: &Prospect) -> String {
    let names: Vec<String> = one.identifiers.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [only] if only == one.name.as_str() => String::new(),
        all if all.len() <= MOST_NAMES + 1 => all.join(", "),
        all => format!("{} and {} more", all[..MOST_NAMES].join(", "), all.len() - MOST_NAMES),
    }
}

fn why(one: &Prospect, now: Timestamp) -> String {
    let date = |at| When::of(at, now).date;
    match (&one.next, one.pinned_until) {
        (_, Some(until)) => format!("pinned until {}", date(until)),
        (Some(next), None) => {
            format!("{}: {}", plain(&next.source), readable(&plain(&next.reason), now))
        }
        (None, None) if one.unreadable.is_some() => String::new(),
        (None, None) => "at the next run".to_owned(),
    }
}

fn told(one: &Prospect, now: Timestamp) -> String {
    let date = |at| When::of(at, now).date;
    let Some(live) = &one.live else { return "nothing is live".to_owned() };
    let (from, until) = (live.validity.not_before, live.validity.not_after);
    let mut told =
        format!("generation {} is live, {} to {}", live.generation, date(from), date(until));
    if let Some(advice) = &one.advice {
        let (start, end) = (advice.window.start(), advice.window.end());
        told += &format!("; renewal window {} to {}", date(start), date(end));
    }
    if let Some(next) = &one.next {
        told += &format!("; renewal planned {}", date(next.at));
    }
    if let Some(at) = one.last_safe_attempt {
        told += &format!("; last safe attempt {}", date(at));
    }
    let others = one.generations.len().saturating_sub(1);
    if others > 0 { format!("{told}; {}", counted(others, "other generation")) } else { told }
}

fn failure(one: &Prospect, now: Timestamp) -> Option<Failure> {
    if let Some(why) = &one.unreadable {
        let hint = Hint::of(&format!("run `acmeagent check {}`", one.name));
        let (message, often) = (format!("cannot be read: {}", plain(why)), String::new());
        return Some(Failure { when: None, often, message, hint });
    }
    let failed = one.last_failure.as_ref()?;
    let often = match one.failures {
        0 | 1 => String::new(),
        several => format!("{several} times in a row"),
    };
    let hint = Hint::of(&format!("run `acmeagent doctor {}`", one.name));
    let when = Some(When::of(failed.at, now));
    Some(Failure { when, often, message: readable(&plain(&failed.message), now), hint })
}
