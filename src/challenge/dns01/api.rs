//! Small JSON APIs that edit the DNS, asked with care.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use url::{Host, Url};

use super::DnsError;
use crate::model::time::Timestamp;

/// A server, by the URL its paths are appended to.
pub(super) struct Api {
    label: String,
    base: Url,
    client: Client,
}

/// What came back, good or bad.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    until: Option<Timestamp>,
}

/// For one request, connecting and reading included.
const LIMIT: Duration = Duration::from_secs(30);
/// More is no answer.
const LARGEST: usize = 64 * 1024;
/// So much of an error is shown.
const LONGEST_WHY: usize = 200;
/// A server that asks for more patience is not believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Api {
    /// Refuses a URL by which secrets would cross a network in the clear.
    pub(super) fn new(label: &str, base: &Url) -> Result<Self, DnsError> {
        let unusable = |why: String| DnsError::Credentials { provider: label.to_owned(), why };
        let is_local = match base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if base.scheme() != "https" && !(base.scheme() == "http" && is_local) {
            return Err(unusable("they are sent by https only, but on this host".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(unusable("the URL holds some, which logs would show".to_owned()));
        }
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // A dependency may have brought decompression: small answers must not become large.
        let client = Client::builder().no_gzip().no_deflate();
        // What goes to this host in the clear is for no proxy to see.
        let client = if is_local { client.no_proxy() } else { client };
        let client = client
            .user_agent(concat!("acmeagent/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(LIMIT)
            .build()
            .map_err(|error| unusable(last_cause(&error)))?;
        Ok(Self { label: label.to_owned(), base: base.clone(), client })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// Sends a request and reads what comes back, whatever its status.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Reply, DnsError> {
        let failed = |error: reqwest::Error| {
            let silent = format!("no answer within {} s", LIMIT.as_secs());
            let why = if error.is_timeout() { silent } else { last_cause(&error) };
            self.unreachable(why)
        };
        let mut response = request.send().await.map_err(failed)?;
        let (status, until) = (response.status(), until(response.headers()));
        let body = read(&mut response).await.map_err(failed)?;
        let too_much = || self.failed(&format!("it answers with more than {LARGEST} bytes"));
        let body = body.ok_or_else(too_much)?;
        Ok(Reply { status, body, until })
    }

    fn unreachable(&self, why: String) -> DnsError {
        DnsError::Unreachable { provider: self.label.clone(), why }
    }

    /// An answer that is none.
    pub(super) fn failed(&self, why: &str) -> DnsError {
        DnsError::Failed { provider: self.label.clone(), why: why.to_owned() }
    }

    /// What a reply that is no success means for a zone; `secrets` are not repeated.
    pub(super) fn refusal(&self, reply: &Reply, apex: &str, secrets: &[&str]) -> DnsError {
        let provider = self.label.clone();
        let why = why(reply, secrets);
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                DnsError::Unauthorized { provider, why }
            }
            StatusCode::TOO_MANY_REQUESTS => DnsError::Limited { provider, until: reply.until },
            StatusCode::SERVICE_UNAVAILABLE if reply.until.is_some() => {
                DnsError::Limited { provider, until: reply.until }
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                DnsError::Failed { provider, why }
            }
            _ => DnsError::Refused { provider, apex: apex.to_owned(), why },
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

async fn read(response: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Reads Retry-After (RFC 9110 §10.2.3): a date, or seconds from the server's own date.
fn until(headers: &HeaderMap) -> Option<Timestamp> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let date = text(DATE).and_then(Timestamp::parse_http_date)?;
    let after = text(RETRY_AFTER)?;
    let wait = match after.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Duration::from_secs(after.parse().unwrap_or(u64::MAX)),
        false => Timestamp::parse_http_date(after)?.since(date),
    };
    Some(date.plus(wait.min(LONGEST_WAIT)))
}

/// Status and the beginning of the body, safe to show.
fn why(reply: &Reply, secrets: &[&str]) -> String {
    let mut text = String::from_utf8_lossy(&reply.body).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let text: String = text.trim().chars().take(LONGEST_WHY).collect();
    match text.is_empty() {
        true => format!("it answers {}", reply.status),
        false => format!("it answers {}: {}", reply.status, text.escape_debug()),
    }
}

fn last_cause(error: &reqwest::Error) -> String {
    let causes =
        std::iter::successors(Some(error as &(dyn StdError + 'static)), |cause| (*cause).source());
    causes.last().map(ToString::to_string).unwrap_or_default().escape_debug().to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::Router;
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// A server of the test, gone with it.
    pub(in super::super) struct Served {
        pub(in super::super) url: Url,
        task: JoinHandle<()>,
    }

    impl Served {
        pub(in super::super) async fn new(router: Router) -> Self {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listener = TcpListener::bind(address).await.unwrap();
            let url = format!("http://{}/dns/", listener.local_addr().unwrap());
            let router = Router::new().nest("/dns", router);
            let task = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
            Self { url: Url::parse(&url).unwrap(), task }
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    #[test]
    fn secrets_cross_no_network_in_the_clear() {
        let table = [
            ("https://dns.example.com/api", true),
            ("http://localhost:80/", true),
            ("http://127.0.0.2:8080", true),
            ("http://[::1]/", true),
            ("http://dns.example.com/", false),
            ("http://10.0.0.1/", false),
            ("ftp://localhost/", false),
            ("https://user:pass@dns.example.com/", false),
        ];
        for (url, good) in table {
            let api = Api::new("httpreq", &Url::parse(url).unwrap());
            assert_eq!(api.is_ok(), good, "{url}");
        }
    }

    #[test]
    fn paths_are_appended() {
        for base in ["https://a.example/x", "https://a.example/x/"] {
            let api = Api::new("httpreq", &Url::parse(base).unwrap()).unwrap();
            assert_eq!(api.url("present").as_str(), "https://a.example/x/present");
        }
    }

    #[test]
    fn retry_after_is_read_against_the_servers_clock_and_bounded() {
        let table = [
            (Some("120"), Some("2026-11-23T10:02:00Z")),
            (Some("Mon, 23 Nov 2026 10:00:30 GMT"), Some("2026-11-23T10:00:30Z")),
            (Some("99999999999999999999999"), Some("2026-11-24T10:00:00Z")),
            (Some("soon"), None),
            (None, None),
        ];
        for (after, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, "Mon, 23 Nov 2026 10:00:00 GMT".parse().unwrap());
            if let Some(after) = after {
                headers.insert(RETRY_AFTER, after.parse().unwrap());
            }
            assert_eq!(until(&headers), expected.and_then(Timestamp::parse), "{after:?}");
        }
    }

    #[test]
    fn each_refusal_is_what_it_means() {
        let api = Api::new("httpreq", &Url::parse("https://a.example/").unwrap()).unwrap();
        let until = Timestamp::parse("2026-11-23T10:00:30Z");
        let body = b"{\"token\": \"hunter22\"}\x1b[2J".to_vec();
        let refusal = |status: u16, until| {
            let status = StatusCode::from_u16(status).unwrap();
            let reply = Reply { status, body: body.clone(), until };
            let error = api.refusal(&reply, "example.com", &["hunter22"]);
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter22") && !text.contains('\x1b'), "{text}");
            error
        };
        use DnsError as E;
        assert!(matches!(refusal(401, None), E::Unauthorized { .. }));
        assert!(matches!(refusal(403, None), E::Unauthorized { .. }));
        assert!(matches!(refusal(429, until), E::Limited { until: at, .. } if at == until));
        assert!(matches!(refusal(429, None), E::Limited { until: None, .. }));
        assert!(matches!(refusal(503, until), E::Limited { .. }));
        assert!(matches!(refusal(503, None), E::Failed { .. }));
        assert!(matches!(refusal(500, None), E::Failed { .. }));
        assert!(matches!(refusal(400, None), E::Refused { .. }));
        assert!(matches!(refusal(302, None), E::Refused { .. }));
    }
}
