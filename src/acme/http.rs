//! Every byte to and from a CA passes here: where to, how long, how much.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AGE, CONTENT_TYPE, DATE, HeaderMap, LINK, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, redirect};

use super::ca::Endpoint;
use super::error::AcmeError;
use super::origin::{CaUrl, Origin};
use super::problem::{Problem, printable};
use crate::model::time::{Clock, Timestamp};

/// How long one request may take.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    /// Until the TLS handshake is done.
    pub(super) connect: Duration,
    /// Until the last byte of the answer.
    pub(super) total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(30) }
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
const NONCES_KEPT: usize = 32;

/// What an answer may be.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    Json,
    Chain,
}

impl Expect {
    fn limit(self) -> usize {
        match self {
            Self::Json => 1024 * 1024,
            Self::Chain => 256 * 1024,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Chain => "application/pem-certificate-chain",
        }
    }
}

/// A nonce that obeys RFC 8555 §6.5.1.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Nonce(String);

impl Nonce {
    fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = (1..=512).contains(&text.len());
        (fits && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A successful answer, its headers already read.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) location: Option<String>,
    /// At most a day.
    pub(super) retry_after: Option<Duration>,
    pub(super) alternates: Vec<String>,
    /// Of the answer to a question for one; those of other answers are kept for the next question.
    pub(super) nonce: Option<Nonce>,
    pub(super) body: Bytes,
}

/// The connection pool to one CA, with what its answers left behind.
pub(super) struct Transport {
    client: Client,
    pub(super) origin: Origin,
    clock: Arc<dyn Clock>,
    nonces: Mutex<Vec<Nonce>>,
    /// The last `Date`, and when it came by our monotonic clock.
    dated: Mutex<Option<(Timestamp, Duration)>>,
    round_trips: AtomicUsize,
    last_trip_micros: AtomicU64,
}

impl Transport {
    pub(super) fn new(
        endpoint: &Endpoint,
        user_agent: &str,
        clock: Arc<dyn Clock>,
        timeouts: Timeouts,
    ) -> Result<Self, AcmeError> {
        Ok(Self {
            client: client(endpoint.roots.as_deref(), user_agent, timeouts)?,
            origin: Origin::of(endpoint)?,
            clock,
            nonces: Mutex::default(),
            dated: Mutex::default(),
            round_trips: AtomicUsize::new(0),
            last_trip_micros: AtomicU64::new(0),
        })
    }

    pub(super) async fn get(&self, url: &CaUrl, expect: Expect) -> Result<Reply, AcmeError> {
        let request = self.client.get(url.as_url().clone());
        let request = request.header(ACCEPT, expect.media_type());
        let mut reply = self.exchange(url, request, expect).await?;
        self.keep(reply.nonce.take());
        Ok(reply)
    }

    /// Asks for a nonce (RFC 8555 §7.2). It is the caller's: nobody else can take it meanwhile.
    pub(super) async fn fresh_nonce(&self, url: &CaUrl) -> Result<Option<Nonce>, AcmeError> {
        let request = self.client.request(Method::HEAD, url.as_url().clone());
        Ok(self.exchange(url, request, Expect::Json).await?.nonce)
    }

    /// Sends a signed body.
    pub(super) async fn post(
        &self,
        url: &CaUrl,
        body: Vec<u8>,
        expect: Expect,
    ) -> Result<Reply, AcmeError> {
        let request = self.client.post(url.as_url().clone()).body(body);
        let request = request.header(CONTENT_TYPE, "application/jose+json");
        let request = request.header(ACCEPT, expect.media_type());
        let mut reply = self.exchange(url, request, expect).await?;
        self.keep(reply.nonce.take());
        Ok(reply)
    }

    /// Sends a form that is not signed: not to the CA itself, but to where it hands out bindings.
    pub(super) async fn post_form(&self, url: &CaUrl, form: String) -> Result<Reply, AcmeError> {
        let request = self.client.post(url.as_url().clone()).body(form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.header(ACCEPT, Expect::Json.media_type());
        self.exchange(url, request, Expect::Json).await
    }

    /// The newest unused nonce: the one least likely to have been forgotten by the CA.
    pub(super) fn take_nonce(&self) -> Option<Nonce> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn ca_time(&self) -> Option<Timestamp> {
        let (date, at) = (*self.dated.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(date.plus(self.clock.monotonic().saturating_sub(at)))
    }

    pub(super) fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::Relaxed)
    }

    pub(super) fn last_trip(&self) -> Duration {
        Duration::from_micros(self.last_trip_micros.load(Ordering::Relaxed))
    }

    pub(super) fn in_future(&self, span: Duration) -> Timestamp {
        self.clock.now().plus(span)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn exchange(
        &self,
        url: &CaUrl,
        request: RequestBuilder,
        expect: Expect,
    ) -> Result<Reply, AcmeError> {
        let started = self.clock.monotonic();
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let response = request.send().await.map_err(|source| failed(url, source))?;
        let status = response.status();
        let headers = response.headers().clone();
        let date = self.note(&headers);
        let nonce = text(&headers, "replay-nonce").and_then(Nonce::parse);
        let body = read(response, url, expect.limit()).await?;
        let trip = self.clock.monotonic().saturating_sub(started).as_micros();
        self.last_trip_micros.store(u64::try_from(trip).unwrap_or(u64::MAX), Ordering::Relaxed);

        let retry_after = text(&headers, RETRY_AFTER).and_then(|value| wait(value, date));
        if status.is_success() {
            let location = text(&headers, LOCATION).map(str::to_owned);
            let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
            let alternates = links.flat_map(alternates).collect();
            return Ok(Reply { location, retry_after, alternates, nonce, body });
        }
        self.keep(nonce);
        if status.is_redirection() {
            let to = printable(text(&headers, LOCATION).unwrap_or("nowhere"), 200);
            return Err(AcmeError::Redirected { url: url.boxed(), to });
        }
        let problem = Problem::from_response(status.as_u16(), &body);
        let named = || problem.retry_after().map(|at| at.since(date).min(LONGEST_WAIT));
        let until = retry_after.or_else(named).map(|span| self.in_future(span));
        Err(AcmeError::from_problem(url, problem, until))
    }

    /// Keeps the nonce of an answer for the next question.
    fn keep(&self, nonce: Option<Nonce>) {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.extend(nonce);
        let surplus = nonces.len().saturating_sub(NONCES_KEPT);
        nonces.drain(..surplus);
    }

    /// Keeps the date of an answer; returns the CA's time, or ours if it gives none.
    fn note(&self, headers: &HeaderMap) -> Timestamp {
        // What a cache answered is as much older as it says (RFC 9111 §5.1).
        let age = text(headers, AGE)
            .and_then(|age| age.parse().ok())
            .map_or(0, |age: u32| u64::from(age));
        let date = text(headers, DATE).and_then(Timestamp::parse_http_date);
        let date = date.map(|date| date.plus(Duration::from_secs(age)));
        if let Some(date) = date {
            let mut dated = self.dated.lock().unwrap_or_else(PoisonError::into_inner);
            *dated = Some((date, self.clock.monotonic()));
        }
        date.unwrap_or_else(|| self.clock.now())
    }
}

fn client(roots: Option<&[u8]>, user_agent: &str, timeouts: Timeouts) -> Result<Client, AcmeError> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = |why| move |source| AcmeError::Tls { why, source: Some(source) };
    let mut builder = Client::builder()
        // A dependency may have brought decompression: small answers must not become large.
        .no_gzip()
        .no_deflate()
        .user_agent(user_agent)
        .https_only(true)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .http2_max_header_list_size(64 * 1024);
    if let Some(pem) = roots {
        let roots = Certificate::from_pem_bundle(pem).map_err(tls("the CA's roots are no PEM"))?;
        if roots.is_empty() {
            let why = "the file of the CA's roots holds no certificate";
            return Err(AcmeError::Tls { why, source: None });
        }
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(tls("no usable trusted roots"))
}

fn failed(url: &CaUrl, source: reqwest::Error) -> AcmeError {
    let (url, source) = (url.boxed(), source.without_url());
    if source.is_timeout() {
        return AcmeError::TimedOut { url, source };
    }
    AcmeError::Unreachable { url, source }
}

async fn read(mut response: Response, url: &CaUrl, limit: usize) -> Result<Bytes, AcmeError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| failed(url, source))? {
        if body.len() + chunk.len() > limit {
            return Err(AcmeError::Oversized { url: url.boxed(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn text(headers: &HeaderMap, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// Reads Retry-After (RFC 9110 §10.2.3): seconds, or a date compared with the CA's own clock.
fn wait(value: &str, date: Timestamp) -> Option<Duration> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let span = match (digits, Timestamp::parse_http_date(value)) {
        (true, _) => Duration::from_secs(value.parse().unwrap_or(u64::MAX)),
        (false, Some(at)) => at.since(date),
        (false, None) => return None,
    };
    Some(span.min(LONGEST_WAIT))
}

/// The targets of `rel="alternate"` in one Link header, which may list several links (RFC 8288 §3).
fn alternates(header: &str) -> Vec<String> {
    let links = header.split('<').skip(1).filter_map(|link| link.split_once('>'));
    let is_alternate = |parameters: &str| {
        parameters.split([';', ',']).any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel")
                && relations.any(|rel| rel.eq_ignore_ascii_case("alternate"))
        })
    };
    links.filter(|(_, rest)| is_alternate(rest)).map(|(target, _)| target.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_bounded() {
        let date = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        let table = [
            ("0", Some(0)),
            ("5", Some(5)),
            ("21600", Some(21_600)),
            ("9999999", Some(86_400)),
            ("18446744073709551615", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sun, 22 Nov 2026 12:00:37 GMT", Some(37)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("-5", None),
            ("abc", None),
            ("", None),
        ];
        for (value, seconds) in table {
            assert_eq!(wait(value, date), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn links_are_read() {
        let table = [
            (r#"<https://ca/1>;rel="alternate""#, vec!["https://ca/1"]),
            (r#"<https://ca/d>;rel="index", <https://ca/2>; REL=alternate"#, vec!["https://ca/2"]),
            (r#"<https://ca/3>;title="x";rel="alternate up""#, vec!["https://ca/3"]),
            (r#"<https://ca/4>;rel="acme-optional-alternate""#, vec![]),
            ("<https://ca/5", vec![]),
            ("><;rel=alternate", vec![]),
            ("", vec![]),
        ];
        for (header, targets) in table {
            assert_eq!(alternates(header), targets, "{header}");
        }
    }

    #[test]
    fn nonces_are_base64url() {
        let long = "a".repeat(513);
        for bad in ["", "a b", "a\n", "a/b", "a=", "ä", &long] {
            assert_eq!(Nonce::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Nonce::parse("oFvnlFP1wIhRlYS2jTaXbA-_").unwrap().as_str().len(), 24);
    }
}
