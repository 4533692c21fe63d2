//! What is to be done for one certificate now. Pure: facts in, plan out.

use std::fmt;
use std::time::Duration;

use crate::config::cert::CertSettings;
use crate::model::generation::Generation;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::pipeline::Task;
use crate::schedule::bearings::TOLERANCE;
use crate::schedule::window::Seed;
use crate::schedule::{self, Advice, Due, History, Reason};
use crate::store::archive::Meta;
use crate::store::index::Wake;
use crate::store::journal::State as Facts;

/// A certificate as it stands, gathered before anything is judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) facts: Facts,
    /// Whether `facts` hold what the disk does not know yet.
    pub(crate) unsaved: bool,
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
    /// What is live was revoked: an older generation is no answer to that.
    Revoked,
    /// The operator asked for it.
    Forced,
    /// A generation is waiting to be put to use.
    Undeployed,
    /// It is live already, and its targets are others.
    Retargeted,
    /// An earlier run was cut off with an order open, or in the middle of a switch.
    Interrupted,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there was none yet"),
            Self::Changed => f.write_str("what is wanted has changed"),
            Self::Due(reason) => reason.fmt(f),
            Self::Revoked => f.write_str("what was live is revoked"),
            Self::Forced => f.write_str("it was asked for"),
            Self::Undeployed => f.write_str("it was waiting to be put to use"),
            Self::Retargeted => f.write_str("its targets have changed"),
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
    /// The settings name other targets: what is live is to be put to use by them.
    pub(crate) retargeted: bool,
    /// Rollouts that wait for a person may go on.
    pub(crate) approved: bool,
}

impl Insistence {
    /// Whether nobody asked: its time has come by itself.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
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
    let history =
        if insistence.by_hand { History::default() } else { history(&standing.facts, now) };
    let ordering = match (wants_order(standing, settings, insistence), &standing.newest) {
        (Some(why), _) => match history.retry_at.filter(|until| now < *until) {
            Some(until) if !insistence.force => {
                Err(Due::Blocked(until, Reason::Retry { failures: history.failures }))
            }
            _ => Ok(why),
        },
        (None, Some((_, meta))) => {
            let advice = advice(&standing.facts, meta, now);
            match schedule::due(meta.validity, advice, history, seed, now) {
                Due::Now(reason) => Ok(Why::Due(reason)),
                waiting => Err(waiting),
            }
        }
        (None, None) => unreachable!("where nothing is held an order is wanted"),
    };
    match (ordering, deployable(standing, settings, insistence, now)) {
        (Ok(why), _) => Plan::Do(order_or_stock(standing, settings, insistence, now), why),
        (Err(_), Some(newest)) => Plan::Do(Task::Deploy(newest), Why::Undeployed),
        (Err(waiting), None) => match &standing.live {
            Some((live, _)) if insistence.retargeted => {
                Plan::Do(Task::Deploy(*live), Why::Retargeted)
            }
            _ => Plan::Wait(waiting),
        },
    }
}

/// Why another certificate is wanted whatever the calendar says.
fn wants_order(
    standing: &Standing,
    settings: &CertSettings,
    insistence: Insistence,
) -> Option<Why> {
    match &standing.newest {
        None => Some(Why::Missing),
        Some((newest, _)) if live_is_bad(standing, *newest) => Some(Why::Revoked),
        Some(_) if insistence.force => Some(Why::Forced),
        Some((_, meta)) if insistence.changed || differs(settings, meta) => Some(Why::Changed),
        Some(_) if standing.facts.order.is_some() => Some(Why::Interrupted),
        Some(_) => None,
    }
}

/// The time that is left for attempts: until what is served expires, or where nothing is served that
/// could expire, so long that a fair number of attempts an hour comes of it.
pub(crate) fn runway(standing: &Standing, now: Timestamp) -> Duration {
    const WITHOUT: Duration = Duration::from_secs(10 * 3600);
    let expires = standing.live.as_ref().map(|(_, meta)| meta.validity.not_after);
    expires.filter(|at| *at > now).map_or(WITHOUT, |at| at.since(now))
}

/// The wanted identifiers that what is held was issued without, because the CA found fault with them.
pub(crate) fn left_out(settings: &CertSettings, standing: &Standing) -> Vec<Identifier> {
    let Some((_, meta)) = &standing.newest else { return Vec::new() };
    let bad = settings.identifiers.iter().filter(|one| standing.facts.bad_names.contains(one));
    bad.filter(|one| !meta.identifiers.contains(one)).cloned().collect()
}

/// Whether our clock shows a time that is over for certain: the CA is to be asked then.
pub(crate) fn is_past(standing: &Standing, now: Timestamp) -> bool {
    let issued = standing.newest.as_ref().map(|(_, meta)| meta.issued_at);
    let asked = standing.facts.ari.as_ref().map(|ari| ari.fetched_at);
    let seen = [issued, asked, standing.facts.last_run].into_iter().flatten().max();
    seen.is_some_and(|seen| now.plus(TOLERANCE) < seen)
}

/// What the CA advised, as far as it speaks of the newest generation.
///
/// An answer from the future came while the clock was wrong, and counts as none.
pub(crate) fn advice(facts: &Facts, newest: &Meta, now: Timestamp) -> Option<Advice> {
    let ari = facts.ari.as_ref().filter(|ari| newest.ari_id.as_ref() == Some(&ari.cert_id))?;
    if ari.fetched_at > now {
        return None;
    }
    Some(Advice { window: ari.window, fetched_at: ari.fetched_at, poll_at: ari.poll_at })
}

/// A failure from the future happened while the clock was wrong: its wait would never end.
fn history(facts: &Facts, now: Timestamp) -> History {
    let last = facts.last_failure.as_ref().filter(|failure| failure.at <= now);
    let retry_at = last.map(|failure| failure.retry_at);
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

/// What is live was revoked, and nothing newer lies ready to take its place.
fn live_is_bad(standing: &Standing, newest: Generation) -> bool {
    let live = standing.live.as_ref().map(|(live, _)| live);
    live.is_some_and(|live| standing.facts.bad.contains(live) && newest < *live)
}

/// What keeps a new generation from going live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hold {
    /// The operator went back, and wants it to stay so.
    Pinned,
    /// Too many rollouts had to be undone.
    Halted,
    /// The settings want no change until then.
    Frozen(Timestamp),
}

/// What holds live where it is, unless that was revoked since or is about to expire: an untested
/// good certificate is better than a certain expiry.
pub(crate) fn hold(
    standing: &Standing,
    settings: &CertSettings,
    insistence: Insistence,
    now: Timestamp,
) -> Option<Hold> {
    let (live, meta) = standing.live.as_ref()?;
    let facts = &standing.facts;
    if facts.bad.contains(live) || now >= schedule::window::last_twentieth(meta.validity) {
        return None;
    }
    if facts.pin.is_some_and(|pin| pin.generation == *live) {
        return Some(Hold::Pinned);
    }
    let frozen = settings.rollout.freeze_until.filter(|until| now < *until);
    match facts.halted {
        _ if insistence.force => None,
        Some(_) => Some(Hold::Halted),
        None => frozen.map(Hold::Frozen),
    }
}

/// Lets rollouts go on after too many of them had to be undone.
pub(super) fn lift_halt(standing: &mut Standing) {
    standing.facts.halted = None;
    standing.facts.rollbacks.clear();
    standing.unsaved = true;
}

/// Lets a rollout go on that waits for a person.
pub(super) fn approve(standing: &mut Standing) {
    if let Some(intent) = &mut standing.facts.intent {
        intent.rollout.approved = true;
        standing.unsaved = true;
    }
}

/// A certificate that is held back is renewed into the archive only.
fn order_or_stock(
    standing: &Standing,
    settings: &CertSettings,
    insistence: Insistence,
    now: Timestamp,
) -> Task {
    match hold(standing, settings, insistence, now) {
        Some(_) => Task::Stock,
        None => Task::Order,
    }
}

/// The newest generation, where it is not put to use and the time has come to try.
fn deployable(
    standing: &Standing,
    settings: &CertSettings,
    insistence: Insistence,
    now: Timestamp,
) -> Option<Generation> {
    let held = hold(standing, settings, insistence, now).is_some();
    let (newest, waits_until) = undeployed(standing, now).filter(|_| !held)?;
    (insistence.by_hand || waits_until.is_none_or(|at| at <= now)).then_some(newest)
}

/// Whether the newest generation is not put to use.
pub(super) fn is_undeployed(standing: &Standing) -> bool {
    let live = standing.live.as_ref().map(|(live, _)| live);
    let newest = standing.newest.as_ref().map(|(newest, _)| newest);
    let queued = |newest| standing.facts.deploy_queue.iter().any(|one| one.generation == newest);
    newest.is_some_and(|newest| live != Some(newest) || queued(*newest))
}

/// The newest generation where it is not put to use, and when that is to be tried again.
fn undeployed(standing: &Standing, now: Timestamp) -> Option<(Generation, Option<Timestamp>)> {
    let (newest, _) = standing.newest.as_ref().filter(|_| is_undeployed(standing))?;
    let queued = standing.facts.deploy_queue.iter().find(|queued| queued.generation == *newest);
    // Queued while the clock was ahead, it would wait for ever.
    let turned_back = standing.facts.last_run.is_some_and(|ran| now < ran);
    Some((*newest, queued.map(|queued| queued.next_at).filter(|_| !turned_back)))
}

/// When the CA's advice is to be asked for next, as far as the store tells.
pub(crate) fn ask_at(standing: &Standing, now: Timestamp) -> Option<Timestamp> {
    let (_, meta) = standing.newest.as_ref().filter(|(_, meta)| meta.ari_id.is_some())?;
    Some(advice(&standing.facts, meta, now).map_or(now, |advice| advice.poll_at))
}

/// How often a rollout is looked at while it soaks, at the most.
const LOOK: Duration = Duration::from_secs(60);

/// Until when what was rolled out so far is watched.
fn soaks_until(standing: &Standing) -> Option<Timestamp> {
    let rollout = &standing.facts.intent.as_ref()?.rollout;
    let until = rollout.soak_until.filter(|_| rollout.back.is_none())?;
    if rollout.waits_for_approval() { rollout.deadline } else { Some(until) }
}

/// What the index is to know of a certificate: when it wants to be looked at next, whatever for.
///
/// `ask_at` is when to ask for advice; what was just asked in vain is not to be asked at once.
pub(crate) fn wake(
    standing: &Standing,
    settings: &CertSettings,
    seed: &Seed,
    ask_at: Option<Timestamp>,
    now: Timestamp,
) -> Wake {
    if is_past(standing, now) {
        return at_once(standing, now);
    }
    if let Some(until) = soaks_until(standing) {
        // Looked at by every run of the timer, so that what goes wrong meanwhile is seen.
        return at_once(standing, now.plus(LOOK).min(until));
    }
    let plan = plan(standing, settings, seed, Insistence::default(), now);
    let acts = match plan {
        Plan::Do(..) | Plan::Wait(Due::Now(_)) => now,
        Plan::Wait(Due::At(at, _) | Due::Blocked(at, _)) => at,
    };
    let expires = standing.newest.as_ref().map(|(_, meta)| meta.validity.not_after);
    let asks = ask_at.filter(|at| expires.is_some_and(|expires| *at <= expires));
    let held = hold(standing, settings, Insistence::default(), now);
    let deploys = match held {
        None => undeployed(standing, now).and_then(|(_, waits_until)| waits_until),
        Some(Hold::Frozen(until)) => undeployed(standing, now).map(|_| until),
        Some(Hold::Pinned | Hold::Halted) => None,
    };
    let live = standing.live.as_ref().filter(|_| held.is_some());
    let lapses = live.map(|(_, meta)| schedule::window::last_twentieth(meta.validity));
    let at = [asks, deploys, lapses].into_iter().flatten().fold(acts, Timestamp::min);
    let halted = held == Some(Hold::Halted) && is_undeployed(standing);
    let failing = matches!(plan, Plan::Wait(Due::Blocked(..))) || halted;
    Wake { failing, ..at_once(standing, at) }
}

/// What the index is to know of a certificate that wants to be looked at then.
pub(crate) fn at_once(standing: &Standing, now: Timestamp) -> Wake {
    let expires = standing.live.as_ref().map(|(_, meta)| meta.validity.not_after);
    Wake { at: Some(now), expires, failing: false }
}

#[cfg(test)]
mod tests;
