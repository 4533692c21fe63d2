//! Authorizations and their challenges (RFC 8555 §7.1.4, §7.1.6).

use serde::Serialize;
use serde_json::{Value, json};

use super::nonce::random_text;
use super::problem::Problem;
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
    deactivated: bool,
}

/// One way offered to prove it.
struct Offer {
    kind: ChallengeKind,
    token: Token,
    progress: Progress,
}

enum Progress {
    Pending,
    Processing,
    Valid(Timestamp),
    Invalid(Problem),
}

impl Progress {
    fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Processing => Status::Processing,
            Self::Valid(_) => Status::Valid,
            Self::Invalid(_) => Status::Invalid,
        }
    }
}

/// The challenges this CA can validate; dns-01 is not among them.
const OFFERED: [ChallengeKind; 2] = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];

impl Authorization {
    pub(super) fn new(identifier: Identifier, expires: Timestamp) -> Self {
        let offer = |kind| {
            let token = Token::parse(&random_text()).expect("base64url is what a token is made of");
            Offer { kind, token, progress: Progress::Pending }
        };
        let challenges = OFFERED.into_iter().map(offer).collect();
        Self { identifier, expires, challenges, deactivated: false }
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

    /// Records how the validation ended.
    pub(super) fn conclude(
        &mut self,
        kind: ChallengeKind,
        now: Timestamp,
        outcome: Result<(), Problem>,
    ) {
        if let Some(offer) = self.offer(kind) {
            offer.progress = match outcome {
                Ok(()) => Progress::Valid(now),
                Err(problem) => Progress::Invalid(problem),
            };
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
        let shown = self.challenges.iter().filter(decisive);
        json!({
            "identifier": self.identifier,
            "status": status,
            "expires": self.expires,
            "challenges": shown.map(|offer| offer.view(url)).collect::<Vec<_>>(),
        })
    }

    /// One challenge as the client sees it; none when it is not offered.
    pub(super) fn challenge_view(&self, kind: ChallengeKind, url: &str) -> Option<Value> {
        self.challenges.iter().find(|offer| offer.kind == kind).map(|offer| offer.view(url))
    }
}

impl Offer {
    fn view(&self, authorization_url: &str) -> Value {
        let mut view = json!({
            "type": self.kind,
            "url": format!("{authorization_url}/{}", self.kind),
            "status": self.progress.status(),
            "token": self.token.as_str(),
        });
        match &self.progress {
            Progress::Valid(at) => view["validated"] = json!(at),
            Progress::Invalid(problem) => view["error"] = json!(problem),
            Progress::Pending | Progress::Processing => {}
        }
        view
    }
}
