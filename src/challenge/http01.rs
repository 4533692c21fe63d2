//! http-01 by a web server of our own (RFC 8555 §8.3, RFC 8738 §4).

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::deputy::Deputy;
use super::listener::{Listener, Pending, Source};
use super::visitors::Visitors;
use super::{Handed, Listen, Solver, SolverError, ensure_provable};
use crate::model::challenge::{Challenge, ChallengeKind, KeyAuthorization, Token};
use crate::model::name::Identifier;

/// Where a key authorization is looked for (RFC 8555 §8.3).
pub(super) const FOLDER: &str = "/.well-known/acme-challenge/";

/// Serves key authorizations over HTTP while any is pending.
///
/// Answers only a token it knows, asked for under the name it was given for; all else is not found.
/// Where a `serve` of the same home has the port, that one answers.
pub(crate) struct Standalone {
    /// Nobody else can have the port that was handed over to this process.
    deputy: Option<Deputy>,
    listener: Arc<Listener<KeyAuthorization>>,
}

impl Standalone {
    /// Opens nothing yet. Port 0 lets the kernel choose at each opening. `desk` is where a `serve`
    /// of this home would take answers. Where sockets for that were handed over, they are used.
    pub(crate) fn new(listen: Listen, port: u16, desk: PathBuf, handed: &Handed) -> Self {
        if let Some(listener) = handed.http(listen, port) {
            return Self { deputy: None, listener };
        }
        let listener = Arc::new(Listener::new(Source::Bind(listen, port), converse));
        Self { deputy: Some(Deputy::new(listen, port, desk)), listener }
    }

    /// Hands an answer over to whoever has the port, if that is one of this home.
    async fn is_handed_over(&self, challenge: &Challenge) -> Result<bool, SolverError> {
        match &self.deputy {
            Some(deputy) => deputy.present(challenge).await,
            None => Ok(false),
        }
    }

    /// The port at which there are answers now; `None` while nothing is pending.
    pub(crate) fn port(&self) -> Option<u16> {
        self.listener.port().or_else(|| self.deputy.as_ref()?.port())
    }
}

#[async_trait]
impl Solver for Standalone {
    fn kind(&self) -> ChallengeKind {
        ChallengeKind::Http01
    }

    async fn precheck(&self, _: &[Identifier]) -> Result<(), SolverError> {
        match &self.deputy {
            Some(deputy) if deputy.is_there().await => Ok(()),
            _ => self.listener.precheck().await,
        }
    }

    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError> {
        ensure_provable(self.kind(), challenge)?;
        if self.is_handed_over(challenge).await? {
            return Ok(());
        }
        match self.listener.add(challenge, challenge.key_authorization.clone()).await {
            // A `serve` may just have come, before us or while another run was waited for.
            Err(SolverError::PortInUse { .. }) if self.is_handed_over(challenge).await? => Ok(()),
            added => added,
        }
    }

    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError> {
        if let Some(deputy) = &self.deputy {
            deputy.withdraw(challenge).await;
        }
        self.listener.remove(challenge).await;
        Ok(())
    }
}

pub(super) fn converse(
    pending: Arc<Pending<KeyAuthorization>>,
    stream: TcpStream,
) -> BoxFuture<'static, ()> {
    /// The smallest that hyper takes; no validation request is longer.
    const BUFFER: usize = 8192;
    let service = service_fn(move |request| {
        let response = respond(&pending, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    Box::pin(async move {
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(Visitors::DEADLINE);
        server.keep_alive(false).max_buf_size(BUFFER);
        // A visitor that breaks off or talks nonsense is no concern of ours.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    })
}

/// Answers what is known, as a CA asks for it; all else is not found.
pub(super) fn respond<B>(
    pending: &Pending<KeyAuthorization>,
    request: &Request<B>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    match answer(pending, request) {
        Some(answer) => {
            let plain = HeaderValue::from_static("text/plain; charset=us-ascii");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            *response.body_mut() = Full::from(answer.as_str().to_owned());
        }
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}

fn answer<B>(
    pending: &Pending<KeyAuthorization>,
    request: &Request<B>,
) -> Option<KeyAuthorization> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let asked = Token::parse(request.uri().path().strip_prefix(FOLDER)?)?;
    let host = host(request)?;
    pending.newest(|identifier, token| *token == asked && *identifier == host)
}

/// The name the request is for: of the target if that has one, else of `Host` (RFC 9112 §3.2).
fn host<B>(request: &Request<B>) -> Option<Identifier> {
    if let Some(authority) = request.uri().authority() {
        return identifier(authority.as_str());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => identifier(host.to_str().ok()?),
        _ => None,
    }
}

/// Reads a host with or without port; an IPv6 address also without its brackets.
fn identifier(host: &str) -> Option<Identifier> {
    let authority = host.parse::<Authority>().ok();
    let name = authority.as_ref().map_or(host, Authority::host);
    Identifier::parse(name.strip_suffix('.').unwrap_or(name)).ok()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::process::Command;

    use super::super::sample::{THUMBPRINT, challenge};
    use super::*;

    const HERE: Listen = Listen::At(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// One in whose home nobody serves.
    fn alone() -> Standalone {
        Standalone::new(HERE, 0, PathBuf::from("/nonexistent/serve.sock"), &Handed::default())
    }

    async fn connect(solver: &Standalone) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, solver.port().unwrap())).await.unwrap()
    }

    /// Sends bytes as they are and returns status line and body.
    async fn exchange(solver: &Standalone, request: &str) -> (String, String) {
        let mut stream = connect(solver).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        // A reset after a refusal is as good as an end.
        let _ = stream.read_to_end(&mut reply).await;
        let reply = String::from_utf8(reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
        (head.lines().next().unwrap_or("").to_owned(), body.to_owned())
    }

    async fn is_answered(solver: &Standalone, path: &str, host: &str) -> bool {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let (status, body) = exchange(solver, &request).await;
        let answered = status == "HTTP/1.1 200 OK";
        assert!(answered || (status == "HTTP/1.1 404 Not Found" && body.is_empty()), "{status}");
        assert!(!answered || body == format!("token.{THUMBPRINT}"), "{body}");
        answered
    }

    const PATH: &str = "/.well-known/acme-challenge/token";

    #[tokio::test]
    async fn only_the_known_token_of_the_known_host_is_answered() {
        let solver = alone();
        for identifier in ["a.example", "192.0.2.10", "2001:db8::1"] {
            solver.present(&challenge("http-01", identifier, "token")).await.unwrap();
        }
        solver.present(&challenge("http-01", "b.example", "other")).await.unwrap();
        let hosts = [
            "a.example",
            "A.Example",
            "a.example.",
            "a.example:80",
            "a.example:5002",
            "192.0.2.10",
            "192.0.2.10:80",
            "[2001:db8::1]",
            "[2001:DB8:0::1]:5002",
            "2001:db8::1",
        ];
        for host in hosts {
            assert!(is_answered(&solver, PATH, host).await, "{host}");
        }
        for host in
            ["b.example", "x.a.example", "", "192.0.2.11", "[::1]", "a.example b.example", "*"]
        {
            assert!(!is_answered(&solver, PATH, host).await, "{host}");
        }
        let paths = [
            "/",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/other",
            "/.well-known/acme-challenge/token/",
            "/.well-known/acme-challenge/../token",
            "/.well-known/acme-challenge//token",
            "/.well-known/acme-challenge/tok%65n",
            "/x/.well-known/acme-challenge/token",
            "/.Well-Known/acme-challenge/token",
        ];
        for path in paths {
            assert!(!is_answered(&solver, path, "a.example").await, "{path}");
        }
    }

    #[tokio::test]
    async fn odd_requests() {
        let solver = alone();
        solver.present(&challenge("http-01", "a.example", "token")).await.unwrap();
        let long = format!("GET /{} HTTP/1.1\r\nHost: a.example\r\n\r\n", "a".repeat(70_000));
        let table = [
            (format!("HEAD {PATH} HTTP/1.1\r\nHost: a.example\r\n\r\n"), "200", false),
            (format!("GET {PATH} HTTP/1.0\r\nHost: a.example\r\n\r\n"), "200", true),
            (
                format!("GET http://a.example{PATH} HTTP/1.1\r\nHost: b.example\r\n\r\n"),
                "200",
                true,
            ),
            (
                format!("GET http://b.example{PATH} HTTP/1.1\r\nHost: a.example\r\n\r\n"),
                "404",
                false,
            ),
            (
                format!("POST {PATH} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"),
                "404",
                false,
            ),
            (format!("GET {PATH} HTTP/1.1\r\n\r\n"), "404", false),
            (
                format!("GET {PATH} HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"),
                "404",
                false,
            ),
            ("\u{1}\u{2}nonsense\r\n\r\n".to_owned(), "400", false),
            (long, "4", false),
        ];
        for (request, status, has_body) in table {
            let (line, body) = exchange(&solver, &request).await;
            let code = line.split(' ').nth(1).unwrap_or_default();
            assert!(code.starts_with(status), "{}: {line}", request.escape_debug());
            assert_eq!(!body.is_empty(), has_body, "{}", request.escape_debug());
        }
    }

    #[tokio::test]
    async fn a_real_client_gets_exactly_the_key_authorization() {
        let solver = alone();
        let challenge = challenge("http-01", "a.example", "token");
        solver.present(&challenge).await.unwrap();
        let port = solver.port().unwrap();
        let output = Command::new("curl")
            .args(["-sS", "--fail", "--noproxy", "*", "--max-time", "10"])
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .arg(format!("http://a.example:{port}{PATH}"))
            .output()
            .await
            .unwrap();
        let body = String::from_utf8(output.stdout).unwrap();
        assert_eq!(body, challenge.key_authorization.as_str(), "{:?}", output.stderr);
    }

    #[tokio::test]
    async fn validation_is_answered_through_a_flood() {
        const VISITORS: usize = 700;
        let solver = alone();
        solver.present(&challenge("http-01", "a.example", "token")).await.unwrap();
        let mut stalled = Vec::new();
        for index in 1..=VISITORS {
            let mut stream = connect(&solver).await;
            if index % 3 == 0 {
                // Those that were turned away already cannot be written to.
                let _ = stream.write_all(b"GET /.well-known").await;
            }
            stalled.push(stream);
            if index % 100 == 0 {
                let answered = is_answered(&solver, PATH, "a.example");
                let answered = tokio::time::timeout(Duration::from_secs(5), answered).await;
                assert!(answered.expect("answered in time"), "after {index}");
            }
        }
        let turned_away = async {
            for _ in 0..VISITORS - Visitors::MOST {
                let reads = stalled.iter_mut().map(|stream| Box::pin(stream.read_u8()));
                let (result, index, _) = futures_util::future::select_all(reads).await;
                result.unwrap_err();
                stalled.remove(index);
            }
        };
        let soon = Visitors::DEADLINE / 2;
        tokio::time::timeout(soon, turned_away).await.expect("no more than the most are held");
    }

    #[tokio::test]
    async fn clean_up_needs_no_present() {
        let solver = alone();
        let (one, two) = (
            challenge("http-01", "a.example", "token"),
            challenge("http-01", "b.example", "token"),
        );
        solver.clean_up(&one).await.unwrap();
        solver.present(&one).await.unwrap();
        solver.present(&two).await.unwrap();
        solver.clean_up(&one).await.unwrap();
        assert!(!is_answered(&solver, PATH, "a.example").await);
        assert!(is_answered(&solver, PATH, "b.example").await);
    }

    #[tokio::test]
    async fn what_cannot_be_proven_is_refused() {
        let solver = alone();
        for (kind, identifier) in [("http-01", "*.a.example"), ("tls-alpn-01", "a.example")] {
            let error = solver.present(&challenge(kind, identifier, "token")).await.unwrap_err();
            assert!(matches!(error, SolverError::Unprovable { .. }), "{error}");
            assert_eq!(solver.port(), None);
        }
    }
}
