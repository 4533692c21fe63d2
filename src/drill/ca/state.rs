//! What every request of one running CA shares.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::behaviour::Behaviour;
use super::charge::Meter;
use super::denied::Denied;
use super::issuer::Issuer;
use super::ledger::{Books, Ledger};
use super::nonce::Nonces;
use super::order::Orders;
use super::problem::Problem;
use super::scene::Scene;
use super::validate_persist::Draft;
use crate::model::challenge::ValidationPorts;
use crate::model::time::{Clock, Timestamp};

/// One running CA.
pub(super) struct Ca {
    /// `https://` and the address it listens on.
    pub(super) origin: String,
    /// The same with `http://`, where only the revocation list is served.
    pub(super) plain_origin: String,
    pub(super) issuer: Issuer,
    pub(super) ledger: Ledger,
    pub(super) nonces: Nonces,
    pub(super) ports: Arc<ValidationPorts>,
    /// Who is asked for what names say in the DNS; without it nothing is proved by the DNS.
    pub(super) dns_server: Option<SocketAddr>,
    pub(super) eab: BTreeMap<String, Zeroizing<Vec<u8>>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) behaviour: Behaviour,
    pub(super) scene: Mutex<Scene>,
    pub(super) orders: Mutex<Orders>,
    pub(super) validations: Mutex<JoinSet<()>>,
}

impl Ca {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn url(&self, path: impl Display) -> String {
        format!("{}{path}", self.origin)
    }

    /// What stands before the hash by which a record of dns-persist-01 names an account, since draft 02.
    pub(super) fn hash_prefix(&self) -> Option<String> {
        let hashed = self.dns_server.is_some() && self.behaviour.dns_persist == Draft::D02;
        hashed.then(|| self.url("/account-hash/"))
    }

    /// The orders, locked: never hold them across an `await`, nor take them inside [`Ledger::change`].
    pub(super) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scene, locked: held for a moment only, and nothing else is locked meanwhile.
    pub(super) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buckets of the limits in force, as the books have them.
    pub(super) fn meter<'a>(&'a self, books: &'a Books, now: Timestamp) -> Meter<'a> {
        Meter { limits: &self.behaviour.limits, books, now }
    }

    /// The refusal of what meets an empty bucket.
    pub(super) fn too_many(&self, denied: &Denied, now: Timestamp) -> Problem {
        denied.problem(self.behaviour.retry_after, now)
    }

    /// Runs a validation beside the requests; it ends with the CA.
    pub(super) fn spawn(&self, validation: impl Future<Output = ()> + Send + 'static) {
        let mut validations = self.validations();
        while validations.try_join_next().is_some() {}
        validations.spawn(validation);
    }

    /// Ends the validations under way.
    pub(super) fn stop(&self) {
        self.validations().abort_all();
    }

    fn validations(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.validations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
