//! How everything stands at one instant: what metrics, the status page and alerts are made of.
//!
//! Gathered once, by floor 6; whatever is made of it is made purely.

use std::time::Duration;

use serde::Serialize;

use super::generation::Generation;
use super::name::{CertName, Identifier};
use super::tally::{Observed, Place, Tally};
use super::time::{Timestamp, Validity, Window};

/// All there is to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlook {
    pub(crate) at: Timestamp,
    /// Of the host, for people.
    pub(crate) host: String,
    pub(crate) runs: RunsSeen,
    /// In the order of their names.
    pub(crate) certificates: Vec<Prospect>,
    pub(crate) allowances: Vec<Allowance>,
    pub(crate) paused: Vec<PausedName>,
    pub(crate) tally: Tally,
}

/// The unattended runs of `renew`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunsSeen {
    pub(crate) last: Option<Timestamp>,
    /// The last that came to its end with nothing served at risk.
    pub(crate) last_good: Option<Timestamp>,
    /// How long none may be good before that is told.
    pub(crate) patience: Duration,
}

impl RunsSeen {
    /// How long no run was good, where that is longer than the patience.
    pub(crate) fn silence(&self, now: Timestamp) -> Option<Duration> {
        self.last_good.map(|good| now.since(good)).filter(|silent| *silent > self.patience)
    }
}

/// One certificate.
#[derive(Clone, Debug)]
pub(crate) struct Prospect {
    pub(crate) name: CertName,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) ca: Option<String>,
    pub(crate) profile: Option<String>,
    /// What is live; `None` where nothing is.
    pub(crate) live: Option<Held>,
    /// Every generation of the archive that can be read, the oldest first; the live one too.
    pub(crate) generations: Vec<Held>,
    pub(crate) next: Option<Planned>,
    /// What the CA advised of the newest generation, whenever that was.
    pub(crate) advice: Option<Advised>,
    /// The last instant at which an attempt still comes in time, should it succeed.
    pub(crate) last_safe_attempt: Option<Timestamp>,
    /// How many attempts would be made before what is live expires, should all fail.
    pub(crate) attempts_left: Option<u32>,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    pub(crate) last_failure: Option<Failed>,
    /// Failing, and the runway is below the alarm line.
    pub(crate) at_risk: bool,
    pub(crate) pinned_until: Option<Timestamp>,
    pub(crate) frozen_until: Option<Timestamp>,
    /// Since when nothing is deployed any more: too many rollouts had to be undone.
    pub(crate) halted_since: Option<Timestamp>,
    pub(crate) rollout: Option<RollingOut>,
    pub(crate) queue: Vec<Waiting>,
    /// Rollouts that had to be undone in the last 24 hours.
    pub(crate) rollbacks: Vec<Timestamp>,
    pub(crate) observed: Observed,
    /// Why it or its settings could not be read, if so; nothing else tells of what could not.
    pub(crate) unreadable: Option<String>,
}

/// A generation of the archive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Held {
    pub(crate) generation: Generation,
    pub(crate) validity: Validity,
    pub(crate) fingerprint: String,
    /// What befell it: `refused`, `rolled_back` or `revoked`, and why.
    pub(crate) fate: Option<(String, String)>,
}

/// The next renewal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: Timestamp,
    /// `ari`, `lifetime`, `retry`, …
    pub(crate) source: String,
    pub(crate) reason: String,
}

/// What the CA advised (RFC 9773).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Advised {
    pub(crate) window: Window,
    pub(crate) fetched_at: Timestamp,
    pub(crate) poll_at: Timestamp,
    pub(crate) explanation_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failed {
    pub(crate) at: Timestamp,
    pub(crate) message: String,
    pub(crate) retry_at: Timestamp,
}

/// A rollout that is under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RollingOut {
    pub(crate) from: Option<Generation>,
    pub(crate) to: Generation,
    /// Each with its targets and the share of their clients, in percent.
    pub(crate) steps: Vec<(Vec<String>, u8)>,
    /// The step that is under way, from 0; those before it are done.
    pub(crate) step: usize,
    pub(crate) soak_until: Option<Timestamp>,
    pub(crate) waits_for_approval: bool,
    /// Why it is being undone, once it is.
    pub(crate) back: Option<String>,
    /// The same for people, as in `step 1 of 3 (nginx) is watched until …`.
    pub(crate) text: String,
}

/// A generation that a target did not take yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    pub(crate) target: String,
    pub(crate) generation: Generation,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
}

/// What a CA still allows of something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Allowance {
    pub(crate) ca: String,
    /// The word for programs, as in `exact_set`.
    pub(crate) limit: String,
    /// Of what, where there are several: names, a registered domain.
    pub(crate) of: String,
    pub(crate) left: u32,
    pub(crate) tokens: u32,
    pub(crate) per: Duration,
}

/// An identifier a CA takes no orders for until a person has visited a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PausedName {
    pub(crate) ca: String,
    pub(crate) identifier: Identifier,
    pub(crate) page: String,
}

impl Prospect {
    /// A certificate of which nothing is known but its name.
    pub(crate) fn of(name: CertName) -> Self {
        Self {
            name,
            identifiers: Vec::new(),
            ca: None,
            profile: None,
            live: None,
            generations: Vec::new(),
            next: None,
            advice: None,
            last_safe_attempt: None,
            attempts_left: None,
            failures: 0,
            last_failure: None,
            at_risk: false,
            pinned_until: None,
            frozen_until: None,
            halted_since: None,
            rollout: None,
            queue: Vec::new(),
            rollbacks: Vec::new(),
            observed: Observed::default(),
            unreadable: None,
        }
    }

    /// What a client was shown where it looked for what is live, by place. What it saw of another
    /// generation says nothing of this one.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (&String, &Place)> {
        let live = self.live.as_ref().map(|live| live.generation);
        let places = self.observed.places.iter();
        places.filter(move |(_, seen)| Some(seen.generation) == live)
    }

    /// What is left of the life of what is live; zero once it is over.
    pub(crate) fn runway(&self, now: Timestamp) -> Option<Duration> {
        self.live.as_ref().map(|live| live.validity.not_after.since(now))
    }
}

#[cfg(test)]
pub(crate) mod sample;
