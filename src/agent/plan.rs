//! What is to be done for one certificate now. Pure: facts in, plan out.

use std::fmt;

use crate::config::cert::CertSettings;
use crate::model::generation::Generation;
use crate::model::time::Timestamp;
use crate::pipeline::Task;
use crate::schedule::window::Seed;
use crate::schedule::{self, Advice, Due, History, Reason};
use crate::store::archive::Meta;
use crate::store::journal::State as Facts;

/// A certificate as it stands, gathered before anything is judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) facts: Facts,
    pub(crate) live: Option<(Generation, Meta)>,
    /// The newest generation that is not marked bad.
    pub(crate) newest: Option<(Generation, Meta)>,
}

/// What comes next, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    Do(Task, Why),
    Wait(Due),
}

/// Why something is done now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    /// There is no certificate yet.
    Missing,
    /// What is wanted differs from what is held.
    Changed,
    Due(Reason),
    /// The operator asked for it.
    Forced,
    /// A generation is waiting to be put to use.
    Undeployed,
    /// An earlier run was cut off in the middle of a switch.
    Interrupted,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there was none yet"),
            Self::Changed => f.write_str("what is wanted has changed"),
            Self::Due(reason) => reason.fmt(f),
            Self::Forced => f.write_str("it was asked for"),
            Self::Undeployed => f.write_str("it was waiting to be put to use"),
            Self::Interrupted => f.write_str("an earlier run was interrupted"),
        }
    }
}

/// How the operator put it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Insistence {
    /// Order although nothing is due.
    pub(crate) force: bool,
    /// A person asks, now: waits after failures do not hold.
    pub(crate) by_hand: bool,
    /// The settings were changed in a way that wants another certificate.
    pub(crate) changed: bool,
}

/// Decides what to do for a certificate.
pub(crate) fn plan(
    standing: &Standing,
    settings: &CertSettings,
    seed: &Seed,
    insistence: Insistence,
    now: Timestamp,
) -> Plan {
    if let Some(intent) = &standing.facts.intent {
        return Plan::Do(Task::Deploy(intent.to), Why::Interrupted);
    }
    let history = if insistence.by_hand { History::default() } else { history(&standing.facts) };
    let held_back = history.retry_at.filter(|until| now < *until);
    let order = |why| match held_back {
        Some(until) if !insistence.force => {
            Plan::Wait(Due::Blocked(until, Reason::Retry { failures: history.failures }))
        }
        _ => Plan::Do(order_or_stock(standing, now), why),
    };
    let Some((newest, meta)) = &standing.newest else { return order(Why::Missing) };
    if insistence.force {
        return order(Why::Forced);
    }
    if insistence.changed || differs(settings, meta) {
        return order(Why::Changed);
    }
    let due = schedule::due(meta.validity, advice(&standing.facts, meta), history, seed, now);
    match due {
        Due::Now(reason) => Plan::Do(order_or_stock(standing, now), Why::Due(reason)),
        _ if deploy_is_due(standing, *newest, insistence, now) => {
            Plan::Do(Task::Deploy(*newest), Why::Undeployed)
        }
        waiting => Plan::Wait(waiting),
    }
}

/// What the CA advised, as far as it speaks of the newest generation.
pub(crate) fn advice(facts: &Facts, newest: &Meta) -> Option<Advice> {
    let ari = facts.ari.as_ref().filter(|ari| newest.ari_id.as_ref() == Some(&ari.cert_id))?;
    Some(Advice { window: ari.window, fetched_at: ari.fetched_at, poll_at: ari.poll_at })
}

fn history(facts: &Facts) -> History {
    let retry_at = facts.last_failure.as_ref().map(|failure| failure.retry_at);
    History { failures: facts.failures, retry_at }
}

/// A hand-edited file takes effect at once where names or key are concerned, and at the next
/// renewal otherwise.
fn differs(settings: &CertSettings, held: &Meta) -> bool {
    let set =
        |identifiers: &[_]| identifiers.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    set(&settings.identifiers) != set(&held.identifiers)
        || settings.key_type.as_str() != held.key_type
}

/// A pinned certificate is renewed into the archive only, until the pinned one nears its end.
fn order_or_stock(standing: &Standing, now: Timestamp) -> Task {
    if pin_holds(standing, now) { Task::Stock } else { Task::Order }
}

fn pin_holds(standing: &Standing, now: Timestamp) -> bool {
    let Some((live, meta)) = &standing.live else { return false };
    let pinned = standing.facts.pin.is_some_and(|pin| pin.generation == *live);
    pinned && now < schedule::window::last_twentieth(meta.validity)
}

fn deploy_is_due(
    standing: &Standing,
    newest: Generation,
    insistence: Insistence,
    now: Timestamp,
) -> bool {
    let live = standing.live.as_ref().map(|(live, _)| *live);
    let queued = standing.facts.deploy_queue.iter().find(|queued| queued.generation == newest);
    let undeployed = live != Some(newest) || queued.is_some();
    let its_time = insistence.by_hand || queued.is_none_or(|queued| queued.next_at <= now);
    undeployed && its_time && !pin_holds(standing, now)
}

/// When the certificate wants to be looked at next, whatever for; `None` for never by itself.
pub(crate) fn wake(
    standing: &Standing,
    settings: &CertSettings,
    seed: &Seed,
    now: Timestamp,
) -> Option<Timestamp> {
    let due = match plan(standing, settings, seed, Insistence::default(), now) {
        Plan::Do(..) => now,
        Plan::Wait(Due::Now(_)) => now,
        Plan::Wait(Due::At(at, _) | Due::Blocked(at, _)) => at,
    };
    let poll = standing.newest.as_ref().and_then(|(_, meta)| {
        let poll_at = advice(&standing.facts, meta)?.poll_at;
        (poll_at <= meta.validity.not_after).then_some(poll_at)
    });
    let deploys = standing.facts.deploy_queue.iter().map(|queued| queued.next_at);
    deploys.chain(poll).chain([due]).min()
}
