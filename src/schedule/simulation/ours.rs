//! Our client: the real rules of this floor, driven as the agent drives them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Client;
use super::ca::Answer;
use super::world::{Held, World};
use crate::model::name::{CertName, Identifier};
use crate::model::time::{Timestamp, Validity};
use crate::schedule::budget::{Budget, Entry, Relief, Request, What};
use crate::schedule::choose_ca::choose;
use crate::schedule::ladder::Rung;
use crate::schedule::limits::{Limits, Scope};
use crate::schedule::window::Seed;
use crate::schedule::{ARI_RETRY, Advice, Due, Exemption, History, backoff, due, poll_is_due};

/// How an attempt at one CA ended.
enum Tried {
    Renewed,
    Failed { asked: Option<Timestamp> },
    Killed,
}

pub(super) struct Ours {
    name: CertName,
    identifiers: BTreeSet<Identifier>,
    host: u64,
    budgets: Vec<Budget>,
    /// CAs that issued for these identifiers before.
    known_to: BTreeSet<usize>,
    /// What the CA said of the certificate with that serial.
    advice: Option<(u32, Advice)>,
    history: History,
    /// Orders that were entered as sent, by CA.
    pub(super) sent: Vec<u32>,
}

impl Ours {
    pub(super) fn new(limits: &[Limits], host: u64) -> Self {
        Self {
            name: CertName::parse("www.example.com").unwrap(),
            identifiers: BTreeSet::from([Identifier::parse("www.example.com").unwrap()]),
            host,
            budgets: limits.iter().map(|limits| Budget::new(*limits)).collect(),
            known_to: BTreeSet::new(),
            advice: None,
            history: History::default(),
            sent: vec![0; limits.len()],
        }
    }

    fn seed(&self, held: &Held) -> Seed {
        Seed::new(&held.serial.to_be_bytes(), &self.host.to_be_bytes())
    }

    fn advice_on(&self, held: &Held) -> Option<Advice> {
        self.advice.filter(|(serial, _)| *serial == held.serial).map(|(_, advice)| advice)
    }

    /// As `agent::standing::poll_ari`. Returns when to ask again.
    fn poll(&mut self, world: &mut World, now: Timestamp) -> Option<Timestamp> {
        let held = world.held?;
        let known = self.advice_on(&held).map(|advice| advice.poll_at);
        if !world.cas[held.ca].has_ari {
            return None;
        }
        if !poll_is_due(held.validity, known, now) {
            return known;
        }
        let info = world.cas[held.ca].renewal_info(held.validity, now, &mut world.dice);
        let Some((window, poll_at)) = info else { return Some(now.plus(ARI_RETRY)) };
        self.advice = Some((held.serial, Advice { window, fetched_at: now, poll_at }));
        Some(poll_at)
    }

    fn decide(&self, held: &Held, history: History, now: Timestamp) -> Due {
        due(held.validity, self.advice_on(held), history, &self.seed(held), now)
    }

    /// One attempt, at all CAs that come into question. Returns when to look again.
    fn attempt(&mut self, world: &mut World, hurry: bool, now: Timestamp) -> Timestamp {
        let served = world.held.map(|held| held.validity);
        let rung = Rung::at(served, now);
        let is_emergency = hurry || rung == Rung::AtRisk;
        let judged: Vec<_> = (0..self.budgets.len())
            .map(|ca| self.budgets[ca].judge(&self.request(world, ca, is_emergency, now), now))
            .collect();
        let chosen = match choose(&judged, rung) {
            Ok(chosen) => chosen,
            Err(place) => {
                // What was not tried is no failure.
                let until = judged[place].as_ref().err().map(|shortage| shortage.until);
                return backoff::retry_at(self.history.failures, until, runway(served, now), now);
            }
        };
        let mut asked = None;
        for ca in chosen {
            match self.order(world, ca, is_emergency, now) {
                Tried::Renewed => {
                    self.history = History::default();
                    let asks = self.poll(world, now).unwrap_or(Timestamp::MAX);
                    return self.planned(world, now).min(asks);
                }
                Tried::Failed { asked: until } => asked = asked.into_iter().chain(until).max(),
                // Nobody is left to write anything down.
                Tried::Killed => return now,
            }
        }
        let failures = self.history.failures.saturating_add(1);
        let at = backoff::retry_at(failures, asked, runway(served, now), now);
        self.history = History { failures, retry_at: Some(at) };
        at
    }

    fn request(&self, world: &World, ca: usize, is_emergency: bool, now: Timestamp) -> Request {
        let here = world.held.filter(|held| held.ca == ca);
        let window = here.and_then(|held| Some(self.advice_on(&held)?.window));
        let exemption = Exemption::of(window.is_some(), here.is_some(), window, now);
        let relief = Relief::of(exemption, self.known_to.contains(&ca));
        Request { identifiers: self.identifiers.clone(), relief, is_emergency, by_hand: false }
    }

    fn order(&mut self, world: &mut World, ca: usize, is_emergency: bool, now: Timestamp) -> Tried {
        let request = self.request(world, ca, is_emergency, now);
        match self.send(world, ca, request.relief, true, now) {
            Answer::Conflict => {
                // Once more without `replaces`, which is a renewal like any other.
                let request = Request { relief: Relief::Renewal, ..request };
                if let Err(shortage) = self.budgets[ca].judge(&request, now) {
                    return Tried::Failed { asked: Some(shortage.until) };
                }
                let answer = self.send(world, ca, Relief::Renewal, false, now);
                self.conclude(ca, answer)
            }
            answer => self.conclude(ca, answer),
        }
    }

    fn conclude(&mut self, ca: usize, answer: Answer) -> Tried {
        match answer {
            Answer::Issued { .. } => {
                let _ = self.known_to.insert(ca);
                Tried::Renewed
            }
            Answer::Refused { until } => Tried::Failed { asked: Some(until) },
            Answer::Killed => Tried::Killed,
            Answer::Unreachable | Answer::Conflict => Tried::Failed { asked: None },
        }
    }

    /// Enters the order into the ledger, sends it, and enters how it ended.
    fn send(
        &mut self,
        world: &mut World,
        ca: usize,
        relief: Relief,
        replaces: bool,
        now: Timestamp,
    ) -> Answer {
        let (name, identifiers) = (self.name.clone(), self.identifiers.clone());
        self.enter(ca, now, What::Ordering { name: name.clone(), identifiers, relief });
        self.sent[ca] += 1;
        let answer = world.order(ca, replaces, now);
        match answer {
            Answer::Killed => {}
            Answer::Issued { at, .. } => {
                self.enter(ca, at, What::Settled { name, issued: true });
            }
            Answer::Refused { until } => {
                self.enter(ca, now, What::Settled { name, issued: false });
                let scope = Scope::ExactSet(self.identifiers.clone());
                self.enter(ca, now, What::Refused { scope, until });
            }
            Answer::Unreachable | Answer::Conflict => {
                self.enter(ca, now, What::Settled { name, issued: false });
            }
        }
        answer
    }

    fn enter(&mut self, ca: usize, at: Timestamp, what: What) {
        self.budgets[ca].enter(&Entry { at, ca: ca.to_string(), what });
    }
}

impl Client for Ours {
    fn look(&mut self, world: &mut World, now: Timestamp) -> Timestamp {
        let asks = self.poll(world, now).unwrap_or(Timestamp::MAX);
        let Some(held) = world.held else { return self.attempt(world, false, now) };
        match self.decide(&held, self.history, now) {
            Due::Now(reason) => self.attempt(world, reason.is_emergency(), now),
            Due::At(at, _) | Due::Blocked(at, _) => at.min(asks),
        }
    }

    fn planned(&self, world: &World, now: Timestamp) -> Timestamp {
        let Some(held) = world.held else { return now };
        match self.decide(&held, History::default(), now) {
            Due::At(at, _) => at,
            Due::Now(_) | Due::Blocked(..) => now,
        }
    }
}

fn runway(served: Option<Validity>, now: Timestamp) -> Duration {
    served.map_or(Duration::ZERO, |validity| validity.not_after.since(now))
}
