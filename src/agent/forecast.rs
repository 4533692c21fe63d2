//! What a run would do for a certificate, and what that would take of the CA's limits.

use super::plan::{Insistence, Plan, Standing, plan, runway};
use super::{Agent, Trouble};
use crate::model::name::{CertName, Identifier};
use crate::model::time::Timestamp;
use crate::pipeline::Task;
use crate::schedule::budget::{Holding, Relief, Request, Shortage};
use crate::schedule::{Due, Exemption, backoff};

/// The next thing to happen to a certificate.
#[derive(Debug)]
pub(crate) struct Forecast {
    pub(crate) name: CertName,
    /// What is to be done: `order`, `stock` (a pin holds what is live) or `deploy`.
    pub(crate) action: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    /// The CA that will be asked first.
    pub(crate) ca: String,
    pub(crate) exemption: Exemption,
    pub(crate) holdings: Vec<Holding>,
    /// What stands against it, as the ledger is now.
    pub(crate) shortage: Option<Shortage>,
    /// How many attempts would be made before what is served expires, should all fail.
    pub(crate) attempts: u32,
}

impl Agent {
    /// Foretells what the next runs will do; asks nobody and changes nothing.
    pub(crate) fn forecast(&self, name: &CertName) -> Result<Forecast, Trouble> {
        let Some((settings, _)) = self.settings(name)? else {
            return Err(Trouble::NoSettings { path: self.store().layout().settings(name) });
        };
        let standing = self.standing(name)?;
        let (now, seed) = (self.hands.clock.now(), self.seed(&standing));
        let (action, at, reason) =
            match plan(&standing, &settings, &seed, Insistence::default(), now) {
                Plan::Do(Task::Order, why) => ("order", now, why.to_string()),
                Plan::Do(Task::Stock, why) => ("stock", now, why.to_string()),
                Plan::Do(Task::Deploy(_) | Task::DeployExpired(_), why) => {
                    ("deploy", now, why.to_string())
                }
                Plan::Wait(Due::At(at, reason) | Due::Blocked(at, reason)) => {
                    ("order", at, reason.to_string())
                }
                Plan::Wait(Due::Now(reason)) => ("order", now, reason.to_string()),
            };
        let (ca, limits) = self.authorities.limits(&settings.cas[0])?;
        let exemption = expected_exemption(&standing, &ca, at);
        let request = Request {
            identifiers: settings.identifiers.iter().cloned().collect(),
            relief: Relief::of(exemption, renews(&standing, &ca, &settings.identifiers)),
            is_emergency: false,
            by_hand: false,
        };
        let (holdings, shortage) = self.store().budget(&ca, limits, now, |budget| {
            let judged = budget.judge(&request, at.max(now)).err();
            // What only a person can lift stands until then, whenever it is asked about again.
            let pause = || budget.pause_of(&request).map(|pause| pause.at_earliest(at));
            (budget.holdings(&request, now), judged.or_else(pause))
        })?;
        let attempts = backoff::attempts(standing.facts.failures, runway(&standing, at.max(now)));
        Ok(Forecast {
            name: name.clone(),
            action,
            at,
            reason,
            ca,
            exemption,
            holdings,
            shortage,
            attempts,
        })
    }
}

/// Whether an order at that instant will be inside the window.
pub(super) fn expected_exemption(standing: &Standing, ca: &str, at: Timestamp) -> Exemption {
    let newest = standing.newest.as_ref().map(|(_, meta)| meta).filter(|meta| meta.ca == ca);
    let cert_id = newest.and_then(|meta| meta.ari_id.as_ref());
    let advice = standing.facts.ari.as_ref().filter(|ari| Some(&ari.cert_id) == cert_id);
    Exemption::of(true, cert_id.is_some(), advice.map(|ari| ari.window), at)
}

/// Whether the CA certified just these identifiers before.
pub(super) fn renews(standing: &Standing, ca: &str, identifiers: &[Identifier]) -> bool {
    standing.newest.as_ref().is_some_and(|(_, meta)| meta.certifies(identifiers, ca))
}
