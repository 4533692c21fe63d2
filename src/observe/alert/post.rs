//! One request to a receiver, and what came of it.

use std::error::Error as StdError;
use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use super::medium::is_here;
use super::plain;

/// For the request, connecting and reading included.
const LIMIT: Duration = Duration::from_secs(5);
/// So much of an answer that is no success is read.
const LARGEST: usize = 2048;
/// And so much of it is shown.
const SHOWN: usize = 200;
/// To mask what is shorter, as in the path `/`, would mask half of the answer.
const SHORTEST_SECRET: usize = 4;
/// The header that holds `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
const SIGNATURE: &str = "x-acmeagent-signature";

/// Why a request came to nothing. Names the host only: a URL may be a secret.
#[derive(Debug, Error)]
pub(crate) enum PostError {
    #[error("{host} gave no answer within {} s", LIMIT.as_secs())]
    Silent { host: String },
    #[error("{host} could not be reached: {why}")]
    Unreachable { host: String, why: String },
    #[error("{host} answered {status}{why}")]
    Refused { host: String, status: StatusCode, why: String },
}

impl PostError {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => {
                Some("is its token or secret still good?")
            }
            Self::Refused { status: StatusCode::NOT_FOUND, .. } => Some("is its url right?"),
            Self::Refused { status, .. } if status.is_redirection() => {
                Some("give the url it leads to: redirections are not followed")
            }
            _ => None,
        }
    }
}

/// A request in the making.
pub(super) struct Post {
    client: Client,
    method: Method,
    url: Url,
    token: Option<Zeroizing<String>>,
    signature: Option<String>,
    body: String,
}

impl Post {
    pub(super) fn to(url: Url) -> Result<Self, PostError> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // A dependency may have brought decompression: small answers must not become large.
        let client = Client::builder().no_gzip().no_deflate();
        // What goes to this host in the clear is for no proxy to see.
        let client = if is_here(&url) { client.no_proxy() } else { client };
        let client = client
            .user_agent(concat!("acmeagent/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(LIMIT)
            .build()
            .map_err(|error| failed(&url, error))?;
        let (method, token, signature, body) = (Method::POST, None, None, String::new());
        Ok(Self { client, method, url, token, signature, body })
    }

    /// Goes to a path below the URL.
    pub(super) fn under(mut self, path: &str) -> Self {
        let whole = format!("{}/{path}", self.url.path().trim_end_matches('/'));
        self.url.set_path(&whole);
        self
    }

    /// Is a PUT to these segments of a path below the URL, whatever they hold, and an id.
    pub(super) fn put(mut self, path: &[&str], id: &str) -> Self {
        self.method = Method::PUT;
        if let Ok(mut segments) = self.url.path_segments_mut() {
            segments.pop_if_empty().extend(path).push(id);
        }
        self
    }

    pub(super) fn bearer(self, token: Option<&Zeroizing<String>>) -> Self {
        Self { token: token.cloned(), ..self }
    }

    pub(super) fn signed(self, secret: Option<&Zeroizing<String>>, body: &str) -> Self {
        let signature = secret.map(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = hmac::sign(&key, body.as_bytes());
            format!("sha256={}", HEXLOWER.encode(tag.as_ref()))
        });
        Self { signature, ..self }
    }

    pub(super) fn json(self, body: String) -> Self {
        Self { body, ..self }
    }

    /// Sends it; any success will do.
    pub(super) async fn send(self) -> Result<(), PostError> {
        let url = self.url.clone();
        let token = self.token.clone();
        let mut response = self.request().send().await.map_err(|error| failed(&url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // What it says beyond its status is told if it comes.
        let answer = read(&mut response).await;
        let token = token.as_ref().map(|token| token.as_str());
        let secrets = [token, Some(url.path()), url.query()];
        let why = why(&answer, secrets.into_iter().flatten());
        Err(PostError::Refused { host: host(&url), status, why })
    }

    fn request(self) -> RequestBuilder {
        let request = self.client.request(self.method, self.url);
        let request = request.header(CONTENT_TYPE, "application/json");
        let request = match self.signature {
            Some(signature) => request.header(SIGNATURE, signature),
            None => request,
        };
        let token = self.token.and_then(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.as_str())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let request = match token {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        };
        request.body(self.body)
    }
}

async fn read(response: &mut Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LARGEST.saturating_sub(answer.len());
        answer.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if answer.len() == LARGEST {
            break;
        }
    }
    answer
}

/// The beginning of an answer, safe to show; without those of these secrets that it repeats.
fn why<'a>(answer: &[u8], secrets: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from_utf8_lossy(answer).into_owned();
    for secret in secrets.filter(|secret| secret.len() >= SHORTEST_SECRET) {
        text = text.replace(secret, "***");
    }
    let text: String = plain(&text).chars().take(SHOWN).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn failed(url: &Url, error: reqwest::Error) -> PostError {
    let host = host(url);
    if error.is_timeout() {
        return PostError::Silent { host };
    }
    let error = error.without_url();
    let causes =
        std::iter::successors(Some(&error as &(dyn StdError + 'static)), |cause| (*cause).source());
    let why = causes.last().map(ToString::to_string).unwrap_or_default();
    PostError::Unreachable { host, why: plain(&why) }
}
