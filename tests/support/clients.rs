//! The clients of a server: real handshakes, each a full one, and what became of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What became of the handshakes so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    pub completed: u64,
    /// The client did not trust the certificate.
    pub refused: u64,
    /// Anything else; nobody answered, mostly.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    completed: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
    /// What else happened, for a person to read.
    odd: Mutex<Option<String>>,
}

/// A population of clients that come for as long as it lives.
pub struct Clients {
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// Who they are: `of_hundred` trust the first roots alone, all others these and the second ones.
pub struct Population {
    pub server: SocketAddr,
    pub name: ServerName<'static>,
    pub first: Vec<CertificateDer<'static>>,
    pub second: Vec<CertificateDer<'static>>,
    pub of_hundred: u64,
}

/// So many are there at once.
const AT_ONCE: u64 = 8;

impl Clients {
    pub fn come(population: Population) -> Self {
        let counters = Arc::new(Counters::default());
        let theirs = counters.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(visit(population, &theirs));
        });
        Self { counters, thread: Some(thread) }
    }

    pub fn seen(&self) -> Seen {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { completed, refused, failed, .. } = &*self.counters;
        Seen { completed: get(completed), refused: get(refused), failed: get(failed) }
    }

    /// Lets those that are there finish, and says what all of them saw.
    pub fn leave(mut self) -> Seen {
        self.end();
        if let Some(odd) = &*self.counters.odd.lock().unwrap() {
            println!("the last odd end of a handshake: {odd}");
        }
        self.seen()
    }

    fn end(&mut self) {
        self.counters.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.end();
    }
}

/// The certificates of a file.
pub fn roots(pem: &std::path::Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(pem).unwrap().map(Result::unwrap).collect()
}

async fn visit(population: Population, counters: &Counters) {
    let Population { server, name, first, second, of_hundred } = population;
    let narrow = config(&first);
    let wide = config(&[first, second].concat());
    let clients = (0..AT_ONCE).map(|seed| {
        let (narrow, wide, name) = (narrow.clone(), wide.clone(), name.clone());
        async move {
            let mut dice = Dice(seed + 1);
            while !counters.is_over.load(Ordering::Relaxed) {
                let config = if dice.below(100) < of_hundred { &narrow } else { &wide };
                let counter = match shake(server, &name, config).await {
                    Ok(()) => &counters.completed,
                    Err(error) if is_refusal(&error) => &counters.refused,
                    Err(error) => {
                        *counters.odd.lock().unwrap() = Some(error.to_string());
                        &counters.failed
                    }
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    futures_util::future::join_all(clients).await;
}

fn config(roots: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config.with_root_certificates(store).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

async fn shake(
    server: SocketAddr,
    name: &ServerName<'static>,
    config: &Arc<ClientConfig>,
) -> std::io::Result<()> {
    let stream = TcpStream::connect(server).await?;
    let connector = TlsConnector::from(config.clone());
    let mut stream = connector.connect(name.clone(), stream).await?;
    // Politely, so that the server has read the last message when the connection ends.
    stream.shutdown().await?;
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(())
}

fn is_refusal(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The same throws every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
