//! Gathers how everything stands, for those who are told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::authorities::ca_name;
use super::plan::{Standing, runway};
use super::underway::progress;
use super::{Agent, Trouble};
use crate::config::cert::CertSettings;
use crate::model::event::Phase;
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::model::outlook::{
    Advised, Allowance, Failed, Held, Outlook, PausedName, Planned, Prospect, RollingOut, Waiting,
};
use crate::model::tally::Observed;
use crate::model::time::Timestamp;
use crate::schedule::backoff;
use crate::schedule::budget::Holding;
use crate::schedule::ladder::Rung;
use crate::schedule::limits::Scope;
use crate::store::StoreError;
use crate::store::archive::Meta;
use crate::store::journal::{FateKind, Intent, State as Facts};

/// How far back to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Depth {
    /// What is live and what is newest.
    Now,
    /// Every generation of the archive.
    Past,
}

/// Of no CA more buckets are told of than these, those with the least left.
const MOST_ALLOWANCES: usize = 200;
const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl Agent {
    /// How these certificates stand, and all else there is to tell. Reads the store and nothing else.
    ///
    /// What cannot be read is told as that, and keeps nothing else from being told.
    pub(crate) fn outlook(&self, names: &[CertName], depth: Depth) -> Outlook {
        let (now, store) = (self.hands.clock.now(), self.store());
        let tally = store.tally(now);
        let mut cas = BTreeMap::new();
        let mut certificates = Vec::with_capacity(names.len());
        for name in names {
            let observed = tally.certificates.get(name).cloned().unwrap_or_default();
            let settings = self.settings(name);
            if let Ok(Some((settings, _))) = &settings {
                cas.extend(settings.cas.iter().map(|choice| (ca_name(choice), choice.clone())));
            }
            let wanted = settings.as_ref().ok().and_then(Option::as_ref).map(|(wanted, _)| wanted);
            let prospect = match self.standing(name) {
                Ok(standing) => self.prospect(name, &standing, wanted, observed, depth),
                Err(trouble) => unreadable(Prospect::of(name.clone()), &trouble),
            };
            certificates.push(match settings {
                // What is served lives on whatever became of its settings.
                Err(trouble) if prospect.unreadable.is_none() => unreadable(prospect, &trouble),
                _ => prospect,
            });
        }
        let known = cas.values().filter_map(|choice| self.authorities.limits(choice).ok());
        let allowances = known.flat_map(|(ca, limits)| {
            let held = store.budget(&ca, limits, now, |budget| budget.known(now));
            allowances(&ca, held.unwrap_or_default(), &certificates)
        });
        Outlook {
            at: now,
            host: host(),
            runs: self.runs_seen(now),
            allowances: allowances.collect(),
            paused: self.paused(now).unwrap_or_default(),
            certificates,
            tally,
        }
    }

    fn paused(&self, now: Timestamp) -> Result<Vec<PausedName>, StoreError> {
        let paused = self.store().paused(now)?.into_iter();
        let named = |one: crate::store::ledger::Paused| PausedName {
            ca: one.ca,
            identifier: one.identifier,
            page: one.page,
        };
        Ok(paused.map(named).collect())
    }

    fn prospect(
        &self,
        name: &CertName,
        standing: &Standing,
        settings: Option<&CertSettings>,
        observed: Observed,
        depth: Depth,
    ) -> Prospect {
        let (now, facts) = (self.hands.clock.now(), &standing.facts);
        let shown = standing.live.as_ref().or(standing.newest.as_ref()).map(|(_, meta)| meta);
        let live = standing.live.as_ref();
        let validity = live.map(|(_, meta)| meta.validity);
        let wanted = |settings: &CertSettings| settings.identifiers.clone();
        let first_ca = |settings: &CertSettings| settings.cas.first().map(ca_name);
        let failure = facts.last_failure.as_ref();
        let pin = facts.pin.filter(|pin| live.is_some_and(|(live, _)| pin.generation == *live));
        let is_failing = failure.is_some() || !facts.deploy_queue.is_empty();
        Prospect {
            identifiers: shown
                .map(|meta| meta.identifiers.clone())
                .or_else(|| settings.map(wanted))
                .unwrap_or_default(),
            ca: shown.map(|meta| meta.ca.clone()).or_else(|| settings.and_then(first_ca)),
            profile: shown.and_then(|meta| meta.profile.clone()),
            live: live.map(|(generation, meta)| held(*generation, meta, facts)),
            generations: self.generations_held(name, standing, depth),
            next: planned(facts),
            advice: advised(standing),
            last_safe_attempt: validity.map(|life| backoff::last_safe(life, took(&observed))),
            attempts_left: attempts_left(standing, now),
            failures: facts.failures,
            last_failure: failure.map(|failure| Failed {
                at: failure.at,
                message: failure.message.clone(),
                retry_at: failure.retry_at,
            }),
            at_risk: is_failing && validity.is_some() && Rung::at(validity, now) == Rung::AtRisk,
            pinned_until: pin.map(|pin| pin.until),
            frozen_until: settings
                .and_then(|settings| settings.rollout.freeze_until)
                .filter(|until| now < *until),
            halted_since: facts.halted,
            rollout: facts.intent.as_ref().map(|intent| rolling_out(intent, now)),
            queue: waiting(facts),
            rollbacks: (facts.rollbacks.iter().copied())
                .filter(|at| now < at.plus(A_DAY))
                .collect(),
            observed,
            ..Prospect::of(name.clone())
        }
    }

    fn generations_held(&self, name: &CertName, standing: &Standing, depth: Depth) -> Vec<Held> {
        let mut metas: BTreeMap<Generation, Meta> = BTreeMap::new();
        metas.extend(standing.live.iter().chain(&standing.newest).cloned());
        if depth == Depth::Past {
            for generation in self.store().generations(name).unwrap_or_default() {
                if !metas.contains_key(&generation)
                    && let Ok(meta) = self.store().meta(name, generation)
                {
                    metas.insert(generation, meta);
                }
            }
        }
        metas.iter().map(|(generation, meta)| held(*generation, meta, &standing.facts)).collect()
    }
}

/// The name of this host, for people.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn unreadable(prospect: Prospect, trouble: &Trouble) -> Prospect {
    Prospect { unreadable: Some(trouble.to_string()), ..prospect }
}

fn held(generation: Generation, meta: &Meta, facts: &Facts) -> Held {
    let fate = facts.fates.get(&generation).map(|fate| {
        let kind = match fate.kind {
            FateKind::Refused => "refused",
            FateKind::RolledBack => "rolled_back",
            FateKind::Revoked => "revoked",
        };
        (kind.to_owned(), fate.why.clone())
    });
    Held { generation, validity: meta.validity, fingerprint: meta.fingerprint.clone(), fate }
}

fn planned(facts: &Facts) -> Option<Planned> {
    facts.next_renewal.as_ref().map(|next| Planned {
        at: next.at,
        source: next.source.clone(),
        reason: next.reason.clone(),
    })
}

fn advised(standing: &Standing) -> Option<Advised> {
    let (_, meta) = standing.newest.as_ref()?;
    let ari =
        standing.facts.ari.as_ref().filter(|ari| meta.ari_id.as_ref() == Some(&ari.cert_id))?;
    Some(Advised {
        window: ari.window,
        fetched_at: ari.fetched_at,
        poll_at: ari.poll_at,
        explanation_url: ari.explanation_url.clone(),
    })
}

/// What the last attempt took; how long a rollout is watched is fitted into what is left.
fn took(observed: &Observed) -> Option<Duration> {
    let work = observed.phases.iter().filter(|(phase, _)| phase != Phase::Soak.as_str());
    let seconds: f64 = work.map(|(_, seconds)| seconds).sum();
    Duration::try_from_secs_f64(seconds).ok().filter(|took| !took.is_zero())
}

/// The attempt that comes next, and those that would follow it.
fn attempts_left(standing: &Standing, now: Timestamp) -> Option<u32> {
    let (_, meta) = standing.live.as_ref()?;
    let next = standing.facts.next_renewal.as_ref().map_or(now, |next| next.at.max(now));
    if meta.validity.not_after <= next {
        return Some(0);
    }
    let further = backoff::attempts(standing.facts.failures, runway(standing, next));
    Some(further.saturating_add(1))
}

fn rolling_out(intent: &Intent, now: Timestamp) -> RollingOut {
    let rollout = &intent.rollout;
    RollingOut {
        from: intent.from,
        to: intent.to,
        steps: rollout.steps.iter().map(|step| (step.targets.clone(), step.percent)).collect(),
        step: rollout.at,
        soak_until: rollout.soak_until,
        waits_for_approval: rollout.waits_for_approval(),
        back: rollout.back.clone(),
        text: progress(intent, now),
    }
}

fn waiting(facts: &Facts) -> Vec<Waiting> {
    let queued = facts.deploy_queue.iter().map(|queued| Waiting {
        target: queued.target.clone(),
        generation: queued.generation,
        attempts: queued.attempts,
        next_at: queued.next_at,
    });
    queued.collect()
}

/// What a CA still allows, each of something else, those first of which the least share is left.
fn allowances(ca: &str, held: Vec<Holding>, certificates: &[Prospect]) -> Vec<Allowance> {
    let share = |one: &Holding| u64::from(one.left) * 1_000_000 / u64::from(one.rate.tokens.max(1));
    let mut held = held;
    held.sort_by_key(share);
    let mut told = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for Holding { scope, rate, left, .. } in held {
        if told.len() == MOST_ALLOWANCES {
            break;
        }
        // A search among all certificates, so not made for what is not told.
        let (limit, of) = (scope.as_str(), of(&scope, ca, certificates));
        if seen.insert((limit, of.clone())) {
            let (ca, limit) = (ca.to_owned(), limit.to_owned());
            told.push(Allowance { ca, limit, of, left, tokens: rate.tokens, per: rate.per });
        }
    }
    told
}

/// Of what a bucket is, where there are several: of a set the name of the certificate it is.
fn of(scope: &Scope, ca: &str, certificates: &[Prospect]) -> String {
    match scope {
        Scope::Ca | Scope::Registrations | Scope::Orders => String::new(),
        Scope::Domain(domain) => domain.clone(),
        Scope::Failures(identifier) => identifier.to_string(),
        Scope::ExactSet(set) => {
            let is_it = |one: &&Prospect| {
                one.ca.as_deref() == Some(ca)
                    && one.identifiers.len() == set.len()
                    && one.identifiers.iter().all(|identifier| set.contains(identifier))
            };
            let others = set.len().saturating_sub(1);
            match (certificates.iter().find(is_it), set.first(), others) {
                (Some(known), ..) => known.name.to_string(),
                (None, Some(first), 0) => first.to_string(),
                (None, Some(first), others) => format!("{first} and {others} more"),
                (None, None, _) => String::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
