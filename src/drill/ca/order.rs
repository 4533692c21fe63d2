//! Orders, in memory only: a client whose CA was restarted opens a new one (RFC 8555 §7.1.3).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::authorization::{Authorization, Status};
use super::ledger::AccountId;
use super::nonce::random_text;
use super::offer::Offers;
use super::problem::Problem;
use super::profile::Profile;
use super::serial::Serial;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// What a client asked for, once it was found acceptable.
pub(super) struct Request {
    pub(super) identifiers: Vec<Identifier>,
    pub(super) profile: Profile,
    pub(super) replaces: Option<Replaces>,
}

/// The certificate an order replaces (RFC 9773 §5).
pub(super) struct Replaces {
    /// As the client wrote it; the order must repeat it.
    pub(super) cert_id: String,
    pub(super) serial: Serial,
}

pub(super) struct Order {
    pub(super) id: String,
    pub(super) account: AccountId,
    pub(super) request: Request,
    pub(super) authorizations: Vec<Authorization>,
    pub(super) certificate: Option<Serial>,
    expires: Timestamp,
}

impl Order {
    pub(super) fn new(
        account: AccountId,
        request: Request,
        now: Timestamp,
        offers: impl Fn(&Identifier) -> Offers,
    ) -> Self {
        let expires = now.plus(request.profile.order_lifetime());
        let ask = |one: &Identifier| Authorization::new(one.clone(), expires, offers(one));
        let authorizations = request.identifiers.iter().map(ask).collect();
        let id = random_text();
        Self { id, account, request, authorizations, certificate: None, expires }
    }

    pub(super) fn status(&self, now: Timestamp) -> Status {
        let all = |status| self.authorizations.iter().all(|one| one.status(now) == status);
        let open = |one: &Authorization| matches!(one.status(now), Status::Pending | Status::Valid);
        match () {
            () if self.certificate.is_some() => Status::Valid,
            () if now >= self.expires || !self.authorizations.iter().all(open) => Status::Invalid,
            () if all(Status::Valid) => Status::Ready,
            () => Status::Pending,
        }
    }

    /// The object as the client sees it; `base` is the CA's origin.
    pub(super) fn view(&self, base: &str, now: Timestamp) -> Value {
        let Self { id, request, .. } = self;
        let authorization = |index| format!("{base}/authorization/{id}/{index}");
        let mut view = json!({
            "status": self.status(now),
            "expires": self.expires,
            "identifiers": request.identifiers,
            "profile": request.profile,
            "authorizations": (0..self.authorizations.len()).map(authorization).collect::<Vec<_>>(),
            "finalize": format!("{base}/order/{id}/finalize"),
        });
        if let Some(replaces) = &request.replaces {
            view["replaces"] = json!(replaces.cert_id);
        }
        if let Some(serial) = &self.certificate {
            view["certificate"] = json!(format!("{base}/certificate/{serial}"));
        }
        if let Some(problem) = self.authorizations.iter().find_map(Authorization::problem) {
            view["error"] = json!(problem);
        }
        view
    }
}

/// The orders of this process.
#[derive(Default)]
pub(super) struct Orders(HashMap<String, Order>);

impl Orders {
    /// With so many open, the one that would expire first makes room for a new one.
    const CAPACITY: usize = 10_000;

    pub(super) fn insert(&mut self, order: Order, now: Timestamp) {
        if self.0.len() >= Self::CAPACITY {
            self.0.retain(|_, order| now < order.expires);
        }
        if self.0.len() >= Self::CAPACITY {
            let first = self.0.values().min_by_key(|order| order.expires);
            if let Some(id) = first.map(|order| order.id.clone()) {
                self.0.remove(&id);
            }
        }
        self.0.insert(order.id.clone(), order);
    }

    /// An order of this account; to anybody else it does not exist.
    pub(super) fn owned(&mut self, id: &str, account: AccountId) -> Result<&mut Order, Problem> {
        let order = self.0.get_mut(id).filter(|order| order.account == account);
        order.ok_or_else(|| Problem::not_found("order"))
    }

    /// An authorization of this account, by its order and its place in it.
    pub(super) fn authorization(
        &mut self,
        order: &str,
        index: &str,
        account: AccountId,
    ) -> Result<&mut Authorization, Problem> {
        let index = index.parse::<usize>().ok();
        let order = self.owned(order, account).ok();
        order
            .zip(index)
            .and_then(|(order, index)| order.authorizations.get_mut(index))
            .ok_or_else(|| Problem::not_found("authorization"))
    }

    pub(super) fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.0.values().filter(move |order| order.account == account)
    }

    /// The orders that name this identifier, be it by itself or among others.
    pub(super) fn naming(&self, identifier: &str) -> impl Iterator<Item = &Order> {
        let names = move |order: &&Order| {
            order.request.identifiers.iter().any(|named| named.to_string() == identifier)
        };
        self.0.values().filter(names)
    }

    /// An order of this account for exactly this that still waits for its client.
    pub(super) fn waiting(
        &self,
        account: AccountId,
        identifiers: &[Identifier],
        profile: Profile,
        now: Timestamp,
    ) -> Option<&Order> {
        self.of_account(account).find(|order| {
            order.request.identifiers == identifiers
                && order.request.profile == profile
                && matches!(order.status(now), Status::Pending | Status::Ready)
        })
    }

    /// Whether an order that may still succeed, or has, replaces this certificate (RFC 9773 §5).
    pub(super) fn replacing(&self, serial: &Serial, now: Timestamp) -> bool {
        self.0.values().any(|order| {
            order.request.replaces.as_ref().is_some_and(|old| old.serial == *serial)
                && order.status(now) != Status::Invalid
        })
    }

    /// Whether the account has proved control of this identifier and the proof still holds.
    pub(super) fn authorized(
        &self,
        account: AccountId,
        identifier: &Identifier,
        now: Timestamp,
    ) -> bool {
        self.of_account(account).flat_map(|order| &order.authorizations).any(|authorization| {
            authorization.identifier == *identifier && authorization.status(now) == Status::Valid
        })
    }
}
