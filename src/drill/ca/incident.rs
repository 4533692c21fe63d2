//! Incidents: certificates that have to be replaced at once, and why (RFC 9773 §4.1, `explanationURL`).

use serde::Deserialize;

use super::behaviour::identifiers;
use super::ledger::Certificate;
use super::serial::Serial;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// Something that went wrong with certificates: those named, or all when none are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incident {
    #[serde(default)]
    serials: Vec<Serial>,
    #[serde(default, deserialize_with = "identifiers")]
    identifiers: Vec<Identifier>,
    /// When it becomes known; what is issued later is not concerned.
    since: Option<Timestamp>,
    #[serde(alias = "explanationURL")]
    pub(super) explanation_url: String,
}

impl Incident {
    /// The same incident, known from `now` on unless it says otherwise.
    pub(super) fn known(mut self, now: Timestamp) -> Self {
        self.since.get_or_insert(now);
        self
    }

    /// Whether this certificate has to be replaced because of it.
    pub(super) fn concerns(&self, certificate: &Certificate, now: Timestamp) -> bool {
        let Self { serials, identifiers, since, .. } = self;
        let named = serials.contains(&certificate.serial)
            || certificate.identifiers.iter().any(|one| identifiers.contains(one));
        let all = serials.is_empty() && identifiers.is_empty();
        let since = since.unwrap_or(now);
        since <= now && certificate.issued() <= since && (named || all)
    }
}
