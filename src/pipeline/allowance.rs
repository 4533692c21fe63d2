//! What an order may cost, entered in the ledger before it is sent and settled once its end is known.

use std::collections::BTreeSet;

use super::{Cause, Pressure, Run};
use crate::acme::{Account, NewOrder, Order};
use crate::model::name::Identifier;
use crate::schedule::Exemption;
use crate::schedule::budget::{Budget, Entry, Relief, Request, What};
use crate::store::StoreError;

impl Run<'_> {
    /// Sends an order, if the CA's limits allow it.
    pub(super) async fn send(
        &mut self,
        account: &Account,
        wanted: &NewOrder,
    ) -> Result<Order, Cause> {
        let exemption = self.exemption(wanted).await?;
        let relief = Relief::of(exemption, self.renews(wanted)?);
        self.charge(wanted, relief)?;
        let sent = account.order(wanted).await;
        match &sent {
            Ok(_) => {
                self.ari_exempt = Some(exemption);
                self.resume_paused(wanted);
            }
            // Whatever the CA made of it: no certificate comes of an order that is not finalized.
            Err(_) => self.settle(false),
        }
        Ok(sent?)
    }

    /// Whether the CA asked for the order, and it comes in time (RFC 9773 §5).
    async fn exemption(&self, wanted: &NewOrder) -> Result<Exemption, Cause> {
        let offers = self.authority().session().await?.directory().offers_renewal_info();
        let advice =
            self.facts.ari.as_ref().filter(|ari| wanted.replaces.as_ref() == Some(&ari.cert_id));
        let (window, now) = (advice.map(|ari| ari.window), self.hands.clock.now());
        Ok(Exemption::of(offers, wanted.replaces.is_some(), window, now))
    }

    /// Whether the CA certified just these identifiers before.
    fn renews(&self, wanted: &NewOrder) -> Result<bool, Cause> {
        let Some(newest) = self.hands.store.generations(self.name)?.last().copied() else {
            return Ok(false);
        };
        match self.hands.store.meta(self.name, newest) {
            Err(StoreError::Damaged { .. }) => Ok(false),
            meta => Ok(meta?.certifies(&wanted.identifiers, self.authority().name())),
        }
    }

    /// Enters the order before it is sent: a crash loop spends this, and not what the CA allows.
    fn charge(&self, wanted: &NewOrder, relief: Relief) -> Result<(), Cause> {
        let identifiers = set(&wanted.identifiers);
        let Pressure { is_emergency, by_hand, .. } = self.pressure;
        let request = Request { identifiers: identifiers.clone(), relief, is_emergency, by_hand };
        let now = self.hands.clock.now();
        let decide = |budget: &Budget| match budget.judge(&request, now) {
            Err(shortage) => (Err(shortage), Vec::new()),
            Ok(()) => {
                let name = self.name.clone();
                (Ok(()), self.entries([What::Ordering { name, identifiers, relief }]))
            }
        };
        let authority = self.authority();
        let limits = authority.endpoint.limits;
        let judged = self.hands.store.account_for(authority.name(), limits, now, decide)?;
        judged.map_err(|shortage| Cause::Limited { ca: authority.name().to_owned(), shortage })
    }

    /// Notes that the order came to its end: with a certificate, or for certain without one.
    pub(super) fn settle(&self, issued: bool) {
        self.enter([What::Settled { name: self.name.clone(), issued }]);
    }

    /// Notes what a failure teaches of the CA's limits.
    pub(super) fn learn(&self, cause: &Cause) {
        let Cause::Acme(error) = cause.last() else { return };
        let lessons = error.lessons(&set(self.wanted.identifiers));
        if !lessons.is_empty() {
            self.enter(lessons);
        }
    }

    /// An order was taken, so what was paused no longer is.
    fn resume_paused(&self, wanted: &NewOrder) {
        let authority = self.authority();
        let (limits, now) = (authority.endpoint.limits, self.hands.clock.now());
        let identifiers = set(&wanted.identifiers);
        let resumed = self.hands.store.budget(authority.name(), limits, now, |budget| {
            let paused = budget.paused(&identifiers).cloned();
            paused.map(|identifier| What::Resumed { identifier }).collect::<Vec<_>>()
        });
        if let Some(resumed) = resumed.ok().filter(|resumed| !resumed.is_empty()) {
            self.enter(resumed);
        }
    }

    /// Enters what the CA did. What could not be entered stays charged, or is asked for in vain
    /// once more: that is no reason to fail what succeeded, or to hide why it did not.
    fn enter(&self, what: impl IntoIterator<Item = What>) {
        let authority = self.authority();
        let entries = self.entries(what);
        let _ = self.hands.store.enter(authority.name(), authority.endpoint.limits, &entries);
    }

    fn entries(&self, what: impl IntoIterator<Item = What>) -> Vec<Entry> {
        let (at, ca) = (self.hands.clock.now(), self.authority().name());
        what.into_iter().map(|what| Entry { at, ca: ca.to_owned(), what }).collect()
    }
}

fn set(identifiers: &[Identifier]) -> BTreeSet<Identifier> {
    identifiers.iter().cloned().collect()
}
