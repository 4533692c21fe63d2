//! Requests as axum extractors that exist only when signature, nonce and URL are right (RFC 8555 §6).

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::jws::{Jws, KeyName};
use super::ledger::{Account, AccountId, AccountStatus};
use super::problem::{Kind, Problem};
use super::public_key::PublicKey;
use super::state::Ca;

/// Who signed.
pub(super) enum Signer {
    Account(Account),
    Key(PublicKey),
}

/// A request whose signature, nonce and URL are right.
pub(super) struct Signed {
    pub(super) signer: Signer,
    pub(super) payload: Payload,
}

/// A [`Signed`] request of a known, active account.
pub(super) struct ByAccount {
    pub(super) account: Account,
    pub(super) payload: Payload,
}

/// A [`Signed`] request that brings its key along.
pub(super) struct ByKey {
    pub(super) key: PublicKey,
    pub(super) payload: Payload,
}

pub(super) struct Payload(Vec<u8>);

impl Payload {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Asks for POST-as-GET (RFC 8555 §6.3).
    pub(super) fn nothing(&self) -> Result<(), Problem> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Problem::malformed("a POST-as-GET request must have an empty payload"))
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.0)
            .map_err(|why| Problem::malformed(format!("the payload: {why}")))
    }
}

impl FromRequest<Arc<Ca>> for Signed {
    type Rejection = Problem;

    async fn from_request(request: Request, ca: &Arc<Ca>) -> Result<Self, Problem> {
        expect_jose(request.headers())?;
        let url = ca.url(request.uri().path());
        let body = Bytes::from_request(request, &()).await;
        let body = body.map_err(|why| Problem::malformed(why.body_text()).status(why.status()))?;
        let jws = Jws::parse(&body)?;
        let signer = match jws.key_name()? {
            KeyName::Jwk(key) => Signer::Key(key),
            KeyName::Kid(kid) => Signer::Account(account_named(ca, &kid)?),
        };
        jws.verify(signer.key())?;
        if !jws.header.nonce.as_deref().is_some_and(|nonce| ca.nonces.redeem(nonce)) {
            return Err(Problem::new(Kind::BadNonce, "the nonce is missing, unknown or used up"));
        }
        if jws.header.url.as_deref() != Some(&url) {
            let detail = format!("the JWS is for {:?}, but was sent to {url:?}", jws.header.url);
            return Err(Problem::new(Kind::Unauthorized, detail));
        }
        Ok(Self { signer, payload: Payload(jws.payload) })
    }
}

impl FromRequest<Arc<Ca>> for ByAccount {
    type Rejection = Problem;

    async fn from_request(request: Request, ca: &Arc<Ca>) -> Result<Self, Problem> {
        let signed = Signed::from_request(request, ca).await?;
        match signed.signer {
            Signer::Account(account) => Ok(Self { account, payload: signed.payload }),
            Signer::Key(_) => Err(Problem::malformed("this request must name its account by kid")),
        }
    }
}

impl FromRequest<Arc<Ca>> for ByKey {
    type Rejection = Problem;

    async fn from_request(request: Request, ca: &Arc<Ca>) -> Result<Self, Problem> {
        let signed = Signed::from_request(request, ca).await?;
        match signed.signer {
            Signer::Key(key) => Ok(Self { key, payload: signed.payload }),
            Signer::Account(_) => Err(Problem::malformed("this request must bring its key as jwk")),
        }
    }
}

impl Signer {
    fn key(&self) -> &PublicKey {
        match self {
            Self::Account(account) => &account.key,
            Self::Key(key) => key,
        }
    }
}

fn expect_jose(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"application/jose+json")) {
        return Ok(());
    }
    let problem = Problem::malformed("the content type must be application/jose+json");
    Err(problem.status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

fn account_named(ca: &Ca, kid: &str) -> Result<Account, Problem> {
    let unknown = || {
        let detail = format!("{kid:?} is no account of this CA");
        Problem::new(Kind::AccountDoesNotExist, detail)
    };
    let id = account_id(kid).ok_or_else(unknown)?;
    let account = ca.ledger.read(|books| books.account(id).cloned())?.ok_or_else(unknown)?;
    if account.status == AccountStatus::Deactivated {
        return Err(Problem::new(Kind::Unauthorized, "the account has been deactivated"));
    }
    Ok(account)
}

/// The account a URL names, which may have been given out by another process on another port.
pub(super) fn account_id(kid: &str) -> Option<AccountId> {
    let url = url::Url::parse(kid).ok()?;
    url.path().strip_prefix("/account/")?.parse().ok()
}
