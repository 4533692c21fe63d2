//! Floor 5: one certificate's walk from wanted to served, by real hands.
//!
//! [`Run::walk`] is a loop of one line per state of the [`machine`]: do what the state asks for,
//! journal it, ask for the next. A restart reads the journal and goes on, so every action here is
//! safe to repeat. Before the snapshot is taken any failure leaves what is live untouched; after it,
//! any failure goes back.

mod acquire;
mod allowance;
mod authority;
mod back;
mod cause;
mod deploy;
mod fallback;
pub(crate) mod hooks;
pub(crate) mod machine;
mod precheck;
mod prove;
pub(crate) mod rollout;
mod selftest;
mod slot;
mod soak;
mod solvers;
mod standing;
mod trust;
mod validate;
mod verify;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::acme::Profile;
use crate::certificate::{KeyType, Roots};
use crate::challenge::Http01;
use crate::challenge::dns01::Dns;
use crate::deploy::Target;
use crate::hook::command::Command;
use crate::model::challenge::ChallengeKind;
use crate::model::event::{Event, Phase, Sink};
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::proof::Setback;
use crate::model::time::Clock;
use crate::probe::cells::Cell;
use crate::probe::revocation::Revocations;
use crate::schedule::Exemption;
use crate::schedule::ladder::Rung;
use crate::store::Store;
use crate::store::disk::Access;
use crate::store::journal::{Rollout, State as Facts};
use crate::store::lock::Lock;
use machine::State;

pub(crate) use authority::{Application, Authority};
pub(crate) use cause::Cause;
pub(crate) use solvers::{Looker, Solvers};
pub(crate) use verify::Verification;

pub(crate) type Outcome = machine::Outcome<Cause>;

/// What a run is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Task {
    /// Get a new certificate, taking up an order that is open already, and put it into service.
    Order,
    /// Get a new certificate and only keep it: the live one is pinned.
    Stock,
    /// Put a generation of the archive into service.
    Deploy(Generation),
    /// The same although its time is over or it is revoked: the operator insists.
    DeployExpired(Generation),
}

impl Task {
    /// The generation of the archive it is about; `None` when one is to be ordered.
    pub(crate) fn generation(self) -> Option<Generation> {
        match self {
            Self::Order | Self::Stock => None,
            Self::Deploy(generation) | Self::DeployExpired(generation) => Some(generation),
        }
    }
}

/// What is wanted of a certificate, as far as a run needs to know.
#[derive(Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) identifiers: &'a [Identifier],
    pub(crate) profile: Option<&'a Profile>,
    /// Common name of an issuer whose chain is preferred.
    pub(crate) preferred_chain: Option<&'a str>,
    pub(crate) key_type: KeyType,
    pub(crate) reuse_key: bool,
    /// In the order in which they are tried.
    pub(crate) challenges: &'a [ChallengeKind],
    pub(crate) http01: &'a Http01,
    pub(crate) tls_alpn01_port: Option<u16>,
    /// How TXT records get into the DNS, where that is known.
    pub(crate) dns: Option<Arc<Dns>>,
    /// In the order in which they are activated.
    pub(crate) targets: Vec<Arc<dyn Target>>,
    /// Run after them.
    pub(crate) deploy_hooks: &'a [Command],
    pub(crate) verification: Verification,
    pub(crate) rollout: &'a crate::schedule::rollout::Settings,
    /// Who may read the key besides us.
    pub(crate) access: Access,
}

/// How pressing the matter is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pressure {
    pub(crate) rung: Rung,
    /// Attempts failed since the last success.
    pub(crate) failures: u32,
    /// May use what the budget holds back for emergencies.
    pub(crate) is_emergency: bool,
    /// A person asks, who may have just lifted a pause.
    pub(crate) by_hand: bool,
}

/// The hands all runs of a process share.
pub(crate) struct Hands {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) solvers: Solvers,
    /// Turns true when the process was asked to end: nothing new is begun, what was is finished.
    pub(crate) stop: watch::Receiver<bool>,
    /// Servers are shared: what one certificate does to them must not be taken for another's doing.
    pub(crate) turns: Arc<Mutex<()>>,
    /// Read when they are needed first.
    pub(crate) system_roots: OnceLock<Roots>,
    /// Made when they are needed first.
    pub(crate) revocations: OnceLock<Revocations>,
}

/// One certificate, what is wanted of it, and the lock that makes it ours.
pub(crate) struct Run<'a> {
    pub(crate) hands: &'a Hands,
    /// Needed to order; what is in the archive can be put to use without.
    pub(crate) authority: Option<&'a Authority>,
    pub(crate) application: Application,
    pub(crate) name: &'a CertName,
    pub(crate) wanted: Wanted<'a>,
    pub(crate) lock: &'a Lock,
    pub(crate) task: Task,
    pub(crate) pressure: Pressure,
    /// What is known of the certificate; changed and saved as the run goes.
    pub(crate) facts: &'a mut Facts,
    /// The settings file to write once a certificate exists that needs it.
    pub(crate) new_settings: Option<String>,
    /// The challenge types that work on this host, as the precheck found, in the order in which
    /// they are tried.
    pub(crate) usable: Vec<ChallengeKind>,
    /// What did not work so far, and is not tried again in this run.
    pub(crate) setbacks: Vec<Setback>,
    /// What the CA accepts for each identifier, as far as it was asked.
    pub(crate) offered: BTreeMap<Identifier, Vec<ChallengeKind>>,
    /// What was shown to the CA for each identifier last.
    pub(crate) shown: BTreeMap<Identifier, ChallengeKind>,
    pub(crate) phases: Vec<(Phase, Duration)>,
    /// Whether the order carried `replaces` within the CA's window, and so costs nothing.
    pub(crate) ari_exempt: Option<Exemption>,
    /// The plan of the rollout and how far it has come, as it is journaled.
    pub(crate) rollout: Rollout,
    /// The targets that were told of the new generation, in that order.
    pub(crate) touched: Vec<String>,
    /// How long handshakes took before the switch, as far as that was this run's.
    pub(crate) took_before: HashMap<Cell, Duration>,
    /// Held while servers are changed and looked at.
    pub(crate) turn: Option<OwnedMutexGuard<()>>,
}

impl Run<'_> {
    /// Walks to the end. The facts are saved whenever something was done that must be remembered.
    pub(crate) async fn walk(&mut self) -> Outcome {
        let mut state = State::start();
        loop {
            let (phase, started) = (phase_of(&state), self.hands.clock.monotonic());
            if let Some(phase) = phase {
                self.note(Event::PhaseStarted { name: self.name.clone(), phase });
            }
            if changes_servers(&state) {
                self.take_turn().await;
            }
            state = match state {
                State::Precheck(at) => self.precheck(at).await,
                State::Acquire(at) => self.acquire(at).await,
                State::Validate(at) => self.validate(at),
                State::Snapshot(at) => self.snapshot(at).await,
                State::Deploy(at) => self.deploy(at).await,
                State::Verify(at) => self.verify(at).await,
                State::Soak(at) => self.soak(at).await,
                State::RollBack(at) => self.roll_back(at).await,
                State::Done(outcome) => return outcome,
            };
            if let Some(phase) = phase {
                let took = self.hands.clock.monotonic().saturating_sub(started);
                self.phases.push((phase, took));
                self.note(Event::PhaseEnded { name: self.name.clone(), phase, took });
            }
        }
    }

    /// Waits until no other certificate of this process is changing the servers.
    async fn take_turn(&mut self) {
        if self.turn.is_none() && !self.wanted.targets.is_empty() {
            self.turn = Some(Arc::clone(&self.hands.turns).lock_owned().await);
        }
    }

    fn authority(&self) -> &Authority {
        self.authority.expect("a run that orders was given its CA")
    }

    fn note(&self, event: Event) {
        self.hands.sink.note(event);
    }

    /// Tells the operator something although the run goes on.
    fn notice(&self, text: impl Into<String>) {
        self.note(Event::Noticed { name: self.name.clone(), text: text.into() });
    }

    /// Takes up what the store itself journaled.
    fn reload_facts(&mut self) -> Result<(), Cause> {
        *self.facts = self.hands.store.state(self.name)?.0;
        Ok(())
    }

    fn save_facts(&self) -> Result<(), Cause> {
        Ok(self.hands.store.save_state(self.lock, self.facts)?)
    }
}

fn changes_servers<C>(state: &State<C>) -> bool {
    use State::{Deploy, RollBack, Snapshot, Verify};
    matches!(state, Snapshot(_) | Deploy(_) | Verify(_) | RollBack(_))
}

fn phase_of<C>(state: &State<C>) -> Option<Phase> {
    Some(match state {
        State::Precheck(_) => Phase::Precheck,
        State::Acquire(_) => Phase::Acquire,
        State::Validate(_) => Phase::Validate,
        State::Snapshot(_) => Phase::Snapshot,
        State::Deploy(_) => Phase::Deploy,
        State::Verify(_) => Phase::Verify,
        State::Soak(_) => Phase::Soak,
        State::RollBack(_) => Phase::RollBack,
        State::Done(_) => return None,
    })
}
