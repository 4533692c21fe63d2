//! The CA driven over its sockets: by instant-acme, by requests signed by hand, by openssl.

mod advice;
mod client;
mod dns;
mod issuance;
mod limits;
mod protocol;
mod renewal;
mod revocation;
mod solver;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Behaviour, Running, Settings, start};
use crate::model::challenge::ValidationPorts;
use crate::model::time::{Clock, Timestamp};
use solver::Solver;

/// The real time when it is made, and whatever the test says afterwards.
pub(super) struct TestClock(AtomicI64);

impl TestClock {
    #[allow(clippy::disallowed_methods, reason = "TLS clients under test judge by the real time")]
    fn now() -> Arc<Self> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Arc::new(Self(AtomicI64::new(i64::try_from(since.as_secs()).unwrap())))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_secs()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp::default())
    }
}

/// A directory, a clock and a solver, with which CAs are started.
pub(super) struct Rig {
    dir: TempDir,
    clock: Arc<TestClock>,
    ports: Arc<ValidationPorts>,
    solver: Solver,
}

impl Rig {
    async fn new() -> Self {
        // Fails when another test was first, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let solver = Solver::start().await;
        let ports = Arc::new(ValidationPorts::default());
        ports.set_http_01(solver.http_port);
        ports.set_tls_alpn_01(solver.tls_port);
        Self { dir: tempfile::tempdir().unwrap(), clock: TestClock::now(), ports, solver }
    }

    fn settings(&self) -> Settings {
        Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            dir: self.dir.path().join("ca"),
            ports: Arc::clone(&self.ports),
            dns_server: None,
            eab: BTreeMap::new(),
            clock: Arc::<TestClock>::clone(&self.clock),
            behaviour: Behaviour::default(),
        }
    }

    async fn start(&self) -> Running {
        start(self.settings()).await.unwrap()
    }

    async fn start_behaving(&self, toml: &str) -> Running {
        let behaviour = Behaviour::parse(toml).unwrap();
        start(Settings { behaviour, ..self.settings() }).await.unwrap()
    }

    async fn start_with_eab(&self, kid: &str, key: &[u8]) -> Running {
        let eab = BTreeMap::from([(kid.to_owned(), Zeroizing::new(key.to_vec()))]);
        start(Settings { eab, ..self.settings() }).await.unwrap()
    }
}
