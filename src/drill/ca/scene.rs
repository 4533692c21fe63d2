//! What changes while the CA plays its part: who is paused, what happened, which troubles are left.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::behaviour::Behaviour;
use super::incident::Incident;
use super::ledger::Certificate;
use super::resource::Resource;
use super::trouble::{Loss, Outage, Trouble};
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// The state of one process; a restart begins it anew from the behaviour.
pub(super) struct Scene {
    paused: BTreeSet<Identifier>,
    incidents: Vec<Incident>,
    outages: Vec<Outage>,
    losses: Vec<Loss>,
    requests: Requests,
}

/// How often the CA was asked, refusals included.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Requests {
    paths: BTreeMap<Resource, u64>,
    /// By identifier: the newOrder requests that were signed rightly.
    new_orders: BTreeMap<String, u64>,
}

impl Requests {
    /// Further identifiers are not counted.
    const CAPACITY: usize = 10_000;
}

impl Scene {
    pub(super) fn opening(behaviour: &Behaviour, now: Timestamp) -> Self {
        let incidents = behaviour.incidents.iter().cloned();
        Self {
            paused: behaviour.paused.iter().cloned().collect(),
            incidents: incidents.map(|incident| incident.known(now)).collect(),
            outages: behaviour.outages.clone(),
            losses: behaviour.losses.clone(),
            requests: Requests::default(),
        }
    }

    pub(super) fn pause(&mut self, identifiers: Vec<Identifier>) -> &BTreeSet<Identifier> {
        self.paused.extend(identifiers);
        &self.paused
    }

    pub(super) fn unpause(&mut self, identifiers: &[Identifier]) -> &BTreeSet<Identifier> {
        self.paused.retain(|one| !identifiers.contains(one));
        &self.paused
    }

    pub(super) fn paused_among(&self, identifiers: &[Identifier]) -> Vec<String> {
        let paused = identifiers.iter().filter(|one| self.paused.contains(one));
        paused.map(Identifier::to_string).collect()
    }

    pub(super) fn declare(&mut self, incident: Incident) {
        self.incidents.push(incident);
    }

    /// Where the incident is explained that a certificate is part of.
    pub(super) fn explanation(&self, of: &Certificate, now: Timestamp) -> Option<String> {
        let incident = self.incidents.iter().find(|incident| incident.concerns(of, now));
        incident.map(|incident| incident.explanation_url.clone())
    }

    /// Counts a request and tells what befalls it.
    pub(super) fn meet(&mut self, resource: Resource, now: Timestamp) -> Option<Trouble> {
        *self.requests.paths.entry(resource).or_default() += 1;
        let outage = self.outages.iter_mut().find_map(|outage| outage.strikes(resource, now));
        outage.or_else(|| self.losses.iter_mut().find_map(|loss| loss.strikes(resource)))
    }

    pub(super) fn count_order(&mut self, identifiers: BTreeSet<String>) {
        let counts = &mut self.requests.new_orders;
        for identifier in identifiers {
            if counts.len() < Requests::CAPACITY || counts.contains_key(&identifier) {
                *counts.entry(identifier).or_default() += 1;
            }
        }
    }

    pub(super) fn requests(&self) -> Requests {
        self.requests.clone()
    }
}
