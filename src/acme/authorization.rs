//! What the CA wants proven for one identifier (RFC 8555 §7.5).

use instant_acme::AuthorizationStatus;
use serde::Deserialize;
use serde_json::Value;

use super::account::Account;
use super::error::{AcmeError, ChallengeFailure};
use super::http::Expect;
use super::origin::CaUrl;
use super::persist::Fields;
use super::problem::{Problem, printable};
use super::session::parse;
use crate::model::challenge::{AccountLabel, Challenge, ChallengeKind, KeyAuthorization, Token};
use crate::model::name::{DnsName, Identifier};
use crate::model::persist::Standing;

/// One identifier to prove, with every way the CA accepts and we know.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    /// With its `*.` when the order asked for a wildcard.
    pub(crate) identifier: Identifier,
    pub(crate) challenges: Vec<Challenge>,
    /// What dns-persist-01 asks for, or why it is not to be followed; `None` where it is not offered.
    pub(crate) standing: Option<Result<Standing, &'static str>>,
    /// Where each of them is reported ready.
    urls: Vec<(ChallengeKind, CaUrl)>,
}

/// An authorization as the CA sees it.
pub(super) enum Seen {
    Pending(Authorization),
    Valid,
    Failed(Vec<ChallengeFailure>),
}

#[derive(Deserialize)]
struct Wire {
    identifier: Identifier,
    status: AuthorizationStatus,
    #[serde(default)]
    wildcard: bool,
    challenges: Vec<Value>,
}

/// A challenge of any type: types we do not know may lack a token and may differ in every other way.
#[derive(Deserialize)]
struct Offer {
    r#type: String,
    #[serde(default)]
    url: Value,
    #[serde(default)]
    token: Value,
    #[serde(default)]
    error: Value,
    #[serde(flatten)]
    persist: Fields,
}

impl Authorization {
    pub(super) async fn fetch(account: &Account, url: &CaUrl) -> Result<Seen, AcmeError> {
        let reply = account.read(url, Expect::Json).await?;
        let wire: Wire = parse(url, "this is no authorization", &reply.body)?;
        let identifier = named(&wire);
        let offers =
            wire.challenges.iter().take(20).filter_map(|value| Offer::deserialize(value).ok());
        match wire.status {
            AuthorizationStatus::Valid => Ok(Seen::Valid),
            AuthorizationStatus::Pending => {
                Self::offered(account, identifier, offers).map(Seen::Pending)
            }
            status => Ok(Seen::Failed(failures(&identifier, status, offers))),
        }
    }

    fn offered(
        account: &Account,
        identifier: Identifier,
        offers: impl Iterator<Item = Offer>,
    ) -> Result<Self, AcmeError> {
        let (mut challenges, mut standing, mut urls) = (Vec::new(), None, Vec::new());
        for offer in offers {
            let Some(kind) = ChallengeKind::parse(&offer.r#type) else { continue };
            let url = offer.url.as_str().unwrap_or_default();
            let url = account.session().admit("challenge URL", url);
            if kind == ChallengeKind::DnsPersist01 {
                // The first one counts.
                if standing.is_some() {
                    continue;
                }
                standing = Some(match url {
                    Ok(url) => {
                        urls.push((kind, url));
                        offer.persist.standing(account, &identifier)
                    }
                    Err(_) => Err("it is answered at no proper URL"),
                });
                continue;
            }
            let Some(token) = offer.token.as_str() else { continue };
            let token = Token::parse(token).ok_or_else(|| AcmeError::Unacceptable {
                what: "challenge token",
                value: printable(token, 80),
                why: "holds other characters than base64url's, or too many",
            })?;
            urls.push((kind, url?));
            let key_authorization = KeyAuthorization::new(&token, account.thumbprint());
            let identifier = identifier.clone();
            let account = Some(AccountLabel::of(account.url()));
            challenges.push(Challenge { identifier, kind, token, key_authorization, account });
        }
        Ok(Self { identifier, challenges, standing, urls })
    }

    /// Where the challenge of this kind is reported ready.
    pub(super) fn url(&self, kind: ChallengeKind) -> Option<&CaUrl> {
        self.urls.iter().find_map(|(of, url)| (*of == kind).then_some(url))
    }
}

/// Puts the `*.` back that the CA reports beside the name (RFC 8555 §7.1.4).
fn named(wire: &Wire) -> Identifier {
    match &wire.identifier {
        Identifier::Dns(name) if wire.wildcard && !name.is_wildcard() => {
            DnsName::parse(&format!("*.{}", name.as_str()))
                .map_or_else(|_| wire.identifier.clone(), Identifier::Dns)
        }
        other => other.clone(),
    }
}

fn failures(
    identifier: &Identifier,
    status: AuthorizationStatus,
    offers: impl Iterator<Item = Offer>,
) -> Vec<ChallengeFailure> {
    let failure = |challenge: &str, problem| ChallengeFailure {
        identifier: identifier.clone(),
        challenge: printable(challenge, 80),
        problem,
    };
    let mut failures: Vec<_> = offers
        .filter_map(|offer| Some(failure(&offer.r#type, Problem::from_value(&offer.error)?)))
        .collect();
    if failures.is_empty() {
        let detail = format!("the authorization is {status:?}").to_lowercase();
        failures.push(failure("any challenge", Problem::unexplained(detail)));
    }
    failures
}
