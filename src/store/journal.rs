//! The state file of a certificate: the facts between runs, and the journal of the run under way.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::{Store, StoreError};
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::{CertName, Identifier};
use crate::model::time::{Timestamp, Window};

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
    /// The instant drawn in the window of `ari`.
    pub(crate) chosen: Option<Timestamp>,
    pub(crate) next_renewal: Option<NextRenewal>,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    pub(crate) last_failure: Option<LastFailure>,
    pub(crate) last_run: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    /// The generation that last went live and was confirmed; what a lost `live` is mended to.
    pub(crate) confirmed: Option<Generation>,
    pub(crate) pin: Option<Pin>,
    /// Generations that failed verification and are never chosen again.
    pub(crate) bad: BTreeSet<Generation>,
    pub(crate) order: Option<OrderJournal>,
    pub(crate) intent: Option<Intent>,
    pub(crate) deploy_queue: Vec<QueuedDeploy>,
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
}

/// A target that did not take a generation yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct QueuedDeploy {
    pub(crate) target: String,
    pub(crate) generation: Generation,
    pub(crate) attempts: u32,
    pub(crate) next_at: Timestamp,
}

/// Why a state was rebuilt from archive and live instead of being read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Repaired {
    pub(crate) why: String,
}

impl Store {
    /// Reads the facts of a certificate; nothing yet where there is no file.
    ///
    /// A damaged file is rebuilt in memory from archive and live, and nothing is written:
    /// [`Store::recover`] puts the damaged one aside. A rebuilt state holds live where it is (a pin)
    /// when newer generations exist, for whether somebody rolled back is no longer known.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer version wrote it: nothing may be touched then.
    pub(crate) fn state(&self, name: &CertName) -> Result<(State, Option<Repaired>), StoreError> {
        todo!("{name}")
    }

    /// Writes the facts, atomically and synced: once this returns they survive a power cut.
    pub(crate) fn save_state(&self, lock: &Lock, state: &State) -> Result<(), StoreError> {
        todo!("{lock:?} {state:?}")
    }

    /// The private key an earlier run made and had no certificate for yet.
    pub(crate) fn pending_key(
        &self,
        lock: &Lock,
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, StoreError> {
        todo!("{lock:?}")
    }

    /// Stores a key before ordering, and makes sure there is room for what the order will bring.
    ///
    /// # Errors
    /// [`StoreError::Full`] before the CA has been asked for anything.
    pub(crate) fn save_pending_key(&self, lock: &Lock, pem: &[u8]) -> Result<(), StoreError> {
        todo!("{lock:?} {}", pem.len())
    }

    /// Removes the pending key and the room held for its order.
    pub(crate) fn drop_pending(&self, lock: &Lock) -> Result<(), StoreError> {
        todo!("{lock:?}")
    }
}
