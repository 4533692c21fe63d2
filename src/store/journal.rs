//! The state file of a certificate: the facts between runs, and the journal of the run under way.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::lock::Lock;
use super::{Store, StoreError, sealed};
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::{CertName, Identifier};
use crate::model::time::{Timestamp, Window};
use crate::schedule::rollout::Step;

/// What is known of one certificate beyond its files. The default is "nothing yet".
///
/// Whoever adds or changes a field raises the schema number: a file with fields this version does
/// not know counts as damaged, never as something to write back without them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct State {
    /// The CA of the newest generation.
    pub(crate) ca: Option<String>,
    pub(crate) ari: Option<AriFacts>,
    pub(crate) next_renewal: Option<NextRenewal>,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    pub(crate) last_failure: Option<LastFailure>,
    pub(crate) last_run: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    /// The generation that last went live and was confirmed; what a lost `live` is mended to.
    pub(crate) confirmed: Option<Generation>,
    pub(crate) pin: Option<Pin>,
    /// The identifiers the CA found fault with when an attempt last failed.
    pub(crate) bad_names: BTreeSet<Identifier>,
    /// Generations that failed verification and are never chosen again.
    pub(crate) bad: BTreeSet<Generation>,
    pub(crate) order: Option<OrderJournal>,
    pub(crate) intent: Option<Intent>,
    pub(crate) deploy_queue: Vec<QueuedDeploy>,
    /// When rollouts had to be undone, as far as it is not long ago.
    pub(crate) rollbacks: Vec<Timestamp>,
    /// Since when nothing is deployed any more, because too many rollouts had to be undone.
    pub(crate) halted: Option<Timestamp>,
    /// Why generations did not stay in service; of the newest [`MOST_FATES`].
    pub(crate) fates: BTreeMap<Generation, Fate>,
}

/// What befell a generation last.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Fate {
    pub(crate) at: Timestamp,
    pub(crate) kind: FateKind,
    pub(crate) why: String,
}

/// What may befall a generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FateKind {
    /// It was not fit to be served.
    Refused,
    /// It was deployed, and that had to be undone.
    RolledBack,
    /// Its CA was told to revoke it, or told us that it did.
    Revoked,
}

/// A fate is remembered of so many generations.
const MOST_FATES: usize = 20;

impl State {
    /// Remembers what befell a generation.
    pub(crate) fn befell(&mut self, generation: Generation, fate: Fate) {
        self.fates.insert(generation, fate);
        while self.fates.len() > MOST_FATES {
            self.fates.pop_first();
        }
    }
}

/// The CA's last usable answer to "when should this be renewed?" (RFC 9773 §4).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct AriFacts {
    pub(crate) window: Window,
    /// The certificate the answer is about (RFC 9773 §4.1).
    pub(crate) cert_id: String,
    pub(crate) explanation_url: Option<String>,
    pub(crate) fetched_at: Timestamp,
    /// When to ask again; Retry-After already clamped.
    pub(crate) poll_at: Timestamp,
}

/// When the next renewal is planned, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct NextRenewal {
    pub(crate) at: Timestamp,
    /// The word of the JSON output: `ari`, `lifetime`, `retry`, …
    pub(crate) source: String,
    pub(crate) reason: String,
}

/// What went wrong last, and when it is tried again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct LastFailure {
    pub(crate) at: Timestamp,
    pub(crate) message: String,
    pub(crate) retry_at: Timestamp,
}

/// Holds live at one generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Pin {
    pub(crate) generation: Generation,
    pub(crate) until: Timestamp,
}

/// An order the CA knows of: resumed after a crash instead of opening another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct OrderJournal {
    pub(crate) url: String,
    pub(crate) ca: String,
    pub(crate) account_url: String,
    /// The certificate identifier the order replaces (RFC 9773 §5).
    pub(crate) replaces: Option<String>,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) profile: Option<String>,
    pub(crate) opened_at: Timestamp,
}

/// "Deploying `to` from `from`": written before the switch, gone once confirmed or undone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Intent {
    pub(crate) to: Generation,
    pub(crate) from: Option<Generation>,
    pub(crate) snapshot: SnapshotId,
    #[serde(default)]
    pub(crate) rollout: Rollout,
}

/// How far a rollout has come, and which way it goes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rollout {
    pub(crate) steps: Vec<Step>,
    /// The step that is under way; those before it are done.
    pub(crate) at: usize,
    /// Set once that step was seen to be good: until then it is watched.
    pub(crate) soak_until: Option<Timestamp>,
    /// Whether a person let it go on from that step.
    pub(crate) approved: bool,
    /// From then on nothing is waited for.
    pub(crate) deadline: Option<Timestamp>,
    /// What clients saw before the switch, by the place they look at.
    pub(crate) before: BTreeMap<String, String>,
    /// Why it is being undone, once it is.
    pub(crate) back: Option<String>,
}

impl Rollout {
    /// The step that is under way.
    pub(crate) fn step(&self) -> Option<&Step> {
        self.steps.get(self.at)
    }

    /// Whether a person has to say that it may go on from that step, now or when it was watched.
    pub(crate) fn waits_for_approval(&self) -> bool {
        self.step().is_some_and(|step| step.approve) && !self.approved
    }
}

/// A target that did not take a generation yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct QueuedDeploy {
    pub(crate) target: String,
    pub(crate) generation: Generation,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
}

/// Why something was made anew from what else is known, instead of being read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Repaired {
    pub(crate) why: String,
}

impl Store {
    /// Reads the facts of a certificate; nothing yet where there is no file and no generation.
    ///
    /// A damaged or lost file is rebuilt in memory from archive and live, and nothing is written:
    /// [`Store::recover`] puts the damaged one aside. A rebuilt state holds live where it is (a pin)
    /// when newer generations exist, for whether somebody rolled back is no longer known.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer version wrote it: nothing may be touched then.
    pub(crate) fn state(&self, name: &CertName) -> Result<(State, Option<Repaired>), StoreError> {
        match self.read_sealed(&self.layout.state(name)) {
            Ok(state) => Ok((state, None)),
            Err(StoreError::Damaged { what, .. }) => {
                let rebuilt = self.rebuild_state(name)?;
                let repaired = rebuilt.is_some().then_some(Repaired { why: what });
                Ok((rebuilt.unwrap_or_default(), repaired))
            }
            Err(error) => Err(error),
        }
    }

    /// What archive and live still tell; `None` where there was nothing to lose.
    fn rebuild_state(&self, name: &CertName) -> Result<Option<State>, StoreError> {
        let generations = self.generations(name)?;
        let lost = self.disk.look(&self.layout.state(name))?.is_some();
        let Some(newest) = generations.last().copied() else {
            return Ok(lost.then(State::default));
        };
        let live = self.live(name).ok().flatten();
        let meta = self.meta(name, live.unwrap_or(newest)).ok();
        let until = meta.as_ref().map(|meta| meta.validity.not_after);
        let held_back = live.filter(|live| *live < newest).zip(until);
        Ok(Some(State {
            ca: meta.as_ref().map(|meta| meta.ca.clone()),
            last_success: meta.as_ref().map(|meta| meta.issued_at),
            confirmed: live,
            pin: held_back.map(|(generation, until)| Pin { generation, until }),
            ..State::default()
        }))
    }

    /// Writes the facts, atomically and synced: once this returns they survive a power cut.
    ///
    /// [`Store::switch`] and what follows it up to [`Store::confirm`] or [`Store::went_back`] change
    /// the file themselves: what was read before them is out of date after them.
    pub(crate) fn save_state(&self, lock: &Lock, state: &State) -> Result<(), StoreError> {
        let path = self.layout.state(lock.name());
        let saved = self.disk.replace(&path, &sealed::seal(state));
        saved.map_err(|error| self.explain(error, &self.layout.state_dir(), SMALL))
    }

    /// The private key an earlier run made and has no generation for yet.
    pub(crate) fn pending_key(
        &self,
        lock: &Lock,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.read_secret(&self.layout.pending(lock.name()))
    }

    /// Stores a key before ordering, and makes sure there is room for what the order will bring.
    ///
    /// # Errors
    /// [`StoreError::Full`] before the CA has been asked for anything.
    pub(crate) fn save_pending_key(&self, lock: &Lock, pem: &[u8]) -> Result<(), StoreError> {
        let saved = self.save_and_reserve(lock, pem);
        if saved.is_err() {
            // What there is of room goes to those who have to note the failure.
            let _ = self.drop_pending(lock);
        }
        saved
    }

    fn save_and_reserve(&self, lock: &Lock, pem: &[u8]) -> Result<(), StoreError> {
        let dir = self.layout.state_dir();
        let explain = |error| self.explain(error, &dir, ROOM);
        self.disk.replace(&self.layout.pending(lock.name()), pem).map_err(explain)?;
        let room = self.layout.reserve(lock.name());
        self.disk.remove_file(&room)?;
        self.disk.reserve(&room, ROOM as u64).map_err(explain)?;
        match self.disk.room(&dir)?.inodes {
            Some(left) if left < INODES => Err(StoreError::Full {
                dir,
                need: format!("{INODES} inodes"),
                have: format!("{left}"),
            }),
            _ => Ok(()),
        }
    }

    /// Removes the pending key and the room held for its order.
    pub(crate) fn drop_pending(&self, lock: &Lock) -> Result<(), StoreError> {
        for file in [self.layout.pending(lock.name()), self.layout.reserve(lock.name())] {
            self.disk.remove_tree(&file)?;
        }
        Ok(())
    }
}

/// What a chain, its copies and the state take at most in practice, in bytes.
pub(crate) const ROOM: usize = 64 << 10;
/// What a state takes, in bytes; only said in messages.
const SMALL: usize = 4 << 10;
/// What a generation, a snapshot and a live directory take.
pub(crate) const INODES: u64 = 24;
