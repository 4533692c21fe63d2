//! What is being rolled out, held back or was undone.

use serde::Serialize;

use super::super::alert::plain;
use super::rows::Judged;
use super::words::{When, counted, readable};
use crate::model::outlook::{Prospect, RollingOut, Waiting};
use crate::model::time::Timestamp;

/// The certificates that are in motion, or kept from it.
#[derive(Debug, Serialize)]
pub(super) struct Rotation {
    /// How many there are of each kind, as in `2 rolling out`.
    summary: Vec<String>,
    moving: Vec<Moving>,
    /// How many are left out.
    more: usize,
}

#[derive(Debug, Serialize)]
struct Moving {
    anchor: usize,
    name: String,
    rollout: Option<Rollout>,
    notes: Vec<Note>,
}

#[derive(Debug, Serialize)]
struct Rollout {
    from: String,
    to: String,
    steps: Vec<Step>,
    text: String,
    soak_until: Option<When>,
    waits: bool,
    back: Option<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    targets: String,
    share: u8,
    /// `done`, `now`, `next`, or `undone`; also its class.
    state: &'static str,
}

/// A line about one thing, as in `pinned` and until when.
#[derive(Debug, Serialize)]
struct Note {
    what: &'static str,
    text: String,
    when: Option<When>,
}

/// So many are shown.
const MOST: usize = 100;

pub(super) fn rotation(sorted: &[Judged<'_>], now: Timestamp) -> Rotation {
    let moving = sorted.iter().enumerate();
    let moving = moving.filter_map(|(anchor, (one, _))| moving_one(one, anchor, now));
    let mut moving: Vec<Moving> = moving.collect();
    // What moves comes before what is kept from moving.
    moving.sort_by_key(|one| one.rollout.is_none());
    let more = moving.len().saturating_sub(MOST);
    moving.truncate(MOST);
    Rotation { summary: summary(sorted), moving, more }
}

fn summary(sorted: &[Judged<'_>]) -> Vec<String> {
    let count = |holds: fn(&Prospect) -> bool| sorted.iter().filter(|(one, _)| holds(one)).count();
    let kinds = [
        (count(|one| one.rollout.is_some()), "rolling out"),
        (count(|one| !one.queue.is_empty()), "not taken by every server"),
        (count(|one| one.halted_since.is_some()), "halted"),
        (count(|one| !one.rollbacks.is_empty()), "undone in the last 24 h"),
        (count(|one| one.pinned_until.is_some()), "pinned"),
        (count(|one| one.frozen_until.is_some()), "frozen"),
    ];
    let some = kinds.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect()
}

fn moving_one(one: &Prospect, anchor: usize, now: Timestamp) -> Option<Moving> {
    let rollout = one.rollout.as_ref().map(|rollout| of_rollout(rollout, now));
    let notes = notes(one, now);
    let name = one.name.to_string();
    (rollout.is_some() || !notes.is_empty()).then_some(Moving { anchor, name, rollout, notes })
}

fn of_rollout(rollout: &RollingOut, now: Timestamp) -> Rollout {
    let state = |place: usize| match (rollout.back.is_some(), place.cmp(&rollout.step)) {
        (true, std::cmp::Ordering::Greater) | (false, std::cmp::Ordering::Greater) => "next",
        (true, _) => "undone",
        (false, std::cmp::Ordering::Less) => "done",
        (false, std::cmp::Ordering::Equal) => "now",
    };
    let steps = rollout.steps.iter().enumerate().map(|(place, (targets, share))| Step {
        targets: plain(&targets.join(", ")),
        share: *share,
        state: state(place),
    });
    Rollout {
        from: rollout.from.map_or("nothing".to_owned(), |from| from.to_string()),
        to: rollout.to.to_string(),
        steps: steps.collect(),
        text: readable(&plain(&rollout.text), now),
        soak_until: rollout.soak_until.map(|until| When::of(until, now)),
        waits: rollout.waits_for_approval,
        back: rollout.back.as_deref().map(plain),
    }
}

fn notes(one: &Prospect, now: Timestamp) -> Vec<Note> {
    let note = |what, text: &str, at: Option<Timestamp>| Note {
        what,
        text: text.to_owned(),
        when: at.map(|at| When::of(at, now)),
    };
    let mut notes = Vec::new();
    if let Some(since) = one.halted_since {
        let text = "too many rollouts were undone; nothing is deployed since";
        notes.push(note("halted", text, Some(since)));
    }
    if let Some(last) = one.rollbacks.iter().max() {
        let times = counted(one.rollbacks.len(), "rollout");
        let mut fates = one.generations.iter().rev().filter_map(|held| held.fate.as_ref());
        let why = fates.find(|(kind, _)| kind == "rolled_back");
        let why = why.map(|(_, why)| format!(" ({})", plain(why))).unwrap_or_default();
        notes.push(note("undone", &format!("{times} in 24 h{why}, the last"), Some(*last)));
    }
    for Waiting { target, generation, attempts, next_at } in &one.queue {
        let attempts = counted(*attempts as usize, "attempt");
        let text = format!(
            "{} has not taken generation {generation} after {attempts}, again",
            plain(target)
        );
        notes.push(note("waiting", &text, Some(*next_at)));
    }
    if let Some(until) = one.pinned_until {
        let live = one.live.as_ref().map(|live| live.generation.to_string());
        let live = live.map(|live| format!("at generation {live} ")).unwrap_or_default();
        notes.push(note("pinned", &format!("{live}until"), Some(until)));
    }
    if let Some(until) = one.frozen_until {
        notes.push(note("frozen", "the settings want no change before", Some(until)));
    }
    notes
}
