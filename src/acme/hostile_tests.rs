//! The room against a CA that means harm, or is merely broken.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::http::{Method, Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::http::Timeouts;
use super::pebble::{clock, loopback_certificate};
use super::renewal_info::RenewalInfo;
use super::*;
use crate::model::challenge::ChallengeKind::Http01;
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// What the server says at one path. `BASE` in headers and body stands for its own address.
#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn answer(status: u16, body: impl ToString) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string() }
}

impl Answer {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

fn problem(status: u16, kind: &str, detail: &str) -> Answer {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    answer(status, json!({ "type": kind, "detail": detail, "status": status }))
}

fn directory() -> Value {
    json!({ "newNonce": "BASE/nonce", "newAccount": "BASE/account", "newOrder": "BASE/new-order",
        "revokeCert": "BASE/revoke", "keyChange": "BASE/key-change", "renewalInfo": "BASE/ari" })
}

fn order(status: &str) -> Value {
    json!({ "status": status, "identifiers": [{ "type": "dns", "value": "a.example" }],
        "authorizations": ["BASE/authz"], "finalize": "BASE/finalize", "certificate": "BASE/cert" })
}

fn authorization(challenges: Value) -> Value {
    json!({ "status": "pending", "identifier": { "type": "dns", "value": "a.example" },
        "challenges": challenges })
}

fn challenge(token: &Value) -> Value {
    json!({ "type": "http-01", "url": "BASE/challenge", "status": "pending", "token": token })
}

const CHAIN: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// A CA that behaves at every path but those a test gives.
struct Server {
    endpoint: Endpoint,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(changes: Vec<(&str, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let (certificate, key) = loopback_certificate();
        let endpoint = Endpoint {
            roots: Some(certificate.clone().into_bytes()),
            ..Endpoint::new("hostile", &format!("{base}/directory"))
        };
        let mut paths = Self::behaved();
        paths.extend(changes.into_iter().map(|(path, answer)| (path.to_owned(), answer)));
        let requests = Arc::new(AtomicUsize::new(0));
        let script = Arc::new(Script { base, paths, requests: Arc::clone(&requests) });
        tokio::spawn(serve(listener, acceptor(&certificate, &key), script));
        Self { endpoint, requests }
    }

    fn behaved() -> HashMap<String, Answer> {
        let opened = |body: Value| answer(201, body).with("location", "BASE/order");
        let registered = json!({ "status": "valid" });
        let challenges = json!([challenge(&json!("tok-en_1"))]);
        let paths = [
            ("/directory", answer(200, directory())),
            ("/nonce", answer(204, "").with("replay-nonce", "n-0")),
            ("/account", answer(201, registered).with("location", "BASE/account/1")),
            ("/new-order", opened(order("pending"))),
            ("/order", answer(200, order("valid"))),
            ("/authz", answer(200, authorization(challenges))),
            ("/challenge", answer(200, json!({}))),
            ("/finalize", answer(200, order("processing"))),
            ("/cert", answer(200, CHAIN)),
        ];
        paths.map(|(path, answer)| (path.to_owned(), answer)).into()
    }

    async fn open(&self) -> Result<Session, AcmeError> {
        Session::open(&self.endpoint, "acmeagent/test", clock()).await
    }

    async fn account(&self) -> Account {
        let session = self.open().await.unwrap();
        let mut file = AccountFile::fresh(&self.endpoint.directory).unwrap();
        let registration = Registration { agree_terms: true, ..Registration::default() };
        session.register(&mut file, registration).await.unwrap()
    }
}

struct Script {
    base: String,
    paths: HashMap<String, Answer>,
    requests: Arc<AtomicUsize>,
}

impl Script {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let missing = || problem(404, "malformed", "no such path");
        let path = request.uri().path();
        let answer = self.paths.get(path).cloned().unwrap_or_else(missing);
        let mut response = Response::builder().status(answer.status);
        let given = answer.headers.iter().any(|(name, _)| *name == "replay-nonce");
        if request.method() == Method::POST && !given {
            response = response.header("replay-nonce", format!("n-{number}"));
        }
        for (name, value) in &answer.headers {
            response = response.header(*name, value.replace("BASE", &self.base));
        }
        response.body(Full::new(answer.body.replace("BASE", &self.base).into())).unwrap()
    }
}

fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<Script>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request| {
                let response = script.respond(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn wanted() -> NewOrder {
    let identifiers = vec![Identifier::parse("a.example").unwrap()];
    NewOrder { identifiers, profile: None, replaces: None }
}

/// Opens the directory with one answer changed.
async fn opened(answer: Answer) -> AcmeError {
    Server::start(vec![("/directory", answer)]).await.open().await.err().unwrap()
}

/// Opens an order with one answer changed.
async fn ordered(path: &'static str, answer: Answer) -> Result<Order, AcmeError> {
    Server::start(vec![(path, answer)]).await.account().await.order(&wanted()).await
}

fn edited(mut value: Value, pointer: &str, to: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = to;
    value
}

#[tokio::test]
async fn the_behaved_path_works() {
    let server = Server::start(Vec::new()).await;
    let account = server.account().await;
    let mut order = account.order(&wanted()).await.unwrap();
    let pending = order.pending().await.unwrap();
    order.set_ready(&pending[0], Http01).await.unwrap();
    order.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(order.wait_certificate(PATIENCE).await.unwrap().chain_pem, CHAIN);
    // Directory, nonce, account, order, authorization, challenge, look, certificate.
    assert_eq!(server.requests.load(Ordering::Relaxed), 8);
    assert_eq!(account.session().round_trips(), 8);
}

/// Runs of several certificates share a session from several threads.
#[tokio::test]
async fn everything_may_run_in_a_task_of_its_own() {
    let server = Server::start(Vec::new()).await;
    let account = server.account().await;
    let run = tokio::spawn(async move {
        let mut order = account.order(&wanted()).await.unwrap();
        for authorization in order.pending().await.unwrap() {
            order.set_ready(&authorization, Http01).await.unwrap();
        }
        order.wait_ready(PATIENCE).await.unwrap();
        let issued = order.wait_certificate(PATIENCE).await.unwrap();
        order.alternates(&issued).await.unwrap();
        let _ = account.resume(order.url()).await;
        let _ = account.facts().await;
        let _ = account.update_contacts(&[]).await;
        let _ = account.revoke(b"x", Reason::Unspecified).await;
        let _ = account.deactivate().await;
        let session = account.session().clone();
        let mut file = AccountFile::fresh(&server.endpoint.directory).unwrap();
        session.register(&mut file, Registration::default()).await.unwrap();
        file.prepare_next_key().unwrap();
        let _ = session.account(&file).unwrap().rotate_key(&file).await;
        let _ = session.settle_rollover(&file).await;
        let _ = session.renewal_info("a.b").await;
        session.revoke_with_key(b"x", b"y", Reason::Unspecified).await
    });
    assert!(matches!(run.await.unwrap(), Err(AcmeError::Key { .. })));
}

#[tokio::test]
async fn directories_that_lead_astray_are_refused() {
    let urls = [
        "http://127.0.0.1/x",
        "https://evil.example/x",
        "https://169.254.169.254/latest/meta-data",
        "https://u:p@127.0.0.1/x",
        "file:///etc/passwd",
        "https://127.0.0.1/\u{1b}[2J",
        "",
    ];
    for url in urls {
        for field in ["/newNonce", "/newOrder", "/revokeCert", "/renewalInfo"] {
            let error = opened(answer(200, edited(directory(), field, json!(url)))).await;
            // The empty reference would lead back to the directory.
            let refused = matches!(error, AcmeError::Unacceptable { .. });
            assert!(refused && error.fault() == Fault::Permanent, "{field} {url}: {error}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }
}

#[tokio::test]
async fn broken_directories_are_passing() {
    let table = [
        (answer(503, "<html>\u{1b}[31mdown</html>"), "<html> [31mdown</html>"),
        (answer(200, "<html>"), "no ACME directory"),
        (answer(200, "{}"), "no ACME directory"),
        (answer(200, "[".repeat(100_000)), "no ACME directory"),
        (answer(200, " ".repeat(2 << 20)), "more than 1048576 bytes"),
        (answer(503, "x".repeat(2 << 20)), "more than 1048576 bytes"),
        (answer(200, "{\"newNonce\":\"\u{0}"), "no ACME directory"),
    ];
    for (answer, words) in table {
        let error = opened(answer).await;
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.fault(), Fault::Passing, "{error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    let error = opened(answer(301, "").with("location", "https://evil.example/")).await;
    assert!(matches!(error, AcmeError::Redirected { .. }), "{error}");
}

#[tokio::test]
async fn waits_the_ca_asks_for_are_bounded() {
    let limited = |value: &str| problem(429, "rateLimited", "slow").with("retry-after", value);
    let in_words = "too many, retry after 2026-11-22 12:00:37 UTC: see x";
    let paused = "prevented. Please visit: https://ca.example/sfe/v1/unpause?jwt=x";
    let (now, day) = (clock().now(), Duration::from_secs(86_400));
    let at = |seconds| Fault::WaitUntil(now.plus(Duration::from_secs(seconds)));
    let date = |answer: Answer| answer.with("date", "Sun, 22 Nov 2026 12:00:00 GMT");
    let table = [
        (limited("37"), at(37)),
        (limited("18446744073709551615"), Fault::WaitUntil(now.plus(day))),
        (date(limited("Sun, 22 Nov 2026 12:01:00 GMT")), at(60)),
        (date(limited("Sun, 22 Nov 2026 12:01:00 GMT")).with("age", "20"), at(40)),
        (date(problem(429, "rateLimited", in_words)), at(37)),
        (date(limited("Sun, 22 Nov 2026 11:00:00 GMT")), at(0)),
        (date(limited("Sat, 22 Nov 2036 12:00:00 GMT")), Fault::WaitUntil(now.plus(day))),
        (limited("-7"), Fault::Passing),
        (limited("soon"), Fault::Passing),
        (problem(429, "rateLimited", "slow"), Fault::Passing),
        (answer(429, "<html>slow down"), Fault::Passing),
        (problem(429, "rateLimited", paused), Fault::Permanent),
        (answer(503, "busy").with("retry-after", "10"), at(10)),
        (answer(503, "busy"), Fault::Passing),
        (problem(400, "rejectedIdentifier", "policy"), Fault::Permanent),
        (problem(403, "userActionRequired", "new terms"), Fault::Permanent),
    ];
    for (answer, fault) in table {
        let error = ordered("/new-order", answer).await.err().unwrap();
        assert_eq!(error.fault(), fault, "{error}");
    }
}

#[tokio::test]
async fn orders_that_are_not_ours_are_refused() {
    let opened = |order: Value| answer(201, order).with("location", "BASE/order");
    let dns = |name: &str| json!({ "type": "dns", "value": name });
    let renamed = |names: Value| opened(edited(order("pending"), "/identifiers", names));
    let table = [
        (renamed(json!([dns("b.example")])), Fault::Permanent),
        (renamed(json!([dns("a.example"), dns("b.example")])), Fault::Permanent),
        (renamed(json!([])), Fault::Passing),
        (renamed(json!([dns("../../x")])), Fault::Permanent),
        (renamed(json!([{ "type": "email", "value": "x" }])), Fault::Permanent),
        (opened(order("bewildered")), Fault::Passing),
        (answer(201, order("pending")), Fault::Passing),
        (answer(201, "").with("location", "BASE/order"), Fault::Passing),
        (answer(201, order("pending")).with("location", "https://evil.example/"), Fault::Permanent),
        (opened(edited(order("ready"), "/finalize", json!("http://127.0.0.1/"))), Fault::Permanent),
    ];
    for (answer, fault) in table {
        let error = ordered("/new-order", answer).await.err().unwrap();
        assert_eq!(error.fault(), fault, "{error}");
    }
    let account = Server::start(Vec::new()).await.account().await;
    let mut resumed = account.resume(&format!("{}/../../order", account.url())).await.unwrap();
    assert!(matches!(resumed.finalize(b"x").await, Err(AcmeError::OrderNotFit { .. })));
}

#[tokio::test]
async fn an_order_may_not_turn_into_another() {
    let other = json!([{ "type": "dns", "value": "b.example" }]);
    let turned = answer(200, edited(order("ready"), "/identifiers", other));
    let mut order = ordered("/order", turned).await.unwrap();
    let error = order.wait_ready(PATIENCE).await.unwrap_err();
    assert!(matches!(error, AcmeError::OtherIdentifiers { .. }), "{error}");
}

#[tokio::test]
async fn hostile_tokens_go_nowhere() {
    let long = "a".repeat(10_000);
    for token in ["../../x", "$(x)", "a\nb", "a\0", "", "x y", long.as_str()] {
        let challenges = json!([challenge(&json!(token))]);
        let order = ordered("/authz", answer(200, authorization(challenges))).await.unwrap();
        let error = order.pending().await.unwrap_err();
        assert_eq!(error.fault(), Fault::Permanent, "{token:?}");
        assert!(error.to_string().len() < 400 && !error.to_string().contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn unknown_challenges_are_passed_over() {
    let challenges = json!([
        { "type": "dns-persist-01", "url": "BASE/c", "issuer-domain-names": ["ca.example"] },
        { "type": "http-01", "url": "BASE/c" },
        { "type": "tls-alpn-01", "token": null },
        { "type": 7 },
        "what",
        challenge(&json!("tok")),
    ]);
    let order = ordered("/authz", answer(200, authorization(challenges))).await.unwrap();
    let pending = order.pending().await.unwrap();
    assert_eq!(pending[0].challenges.len(), 1);
    assert_eq!(pending[0].challenges[0].token.as_str(), "tok");

    let other = json!({ "type": "dns", "value": "b.example" });
    let body = edited(authorization(json!([])), "/identifier", other);
    let order = ordered("/authz", answer(200, body)).await.unwrap();
    let error = order.pending().await.unwrap_err();
    assert!(matches!(error, AcmeError::OtherIdentifiers { .. }), "{error}");
}

#[tokio::test]
async fn records_are_asked_for_in_either_form_or_not_at_all() {
    let meta = json!({ "caaIdentities": ["ca.example", "b.example"],
        "accountHashPrefix": "https://ca.example/h/", "issuerDomainNames": ["ca.example"] });
    let former = |names: Value| json!({ "issuer-domain-names": names });
    let names = |names: Value| json!({ "issuerDomainNames": names });
    let bound =
        json!({ "issuer-domain-names": ["x.example"], "accounturi": "https://ca.example/2" });
    let table = [
        (former(json!(["x.example"])), Ok("https://127")),
        (names(json!(["b.example", "ca.example"])), Ok("https://ca.example/h/sha-256/")),
        (bound, Err("it is for another account than ours")),
        (json!({}), Err("it names no issuer")),
        (former(json!([])), Err("it names no issuer, or more than ten")),
        (former(json!(vec!["x.example"; 11])), Err("it names no issuer, or more than ten")),
        (former(json!("x.example")), Err("it has no list of issuers")),
        (
            former(json!(["x.example; a"])),
            Err("it calls an issuer by what is no lower-case domain name"),
        ),
        (names(json!([])), Err("it lacks an issuer that the directory names")),
        (names(json!(["b.example"])), Err("it lacks an issuer that the directory names")),
        (
            names(json!(["ca.example", "x.example"])),
            Err("it names an issuer that is not among the CA's caaIdentities"),
        ),
        (
            json!({ "issuer-domain-names": ["x.example"], "url": "https://169.254.169.254/" }),
            Err("it is answered at no proper URL"),
        ),
    ];
    let mut told = directory();
    told["meta"] = meta;
    for (fields, expected) in table {
        let mut standing = json!({ "type": "dns-persist-01", "url": "BASE/c" });
        standing.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let challenges = authorization(json!([standing, challenge(&json!("tok"))]));
        let replies =
            vec![("/directory", answer(200, told.clone())), ("/authz", answer(200, challenges))];
        let account = Server::start(replies).await.account().await;
        let pending = account.order(&wanted()).await.unwrap().pending().await.unwrap();
        assert_eq!(pending[0].challenges.len(), 1, "the other way stays open: {fields}");
        let standing = pending[0].standing.as_ref().unwrap().as_ref();
        match (standing, expected) {
            (Ok(standing), Ok(account)) => {
                assert!(standing.account().starts_with(account), "{standing:?}");
            }
            (standing, expected) => assert_eq!(standing.err().copied(), expected.err(), "{fields}"),
        }
    }
}

#[tokio::test]
async fn nonces_missing_malformed_or_always_refused() {
    for answer in [answer(200, ""), answer(200, "").with("replay-nonce", "a b/c=")] {
        let server = Server::start(vec![("/nonce", answer)]).await;
        let session = server.open().await.unwrap();
        let mut file = AccountFile::fresh(&server.endpoint.directory).unwrap();
        let error = session.register(&mut file, Registration::default()).await.err().unwrap();
        assert!(error.to_string().contains("no usable nonce"), "{error}");
    }
    let server = Server::start(vec![("/new-order", problem(400, "badNonce", "no"))]).await;
    let account = server.account().await;
    let error = account.order(&wanted()).await.err().unwrap();
    assert!(matches!(error, AcmeError::NonceStorm { .. }) && error.fault() == Fault::Passing);
    assert!(server.requests.load(Ordering::Relaxed) < 30);
    let revoked = Server::start(vec![("/revoke", problem(400, "badNonce", "no"))]).await;
    let error = revoked.account().await.revoke(b"x", Reason::Unspecified).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Passing);
    assert!(revoked.requests.load(Ordering::Relaxed) < 100);
}

#[tokio::test]
async fn what_is_no_chain_is_refused() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
    let bodies = [
        "<html>".to_owned(),
        String::new(),
        format!("{CHAIN}{key}"),
        format!("{CHAIN}\u{1b}[2J"),
        format!("subject=x\n{CHAIN}"),
        CHAIN.repeat(8000),
    ];
    for body in bodies {
        let server = Server::start(vec![("/cert", answer(200, body))]).await;
        let mut order = server.account().await.order(&wanted()).await.unwrap();
        order.wait_ready(PATIENCE).await.unwrap();
        let error = order.wait_certificate(PATIENCE).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Passing, "{error}");
    }
    let link = r#"<https://evil.example/chain>;rel="alternate", <BASE/cert>;rel="up""#;
    let server = Server::start(vec![("/cert", answer(200, CHAIN).with("link", link))]).await;
    let mut order = server.account().await.order(&wanted()).await.unwrap();
    order.wait_ready(PATIENCE).await.unwrap();
    let issued = order.wait_certificate(PATIENCE).await.unwrap();
    let error = order.alternates(&issued).await.unwrap_err();
    assert!(matches!(error, AcmeError::Unacceptable { .. }), "{error}");
}

#[tokio::test]
async fn stuck_orders_are_left_in_time() {
    let patience = Duration::from_millis(80);
    let stuck = answer(200, order("pending")).with("retry-after", "99999999999");
    let mut order = ordered("/order", stuck).await.unwrap();
    let error = order.wait_ready(patience).await.unwrap_err();
    assert!(matches!(&error, AcmeError::StillWaiting { url, .. } if url.path() == "/order"));
    let tomorrow = Fault::WaitUntil(clock().now().plus(Duration::from_secs(86_400)));
    assert_eq!(error.fault(), tomorrow);

    let mut order = ordered("/order", answer(502, "<html>")).await.unwrap();
    let error = order.wait_ready(patience).await.unwrap_err();
    assert!(matches!(error, AcmeError::Unavailable { .. }), "looked until the end: {error}");
    let mut order = ordered("/order", problem(403, "unauthorized", "gone")).await.unwrap();
    let error = order.wait_ready(PATIENCE).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Permanent, "did not look until the end");
}

#[tokio::test]
async fn invalid_orders_give_their_reason() {
    let caa = json!({ "type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids" });
    let mut invalid = order("invalid");
    invalid["error"] = caa.clone();
    let changes = vec![
        ("/new-order", answer(201, invalid).with("location", "BASE/order")),
        ("/authz", answer(200, edited(authorization(json!([])), "/status", json!("valid")))),
    ];
    let mut order = Server::start(changes).await.account().await.order(&wanted()).await.unwrap();
    let error = order.wait_ready(PATIENCE).await.unwrap_err();
    assert!(error.is("caa") && error.fault() == Fault::Permanent, "{error}");

    let mut failed = challenge(&json!("tok"));
    failed["error"] = caa;
    let lost = edited(authorization(json!([failed])), "/status", json!("invalid"));
    let order = ordered("/authz", answer(200, lost)).await.unwrap();
    let error = order.pending().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the CA is not convinced: a.example by http-01: CAA forbids (caa)"
    );
    assert_eq!(error.fault(), Fault::Permanent);
}

#[tokio::test]
async fn objections_to_replaces_are_set_apart() {
    let replacing = NewOrder { replaces: Some("a.b".to_owned()), ..wanted() };
    let table = [
        (problem(409, "alreadyReplaced", "x"), true),
        (problem(404, "malformed", "Could not validate ARI 'replaces' field :: x"), true),
        (problem(500, "serverInternal", "could not find an order for the given certificate"), true),
        (problem(429, "rateLimited", "too many").with("retry-after", "5"), false),
        (problem(503, "serverInternal", "ari"), false),
    ];
    for (answer, concerned) in table {
        let account = Server::start(vec![("/new-order", answer)]).await.account().await;
        let error = account.order(&replacing).await.err().unwrap();
        assert_eq!(error.concerns_replaces(), concerned, "{error}");
        let error = account.order(&wanted()).await.err().unwrap();
        assert!(!error.concerns_replaces(), "nothing was to be replaced: {error}");
    }
    let account = Server::start(Vec::new()).await.account().await;
    account.order(&replacing).await.expect("the CA need not repeat the field");
}

#[tokio::test]
async fn renewal_information_errors_are_told_apart() {
    async fn asked(answer: Answer) -> Result<RenewalInfo, RenewalInfoError> {
        let server = Server::start(vec![("/ari/a.b", answer)]).await;
        server.open().await.unwrap().renewal_info("a.b").await
    }
    let window = json!({ "start": "2026-11-25T06:00:00Z", "end": "2026-11-25T07:00:00Z" });
    let good = answer(200, json!({ "suggestedWindow": window }));
    let info = asked(good.clone()).await.unwrap();
    assert_eq!(info.retry_after, RenewalInfoError::LATER);
    assert_eq!(info.window.end(), Timestamp::parse("2026-11-25T07:00:00Z").unwrap());
    let huge = asked(good.with("retry-after", "18446744073709551615")).await.unwrap();
    assert_eq!(huge.retry_after, Duration::from_secs(86_400));
    type Check = fn(&RenewalInfoError) -> bool;
    let table: [(Answer, Check); 6] = [
        (problem(404, "malformed", "unknown"), |e| matches!(e, RenewalInfoError::Unknown(_))),
        (answer(503, "busy"), |e| matches!(e, RenewalInfoError::Temporary(_))),
        (answer(429, "slow"), |e| matches!(e, RenewalInfoError::LongTerm(_))),
        (answer(200, "<html>"), |e| matches!(e, RenewalInfoError::LongTerm(_))),
        (answer(200, "x".repeat(2 << 20)), |e| matches!(e, RenewalInfoError::LongTerm(_))),
        (answer(409, "no"), |e| matches!(e, RenewalInfoError::LongTerm(_))),
    ];
    for (answer, expected) in table {
        let error = asked(answer).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
}

#[tokio::test]
async fn accounts_stay_with_their_ca() {
    let server = Server::start(Vec::new()).await;
    let session = server.open().await.unwrap();
    let mut foreign = AccountFile::fresh("https://ca.example/directory").unwrap();
    foreign.url = Some("https://ca.example/account/1".to_owned());
    let error = session.account(&foreign).err().unwrap();
    assert!(matches!(error, AcmeError::OtherDirectory { .. }), "{error}");
    let plain = Endpoint { directory: "http://127.0.0.1/dir".to_owned(), ..server.endpoint };
    let error = Session::open(&plain, "acmeagent/test", clock()).await.err().unwrap();
    assert!(matches!(error, AcmeError::Unacceptable { .. }), "{error}");
}

/// A CA that wants a binding, and hands it out for an e-mail address.
async fn registered(contact: Option<&str>, desk: Answer) -> Result<Account, AcmeError> {
    let mut wanting = directory();
    wanting["meta"] = json!({ "externalAccountRequired": true });
    let server = Server::start(vec![("/directory", answer(200, wanting)), ("/eab", desk)]).await;
    let eab_by_email = Some(server.endpoint.directory.replace("/directory", "/eab"));
    let endpoint = Endpoint { eab_by_email, ..server.endpoint };
    let session = Session::open(&endpoint, "acmeagent/test", clock()).await?;
    let contacts = contact.iter().map(ToString::to_string).collect();
    let registration = Registration { contacts, ..Registration::default() };
    let mut file = AccountFile::fresh(&endpoint.directory).unwrap();
    session.register(&mut file, registration).await
}

#[tokio::test]
async fn bindings_are_had_by_email_or_not() {
    let mail = Some("mailto:a+b@c.example");
    let good = json!({ "success": true, "eab_kid": "k", "eab_hmac_key": "AQAB" });
    registered(mail, answer(200, &good)).await.unwrap();
    let none = registered(None, answer(200, &good)).await.err().unwrap();
    assert!(matches!(none, AcmeError::EabRequired { by_email: true }), "{none}");
    let refused = json!({ "success": false, "error": { "code": 2800, "type": "no\u{1b}[2J" } });
    let table = [
        (answer(200, refused), "2800", Fault::Permanent),
        (answer(200, json!({ "success": true })), "null", Fault::Permanent),
        (answer(200, edited(good.clone(), "/eab_kid", json!("a\nb"))), "key id", Fault::Permanent),
        (answer(200, edited(good.clone(), "/eab_kid", json!(""))), "key id", Fault::Permanent),
        (answer(200, edited(good, "/eab_hmac_key", json!("?"))), "HMAC", Fault::Permanent),
        (answer(200, "<html>"), "no account binding", Fault::Passing),
        (answer(200, " ".repeat(2 << 20)), "more than", Fault::Passing),
        (answer(503, "<html>down"), "down", Fault::Passing),
        (answer(302, "").with("location", "https://evil.example/"), "redirects", Fault::Permanent),
    ];
    for (answer, words, fault) in table {
        let error = registered(mail, answer).await.err().unwrap();
        assert!(error.to_string().contains(words) && !error.to_string().contains('\u{1b}'));
        assert_eq!(error.fault(), fault, "{error}");
    }
}

/// A server that sends the given bytes for ever, one at a time, over TLS or before it.
async fn dripping(tls: bool) -> AcmeError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = format!("https://{}/directory", listener.local_addr().unwrap());
    let (certificate, key) = loopback_certificate();
    let acceptor = acceptor(&certificate, &key);
    let dripping = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if !tls {
            return std::future::pending().await;
        }
        let mut stream = acceptor.accept(stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let roots = Some(certificate.into_bytes());
    let endpoint = Endpoint { roots, ..Endpoint::new("slow", &directory) };
    let timeouts =
        Timeouts { connect: Duration::from_millis(300), total: Duration::from_millis(600) };
    let opening = Session::open_within(&endpoint, "acmeagent/test", clock(), timeouts);
    let error = tokio::time::timeout(Duration::from_secs(5), opening).await.unwrap().err().unwrap();
    dripping.abort();
    error
}

#[tokio::test]
async fn silent_and_dripping_servers_are_left_in_time() {
    for tls in [false, true] {
        let error = dripping(tls).await;
        assert!(matches!(error, AcmeError::TimedOut { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Passing);
    }
}

#[tokio::test]
async fn a_closed_port_is_passing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = format!("https://{}/directory", listener.local_addr().unwrap());
    drop(listener);
    let roots = Some(loopback_certificate().0.into_bytes());
    let endpoint = Endpoint { roots, ..Endpoint::new("closed", &directory) };
    let error = Session::open(&endpoint, "acmeagent/test", clock()).await.err().unwrap();
    assert_eq!(error.fault(), Fault::Passing, "{error}");
}
