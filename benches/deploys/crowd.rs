//! Clients of a TLS server that are at it without a pause.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::server::NAME;
use crate::support::DEADLINE;

/// SHA-256 of a certificate.
pub type Leaf = [u8; 32];

/// The first certificate in a file.
pub fn leaf_in(file: &Path) -> Leaf {
    leaf_of(&CertificateDer::from_pem_file(file).unwrap())
}

fn leaf_of(der: &CertificateDer<'_>) -> Leaf {
    digest(&SHA256, der).as_ref().try_into().unwrap()
}

/// A full handshake that ended well, with the connection before it.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    pub begun: Instant,
    pub ended: Instant,
    pub leaf: Leaf,
}

/// So many clients that shake hands anew for every request, and so many that keep their connection.
pub struct Crowd {
    town: Arc<Town>,
    threads: Vec<JoinHandle<()>>,
}

/// What all clients share.
struct Town {
    server: SocketAddr,
    client: Arc<ClientConfig>,
    is_over: AtomicBool,
    sights: Mutex<Vec<Sight>>,
    failures: Mutex<Vec<String>>,
    kept: AtomicU64,
    lost: AtomicU64,
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Between two requests of a client that keeps its connection.
const PAUSE: Duration = Duration::from_millis(5);

impl Crowd {
    /// They trust in these roots, and only in these.
    pub fn at(port: u16, roots: &[PathBuf], shaking: usize, keeping: usize) -> Self {
        let mut trusted = RootCertStore::empty();
        for root in roots {
            trusted.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap();
        let mut client = client.with_root_certificates(trusted).with_no_client_auth();
        client.resumption = Resumption::disabled();
        let town = Arc::new(Town {
            server: (Ipv4Addr::LOCALHOST, port).into(),
            client: Arc::new(client),
            is_over: AtomicBool::new(false),
            sights: Mutex::default(),
            failures: Mutex::default(),
            kept: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let spawn = |lives: fn(&Town)| {
            let town = Arc::clone(&town);
            thread::spawn(move || lives(&town))
        };
        let shaking = (0..shaking).map(|_| spawn(Town::shake_hands));
        let keeping = (0..keeping).map(|_| spawn(Town::keep_connections));
        let threads = shaking.chain(keeping).collect();
        Self { town, threads }
    }

    /// Forgets the handshakes so far.
    pub fn forget(&self) {
        self.sights().clear();
    }

    /// Handshakes since the last [`Self::forget`], in the order in which they ended.
    pub fn sights(&self) -> MutexGuard<'_, Vec<Sight>> {
        self.town.sights.lock().unwrap()
    }

    /// Waits until a handshake that began after this shows that certificate.
    pub fn wait_for(&self, leaf: Leaf, since: Instant) {
        let waiting = Instant::now();
        while !self.sights().iter().rev().any(|one| one.leaf == leaf && one.begun >= since) {
            assert!(waiting.elapsed() < DEADLINE, "nobody sees it: {:?}", self.failures());
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn failures(&self) -> Vec<String> {
        self.town.failures.lock().unwrap().clone()
    }

    /// Requests on kept connections that were answered, and that were not.
    pub fn kept_and_lost(&self) -> (u64, u64) {
        (self.town.kept.load(Ordering::Relaxed), self.town.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.town.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Town {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn fail(&self, error: &io::Error) {
        self.failures.lock().unwrap().push(error.to_string());
    }

    fn shake_hands(&self) {
        while self.goes_on() {
            let answered = self.connect().and_then(|(sight, mut stream)| {
                self.sights.lock().unwrap().push(sight);
                ask(&mut stream, "close")?;
                // Whoever closes first keeps the port for a while; let that be the server.
                let _ = stream.read_to_end(&mut Vec::new());
                Ok(())
            });
            if let Err(error) = answered {
                self.fail(&error);
            }
        }
    }

    fn keep_connections(&self) {
        while self.goes_on() {
            match self.connect() {
                Ok((_, stream)) => self.keep(stream),
                Err(error) => self.fail(&error),
            }
        }
    }

    fn keep(&self, mut stream: Stream) {
        while self.goes_on() {
            let Ok(will_stay) = ask(&mut stream, "keep-alive") else {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            };
            self.kept.fetch_add(1, Ordering::Relaxed);
            if !will_stay {
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    fn connect(&self) -> io::Result<(Sight, Stream)> {
        let begun = Instant::now();
        let mut tcp = TcpStream::connect(self.server)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(DEADLINE))?;
        let name = ServerName::try_from(NAME).unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        let leaf = leaf_of(&tls.peer_certificates().unwrap()[0]);
        let sight = Sight { begun, ended: Instant::now(), leaf };
        Ok((sight, StreamOwned::new(tls, tcp)))
    }
}

/// Sends one request. Says whether the server keeps the connection for another.
fn ask(stream: &mut Stream, connection: &str) -> io::Result<bool> {
    let request = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    loop {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        if let Some((head, "hello\n")) = text.split_once("\r\n\r\n") {
            let is_good = head.starts_with("http/1.1 200");
            let bad = || io::Error::other(format!("the server says {head:?}"));
            return is_good.then(|| !head.contains("connection: close")).ok_or_else(bad);
        }
    }
}
