//! The seam to instant-acme: its requests travel over our connection and use our nonces.
//!
//! What it would ask for again (the directory, a nonce) is answered from what is known. Errors pass
//! through it whole, because a problem never reaches it as a response.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use instant_acme::{Account, AccountBuilder, BodyWrapper, BytesResponse, Error, HttpClient, Key};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use super::error::AcmeError;
use super::http::Expect;
use super::jws::AccountKey;
use super::origin::CaUrl;
use super::session::Session;

/// How often an instant-acme call is repeated after a refused nonce; it is never repeated otherwise.
const ATTEMPTS: usize = 20;

struct Bridge(Session);

impl HttpClient for Bridge {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let session = self.0.clone();
        Box::pin(async move {
            let answered = answer(&session, request).await;
            answered.map(BytesResponse::from).map_err(|error| Error::Other(Box::new(error)))
        })
    }
}

async fn answer(
    session: &Session,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, AcmeError> {
    let (parts, body) = request.into_parts();
    let respond = |builder: http::response::Builder, body: Bytes| {
        builder.body(Full::new(body)).expect("status and headers were checked")
    };
    let directory = session.directory();
    match parts.method {
        Method::GET => {
            let known = json!({
                "newNonce": directory.new_nonce.as_str(),
                "newAccount": directory.new_account.as_str(),
                "newOrder": directory.new_order.as_str(),
                "revokeCert": directory.revoke_cert().ok().map(CaUrl::as_str),
            });
            Ok(respond(Response::builder(), known.to_string().into()))
        }
        Method::HEAD => {
            let nonce = session.nonce().await?;
            let builder = Response::builder().header("replay-nonce", nonce.as_str());
            Ok(respond(builder, Bytes::new()))
        }
        _ => {
            let url = session.admit("request URL", &parts.uri.to_string())?;
            let Ok(body) = body.collect().await;
            let body = body.to_bytes().to_vec();
            let reply = session.transport().post(&url, body, Expect::Json).await?;
            let mut builder = Response::builder();
            if let Some(location) = reply.location {
                let account = session.admit("account URL", &location)?;
                builder = builder.header("location", account.as_str());
            }
            Ok(respond(builder, reply.body))
        }
    }
}

/// Finds the account of a key; `None` when the CA knows no account by it (RFC 8555 §7.3.1).
pub(super) async fn find(session: &Session, key: &AccountKey) -> Result<Option<CaUrl>, AcmeError> {
    let found = persist(|| async {
        let key = (Key::from_pkcs8_der(pkcs8(key))?, PrivateKeyDer::Pkcs8(pkcs8(key).clone_key()));
        builder(session).from_key(key, directory(session)).await
    });
    match found.await {
        Ok((account, _)) => session.admit("account URL", account.id()).map(Some),
        Err(error) if error.is("accountDoesNotExist") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs one call on the account, again when its nonce is refused.
pub(super) async fn on_account<T, F>(
    session: &Session,
    key: &AccountKey,
    url: &CaUrl,
    call: impl Fn(Account) -> F,
) -> Result<T, AcmeError>
where
    F: Future<Output = Result<T, Error>>,
{
    let id = url.as_str().to_owned();
    let account = builder(session).from_parts(id, pkcs8(key), directory(session));
    let account = account.await.map_err(unwrapped)?;
    persist(|| call(account.clone())).await
}

async fn persist<T, F>(call: impl Fn() -> F) -> Result<T, AcmeError>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match call().await.map_err(unwrapped) {
            Err(error) if error.is("badNonce") && left > 0 => {}
            answer => return answer,
        }
    }
}

fn builder(session: &Session) -> AccountBuilder {
    Account::builder_with_http(Box::new(Bridge(session.clone())))
}

fn directory(session: &Session) -> String {
    session.transport().origin.directory().as_str().to_owned()
}

fn pkcs8(key: &AccountKey) -> PrivatePkcs8KeyDer<'_> {
    PrivatePkcs8KeyDer::from(key.pkcs8())
}

fn unwrapped(error: Error) -> AcmeError {
    match error {
        Error::Other(inner) => match inner.downcast() {
            Ok(ours) => *ours,
            Err(inner) => AcmeError::Account(Error::Other(inner)),
        },
        other => AcmeError::Account(other),
    }
}
