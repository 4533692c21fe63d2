//! What a client is offered to prove an identifier by (RFC 8555 §7.1.5, §8).

use serde_json::{Map, Value, json};

use super::authorization::Status;
use super::directory::IDENTITY;
use super::nonce::random_text;
use super::problem::Problem;
use super::state::Ca;
use super::validate_persist::Draft;
use crate::model::challenge::{ChallengeKind, Token};
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// All that is offered for one identifier.
pub(super) struct Offers {
    pub(super) challenges: Vec<Offer>,
    /// A challenge of a type nobody knows, where the CA is to show one.
    pub(super) strange: Option<Value>,
}

/// One way offered to prove it.
pub(super) struct Offer {
    pub(super) kind: ChallengeKind,
    /// Each has one, shown or not.
    pub(super) token: Token,
    /// What the challenge has beside type, status and URL.
    fields: Map<String, Value>,
    pub(super) progress: Progress,
}

pub(super) enum Progress {
    Pending,
    Processing,
    Valid(Timestamp),
    Invalid(Problem),
}

impl Progress {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Processing => Status::Processing,
            Self::Valid(_) => Status::Valid,
            Self::Invalid(_) => Status::Invalid,
        }
    }
}

/// Whether a name can be proved to this CA without anybody being connected to.
pub(super) fn offers_dns(ca: &Ca) -> bool {
    ca.dns_server.is_some()
}

/// Everything this CA validates for the identifier: by the DNS only if there is a server to ask.
pub(super) fn offers(ca: &Ca, identifier: &Identifier, account_url: &str) -> Offers {
    let possible =
        |kind: &ChallengeKind| (offers_dns(ca) || !kind.is_dns()) && kind.proves(identifier);
    let challenges = ChallengeKind::ALL.into_iter().filter(possible).map(|kind| {
        let token = Token::parse(&random_text()).expect("base64url is what a token is made of");
        let fields = fields(ca, kind, &token, account_url);
        Offer { kind, token, fields, progress: Progress::Pending }
    });
    let strange = ca.behaviour.challenge_extra.then(|| strange(ca));
    Offers { challenges: challenges.collect(), strange }
}

fn fields(ca: &Ca, kind: ChallengeKind, token: &Token, account_url: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |key: &str, value| fields.insert(key.to_owned(), value);
    match (kind, ca.behaviour.dns_persist) {
        (ChallengeKind::DnsPersist01, Draft::D02) => {
            put("issuerDomainNames", json!([IDENTITY]));
        }
        (ChallengeKind::DnsPersist01, draft) => {
            put("issuer-domain-names", json!([IDENTITY]));
            if draft == Draft::D01 {
                put("accounturi", json!(account_url));
            }
        }
        _ => {
            put("token", json!(token.as_str()));
        }
    }
    if ca.behaviour.challenge_extra {
        put("attempts", json!({ "left": [3, null], "by": "nobody" }));
        put("Token", json!(7));
    }
    fields
}

/// No token, and nothing where a client could be looking for one.
fn strange(ca: &Ca) -> Value {
    json!({
        "type": "drill-carrier-pigeon-01",
        "url": ca.url("/pigeons"),
        "status": "pending",
        "pigeon": { "wings": 2, "ring": null },
    })
}

impl Offer {
    /// The challenge as the client sees it.
    pub(super) fn view(&self, authorization_url: &str) -> Value {
        let mut view = json!({
            "type": self.kind,
            "url": format!("{authorization_url}/{}", self.kind),
            "status": self.progress.status(),
        });
        for (key, value) in &self.fields {
            view[key] = value.clone();
        }
        match &self.progress {
            Progress::Valid(at) => view["validated"] = json!(at),
            Progress::Invalid(problem) => view["error"] = json!(problem),
            Progress::Pending | Progress::Processing => {}
        }
        view
    }
}
