//! Authorizations and their challenges (RFC 8555 §7.1.4, §7.1.6).

use serde::Serialize;
use serde_json::{Value, json};

use super::offer::{Offer, Offers, Progress};
use super::problem::Problem;
use super::validate_persist::Until;
use crate::model::challenge::{ChallengeKind, Token};
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// The states of orders, authorizations and challenges that this CA can be asked to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Processing,
    Ready,
    Valid,
    Invalid,
    Deactivated,
    Expired,
}

/// The question whether the client controls one identifier of one order.
pub(super) struct Authorization {
    pub(super) identifier: Identifier,
    expires: Timestamp,
    challenges: Vec<Offer>,
    /// Shown while nothing is decided, and nobody can answer it.
    strange: Option<Value>,
    deactivated: bool,
}

impl Authorization {
    pub(super) fn new(identifier: Identifier, expires: Timestamp, offers: Offers) -> Self {
        let Offers { challenges, strange } = offers;
        Self { identifier, expires, challenges, strange, deactivated: false }
    }

    pub(super) fn status(&self, now: Timestamp) -> Status {
        let any = |status| self.challenges.iter().any(|offer| offer.progress.status() == status);
        match () {
            () if self.deactivated => Status::Deactivated,
            () if any(Status::Invalid) => Status::Invalid,
            () if now >= self.expires => Status::Expired,
            () if any(Status::Valid) => Status::Valid,
            () => Status::Pending,
        }
    }

    /// Marks a challenge as being validated; none when there is nothing to begin.
    pub(super) fn begin(&mut self, kind: ChallengeKind, now: Timestamp) -> Option<Token> {
        if self.status(now) != Status::Pending {
            return None;
        }
        let offer = self.offer(kind)?;
        if !matches!(offer.progress, Progress::Pending) {
            return None;
        }
        offer.progress = Progress::Processing;
        Some(offer.token.clone())
    }

    /// Records how the validation ended; what proves it until some instant proves it no longer than that.
    pub(super) fn conclude(
        &mut self,
        kind: ChallengeKind,
        now: Timestamp,
        outcome: Result<Until, Problem>,
    ) {
        let Some(offer) = self.offer(kind) else { return };
        match outcome {
            Ok(until) => {
                offer.progress = Progress::Valid(now);
                self.expires = until.map_or(self.expires, |until| until.min(self.expires));
            }
            Err(problem) => offer.progress = Progress::Invalid(problem),
        }
    }

    pub(super) fn deactivate(&mut self) {
        self.deactivated = true;
    }

    /// Why it is invalid, if a validation failed.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.challenges.iter().find_map(|offer| match &offer.progress {
            Progress::Invalid(problem) => Some(problem),
            _ => None,
        })
    }

    fn offer(&mut self, kind: ChallengeKind) -> Option<&mut Offer> {
        self.challenges.iter_mut().find(|offer| offer.kind == kind)
    }

    /// The object as the client sees it; `url` is its own. Once decided, only what decided it is shown.
    pub(super) fn view(&self, url: &str, now: Timestamp) -> Value {
        let status = self.status(now);
        let decisive = |offer: &&Offer| match status {
            Status::Valid | Status::Invalid => offer.progress.status() == status,
            _ => true,
        };
        let mut shown: Vec<Value> =
            self.challenges.iter().filter(decisive).map(|offer| offer.view(url)).collect();
        shown.extend(self.strange.clone().filter(|_| status == Status::Pending));
        let mut view = json!({
            "identifier": self.identifier,
            "status": status,
            "expires": self.expires,
            "challenges": shown,
        });
        if let Identifier::Dns(name) = &self.identifier
            && name.is_wildcard()
        {
            view["identifier"]["value"] = json!(name.base());
            view["wildcard"] = json!(true);
        }
        view
    }

    /// One challenge as the client sees it; none when it is not offered.
    pub(super) fn challenge_view(&self, kind: ChallengeKind, url: &str) -> Option<Value> {
        self.challenges.iter().find(|offer| offer.kind == kind).map(|offer| offer.view(url))
    }
}
