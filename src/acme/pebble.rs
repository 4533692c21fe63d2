//! A real Pebble with its challenge server, on loopback, for as long as a test runs.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::time::{Instant, sleep};

use super::{AccountFile, Endpoint, Registration, Session};
use crate::model::challenge::{Challenge, ChallengeKind};
use crate::model::time::{Clock, Timestamp};
use crate::ports::free_ports;

const DEADLINE: Duration = Duration::from_secs(20);

/// What a test wants to differ from a plain Pebble.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Per cent of nonces refused.
    pub(super) nonce_reject: u8,
    /// Per cent of orders that reuse valid authorizations.
    pub(super) authz_reuse: u8,
    pub(super) alternate_roots: u8,
    pub(super) eab_required: bool,
}

/// Key id and HMAC key of the one external account Pebble is told about.
pub(super) const EAB: (&str, &str) =
    ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

impl Settings {
    fn config(&self, listen: &[String; 2], http_port: u16, tls: [&str; 2]) -> Value {
        json!({ "pebble": {
            "listenAddress": listen[0],
            "managementListenAddress": listen[1],
            "certificate": tls[0],
            "privateKey": tls[1],
            "httpPort": http_port,
            "tlsPort": 1,
            "externalAccountBindingRequired": self.eab_required,
            "externalAccountMACKeys": { EAB.0: EAB.1 },
            "retryAfter": { "authz": 3, "order": 5 },
            "keyAlgorithm": "ecdsa",
            "profiles": {
                "default": { "description": "90 days", "validityPeriod": 7_776_000 },
                "shortlived": { "description": "160 hours", "validityPeriod": 576_000 },
            },
        }})
    }
}

/// Ends a test that cannot run without Pebble: named at the end of `make test`, a failure under CI.
macro_rules! needs_pebble {
    () => {
        if !$crate::acme::pebble::is_installed() {
            return;
        }
    };
}
pub(super) use needs_pebble;

/// Whether both programs are there; where one is not, the running test is put on the list.
#[allow(clippy::disallowed_methods)] // a note for the tester is nothing of the store
pub(super) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing = ["pebble", "pebble-challtestsrv"].into_iter().find(|program| !there(*program));
    let Some(missing) = missing else { return true };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("CI").is_none(), "{test} cannot run here: {missing} is not installed");
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/target/cannot-run.txt");
    let mut list = File::options().create(true).append(true).open(list).unwrap();
    writeln!(list, "{test}: {missing} is not installed").unwrap();
    false
}

pub(super) struct Pebble {
    pub(super) endpoint: Endpoint,
    management: String,
    challenges: String,
    http: reqwest::Client,
    children: [Running; 2],
    _directory: TempDir,
}

/// A child process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts at a fixed moment and measures spans truly.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(TestClock(Instant::now()))
}

/// A self-signed certificate for loopback: PEM of the certificate and of its key.
pub(super) fn loopback_certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

impl Pebble {
    /// Starts both programs and waits until they answer. A port taken by another in between the
    /// kernel's choice and its use costs another attempt.
    pub(super) async fn start(settings: Settings) -> Self {
        for _ in 0..5 {
            if let Some(pebble) = Self::attempt(&settings).await {
                return pebble;
            }
        }
        panic!("pebble does not start")
    }

    async fn attempt(settings: &Settings) -> Option<Self> {
        let [listen, manage, http01, dns, challenges] = free_ports();
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = loopback_certificate();
        let certificate_file = write(&directory, &certificate);
        let key_file = write(&directory, &key);
        let addresses = [listen, manage].map(|port| format!("127.0.0.1:{port}"));
        let config = settings.config(&addresses, http01, [&certificate_file, &key_file]);
        let config = write(&directory, &config.to_string());
        let challenge_server = spawn(Command::new("pebble-challtestsrv").args([
            "-http01",
            &format!("127.0.0.1:{http01}"),
            "-dnsserver",
            &format!("127.0.0.1:{dns}"),
            "-management",
            &format!("127.0.0.1:{challenges}"),
            "-https01=",
            "-tlsalpn01=",
            "-doh=",
            "-defaultIPv4=127.0.0.1",
            "-defaultIPv6=",
        ]));
        let pebble = spawn(
            Command::new("pebble")
                .args(["-config", &config, "-dnsserver", &format!("127.0.0.1:{dns}")])
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", settings.nonce_reject.to_string())
                .env("PEBBLE_AUTHZREUSE", settings.authz_reuse.to_string())
                .env("PEBBLE_ALTERNATE_ROOTS", settings.alternate_roots.to_string()),
        );
        let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([root]).user_agent("test");
        let mut started = Self {
            endpoint: Endpoint {
                roots: Some(certificate.into_bytes()),
                ..Endpoint::new("pebble", &format!("https://127.0.0.1:{listen}/dir"))
            },
            management: format!("https://127.0.0.1:{manage}"),
            challenges: format!("http://127.0.0.1:{challenges}"),
            http: http.build().unwrap(),
            children: [pebble, challenge_server],
            _directory: directory,
        };
        started.answers().await.then_some(started)
    }

    /// Whether both answer before the deadline; not when one has ended.
    async fn answers(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if self.children.iter_mut().any(|child| child.0.try_wait().unwrap().is_some()) {
                return false;
            }
            let directory = self.http.get(&self.endpoint.directory).send().await;
            let challenges = self.http.get(&self.challenges).send().await;
            if directory.is_ok() && challenges.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(20)).await;
        }
        false
    }

    pub(super) async fn session(&self) -> Session {
        Session::open(&self.endpoint, "acmeagent/test", clock()).await.unwrap()
    }

    /// A session with a new account.
    pub(super) async fn account(&self) -> (Session, super::Account, AccountFile) {
        let session = self.session().await;
        let mut file = AccountFile::fresh(&self.endpoint.directory).unwrap();
        let registration = Registration { agree_terms: true, ..Registration::default() };
        let account = session.register(&mut file, registration).await.unwrap();
        (session, account, file)
    }

    /// Lets the challenge server answer an http-01 challenge.
    pub(super) async fn answer(&self, challenges: &[Challenge]) {
        let one = challenges.iter().find(|one| one.kind == ChallengeKind::Http01).unwrap();
        let content = one.key_authorization.as_str();
        let body = json!({ "token": one.token.as_str(), "content": content });
        self.command(&format!("{}/add-http01", self.challenges), &body).await;
    }

    /// Makes Pebble answer renewal information with this window.
    pub(super) async fn set_window(&self, certificate: &str, start: &str, end: &str) {
        let window = json!({ "suggestedWindow": { "start": start, "end": end },
            "explanationURL": "https://ca.example/why" });
        let body = json!({ "certificate": certificate, "ariResponse": window.to_string() });
        self.command(&format!("{}/set-renewal-info/", self.management), &body).await;
    }

    pub(super) async fn certificate_status(&self, serial_hex: &str) -> String {
        let url = format!("{}/cert-status-by-serial/{serial_hex}", self.management);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn command(&self, url: &str, body: &Value) {
        let response = self.http.post(url).json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{url}: {}", response.status());
    }
}

fn write(directory: &TempDir, content: &str) -> String {
    let mut file = NamedTempFile::new_in(directory).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    let (_, path) = file.keep().unwrap();
    path.to_str().unwrap().to_owned()
}

fn spawn(command: &mut Command) -> Running {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(quiet.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
}
