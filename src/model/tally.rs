//! What was counted of all runs of a home, and what was seen of each certificate last. Pure.
//!
//! Counts only grow: what reads them takes differences. They are a convenience, not the books: a
//! crash may lose those of a run, and a lost file begins them anew at `since`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ended::Ended;
use super::event::{Event, Failing, Sighting};
use super::generation::Generation;
use super::name::CertName;
use super::time::Timestamp;
use super::traffic::{Counters, Traffic};

/// All that was counted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Tally {
    pub(crate) since: Timestamp,
    /// How often a certificate's part of a run ended how, by [`super::ended::Ended::as_str`].
    pub(crate) ended: BTreeMap<String, u64>,
    /// By the kind of the failure.
    pub(crate) errors: BTreeMap<String, Errors>,
    /// By the name of the phase.
    pub(crate) phases: BTreeMap<String, Histogram>,
    /// By the type of the challenge.
    pub(crate) challenges: BTreeMap<String, Challenges>,
    pub(crate) certificates: BTreeMap<CertName, Observed>,
}

/// Failures of one kind.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Errors {
    pub(crate) count: u64,
    pub(crate) last_at: Timestamp,
    pub(crate) last_name: String,
    pub(crate) last_message: String,
}

/// Challenges of one type.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Challenges {
    pub(crate) failed: u64,
    /// All of them, the failed ones too.
    pub(crate) took: Histogram,
}

/// How long something took, as Prometheus counts it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Histogram {
    /// Of each of [`Histogram::BOUNDS`] how many took at most so long and longer than the one
    /// before; last how many took longer than all.
    pub(crate) counts: [u64; 12],
    pub(crate) seconds: f64,
}

/// What was seen of a certificate last.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Observed {
    /// By place.
    pub(crate) places: BTreeMap<String, Place>,
    /// By the label of the target.
    pub(crate) targets: BTreeMap<String, Taken>,
    /// Of the last rollout in which a server counted its clients' handshakes.
    pub(crate) handshakes: Option<Handshakes>,
    /// `good`, `revoked` or `unknown`, and when the CA was asked about what is live.
    pub(crate) revocation: Option<(Timestamp, String)>,
    /// What the last run that did something took, by the name of the phase, in seconds.
    pub(crate) phases: Vec<(String, f64)>,
    /// What went live last: places and targets that a whole rollout of it did not reach are gone.
    pub(crate) live: Option<Generation>,
}

/// What a client was shown at one place.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) at: Timestamp,
    pub(crate) generation: Generation,
    pub(crate) serves: bool,
    pub(crate) problem: Option<String>,
    /// How long the handshake took, in seconds, and what it had taken before the switch.
    pub(crate) took: Option<f64>,
    pub(crate) took_before: Option<f64>,
}

/// The generation a target has taken.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Taken {
    pub(crate) at: Timestamp,
    pub(crate) generation: Generation,
    /// Seconds it had been issued by then.
    pub(crate) lag: f64,
}

/// Handshakes of clients, as a server counted them beside each other.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Handshakes {
    pub(crate) at: Timestamp,
    pub(crate) old: Counted,
    pub(crate) new: Counted,
}

/// The handshakes with one certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Counted {
    pub(crate) completed: u64,
    /// For a reason the certificate does not have.
    pub(crate) failed: u64,
    /// Clients that did not accept the certificate, or its stapled OCSP response.
    pub(crate) refused: u64,
    /// In seconds; `None` where none was timed.
    pub(crate) mean: Option<f64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; Self::BOUNDS.len() + 1], seconds: 0.0 }
    }
}

impl Histogram {
    /// In seconds: from a look at the disk to the patience of a propagation.
    pub(crate) const BOUNDS: [f64; 11] =
        [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

    pub(crate) fn add(&mut self, took: Duration) {
        let took = seconds(took);
        let bucket = Self::BOUNDS.iter().position(|bound| took <= *bound);
        let count = &mut self.counts[bucket.unwrap_or(Self::BOUNDS.len())];
        *count = count.saturating_add(1);
        self.seconds = in_millionths(self.seconds + took);
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Counted {
    fn of(counters: Counters) -> Self {
        let Counters { completed, failed, refused, ocsp_refused, timed, took } = counters;
        let timed = u32::try_from(timed).unwrap_or(u32::MAX);
        let mean = took.checked_div(timed).map(seconds);
        Self { completed, failed, refused: refused.saturating_add(ocsp_refused), mean }
    }

    pub(crate) fn all(&self) -> u64 {
        self.completed.saturating_add(self.failed).saturating_add(self.refused)
    }
}

impl Errors {
    fn add(&mut self, at: Timestamp, name: &CertName, message: &str) {
        self.count = self.count.saturating_add(1);
        self.last_at = at;
        self.last_name = name.to_string();
        self.last_message = short(message);
    }
}

impl Observed {
    /// Forgets what a rollout that came to its end did not reach: it is served there no more.
    fn keep_reached(&mut self) {
        let Some(live) = self.live else { return };
        self.places.retain(|_, place| place.generation == live);
        self.targets.retain(|_, taken| taken.generation == live);
    }
}

impl Tally {
    /// Nothing so far.
    pub(crate) fn begun(now: Timestamp) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// Whether any of this is counted.
    pub(crate) fn concerns(events: &[(Timestamp, Event)]) -> bool {
        let mut of_these = Self::default();
        events.iter().any(|(at, event)| {
            of_these.note(*at, event);
            of_these != Self::default()
        })
    }

    /// Counts what happened at that time.
    pub(crate) fn note(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::PhaseStarted { name, phase } if phase.begins_a_run() => {
                self.of(name).phases.clear();
            }
            Event::PhaseEnded { name, phase, took } => {
                self.phases.entry(phase.as_str().to_owned()).or_default().add(*took);
                self.of(name).phases.push((phase.as_str().to_owned(), seconds(*took)));
            }
            Event::ChallengeEnded { kind, took, failed, .. } => {
                let challenges = self.challenges.entry(kind.as_str().to_owned()).or_default();
                challenges.took.add(*took);
                let failed = u64::from(failed.is_some());
                challenges.failed = challenges.failed.saturating_add(failed);
            }
            Event::Switched { name, to, .. } => {
                let observed = self.of(name);
                // What the CA said was said of what was live until now.
                (observed.live, observed.revocation) = (Some(*to), None);
            }
            Event::Activated { name, target, generation, lag, .. } => {
                let taken = Taken { at, generation: *generation, lag: seconds(*lag) };
                self.of(name).targets.insert(target.clone(), taken);
            }
            Event::Seen { name, generation, sighting } => {
                let (place, seen) = place(at, *generation, sighting);
                self.of(name).places.insert(place, seen);
            }
            Event::Counted { name, traffic: Traffic { old, new } } => {
                let (old, new) = (Counted::of(*old), Counted::of(*new));
                self.of(name).handshakes = Some(Handshakes { at, old, new });
            }
            Event::RevocationSeen { name, state } => {
                self.of(name).revocation = Some((at, (*state).to_owned()));
            }
            Event::RunEnded { name, ended, failing } => {
                let count = self.ended.entry(ended.as_str().to_owned()).or_default();
                *count = count.saturating_add(1);
                if let Some(Failing { kind, message }) = failing {
                    self.errors.entry((*kind).to_owned()).or_default().add(at, name, message);
                } else if matches!(ended, Ended::Renewed | Ended::Deployed) {
                    self.of(name).keep_reached();
                }
            }
            Event::PhaseStarted { .. }
            | Event::Issued { .. }
            | Event::Decided { .. }
            | Event::Recorded { .. }
            | Event::Measured { .. }
            | Event::Noticed { .. } => {}
        }
    }

    /// Forgets certificates that are no more.
    pub(crate) fn keep(&mut self, exists: impl Fn(&CertName) -> bool) {
        self.certificates.retain(|name, _| exists(name));
    }

    fn of(&mut self, name: &CertName) -> &mut Observed {
        self.certificates.entry(name.clone()).or_default()
    }
}

fn place(at: Timestamp, generation: Generation, sighting: &Sighting) -> (String, Place) {
    let Sighting { place, serves, problem, took, took_before } = sighting;
    let (took, took_before) = (took.map(seconds), took_before.map(seconds));
    let problem = problem.as_deref().map(short);
    (place.clone(), Place { at, generation, serves: *serves, problem, took, took_before })
}

fn seconds(span: Duration) -> f64 {
    in_millionths(span.as_secs_f64())
}

/// To the microsecond: so much is written in few digits, and read back as it was.
fn in_millionths(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// As much of a text as is kept.
fn short(text: &str) -> String {
    const LONGEST: usize = 1000;
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests;
