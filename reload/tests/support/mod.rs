//! A CA, a home of live folders, handshakes in memory, and an agent at the socket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use acmeagent_reload::LiveCert;
use acmeagent_reload::socket::{Socket, SocketSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Signs what it is asked to.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate as two PEM texts.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Ca {
    pub(crate) fn new() -> Self {
        // A client that finds the right name with the wrong key complains of another thing.
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ca {}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Valid from an hour ago for a week.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_for(names, -1, 160)
    }

    /// Valid between these hours from now.
    pub(crate) fn issue_for(&self, names: &[&str], from: i64, to: i64) -> Issued {
        self.issue_between(names, hours_from_now(from), hours_from_now(to))
    }

    /// Valid from an hour ago for so long from now.
    pub(crate) fn issue_until(&self, names: &[&str], left: Duration) -> Issued {
        self.issue_between(names, hours_from_now(-1), SystemTime::now() + left)
    }

    fn issue_between(&self, names: &[&str], from: SystemTime, to: SystemTime) -> Issued {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (from.into(), to.into());
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this CA alone.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS)
    }

    /// One that speaks these versions.
    pub(crate) fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

fn hours_from_now(hours: i64) -> SystemTime {
    let distance = Duration::from_secs(3600 * hours.unsigned_abs());
    let now = SystemTime::now();
    if hours < 0 { now - distance } else { now + distance }
}

impl Issued {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    pub(crate) fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
            .tls13()
            .unwrap()
            .common
            .hash_provider
            .hash(&self.der());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A temporary folder with live folders, other pairs, and a socket.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a pair into a folder, made if need be.
    pub(crate) fn put(&self, folder: &str, issued: &Issued) -> PathBuf {
        let folder = self.path(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("fullchain.pem"), &issued.cert).unwrap();
        fs::write(folder.join("privkey.pem"), &issued.key).unwrap();
        folder
    }
}

/// A server that holds one certificate as `site`, and its socket.
pub(crate) struct Site {
    pub(crate) home: Home,
    pub(crate) ca: Ca,
    pub(crate) live: Arc<LiveCert>,
    pub(crate) first: Issued,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) socket: Option<Socket>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::naming(&["site.example"])
    }

    pub(crate) fn naming(names: &[&str]) -> Self {
        let (home, ca) = (Home::new(), Ca::new());
        let first = ca.issue(names);
        let live = live(&[("site", &home.put("site", &first))]);
        let config = server(&live);
        let settings = SocketSettings::at(home.path("socket")).server("tests");
        let socket = Some(live.listen(settings).unwrap());
        Self { home, ca, live, first, config, socket }
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::at(&self.home.path("socket"))
    }

    /// Has a pair prepared that was written into `folder`.
    pub(crate) fn prepare(&self, folder: &str, issued: &Issued) -> Value {
        let folder = self.home.put(folder, issued);
        self.agent().ask(prepare_of("site", &folder))
    }

    /// The certificate a client of the CA is shown for the name, in a handshake that ends well.
    pub(crate) fn shown(&self, name: &str) -> CertificateDer<'static> {
        let shaken = shake(&self.ca.client(), &self.config, name);
        shaken.client.unwrap();
        shaken.server.unwrap();
        shaken.shown.unwrap()
    }
}

pub(crate) fn prepare_of(name: &str, folder: &Path) -> Value {
    let (cert, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
    json!({ "v": 1, "op": "prepare", "name": name, "cert": cert, "key": key })
}

pub(crate) fn live(folders: &[(&str, &Path)]) -> Arc<LiveCert> {
    let builder = LiveCert::builder().provider(provider());
    let builder =
        folders.iter().fold(builder, |builder, (name, path)| builder.folder(*name, *path));
    builder.build().unwrap()
}

pub(crate) fn server(live: &Arc<LiveCert>) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(live.clone());
    Arc::new(config)
}

/// How a handshake ended on both sides.
pub(crate) struct Shaken {
    pub(crate) client: Result<(), rustls::Error>,
    pub(crate) server: Result<(), rustls::Error>,
    /// The leaf the client was shown.
    pub(crate) shown: Option<CertificateDer<'static>>,
    pub(crate) connection: Connection,
}

/// Shakes hands in memory, as far as it goes.
pub(crate) fn shake(client: &ClientConfig, server: &Arc<ServerConfig>, name: &str) -> Shaken {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(Arc::new(client.clone()), name).unwrap();
    let mut client = Connection::from(client);
    let mut server = Connection::from(ServerConnection::new(server.clone()).unwrap());
    let (mut client_ended, mut server_ended) = (Ok(()), Ok(()));
    while pass(&mut client, &mut server, &mut server_ended)
        | pass(&mut server, &mut client, &mut client_ended)
    {}
    let shown = client.peer_certificates().map(|chain| chain[0].clone().into_owned());
    Shaken { client: client_ended, server: server_ended, shown, connection: server }
}

fn pass(from: &mut Connection, to: &mut Connection, ended: &mut Result<(), rustls::Error>) -> bool {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() && ended.is_ok() {
        to.read_tls(&mut rest).unwrap();
        *ended = to.process_new_packets().map(drop);
    }
    !bytes.is_empty()
}

/// A peer at the socket.
pub(crate) struct Agent(BufReader<UnixStream>);

impl Agent {
    pub(crate) fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are; a server that has closed does not matter.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    /// The next line of the server, none when it has closed.
    pub(crate) fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            read => {
                read.unwrap();
                Some(serde_json::from_str(&line).unwrap())
            }
        }
    }

    pub(crate) fn ask(&mut self, request: Value) -> Value {
        self.send(format!("{request}\n").as_bytes());
        self.answer().expect("an answer")
    }

    /// Asks for what must be granted.
    pub(crate) fn get(&mut self, request: Value) -> Value {
        let answer = self.ask(request.clone());
        assert_eq!(answer["ok"], true, "{request}: {answer}");
        answer
    }

    /// Asks for what must be refused, and returns why.
    pub(crate) fn refused(&mut self, request: Value) -> String {
        let answer = self.ask(request.clone());
        assert_eq!(
            (&answer["ok"], &answer["v"]),
            (&json!(false), &json!(1)),
            "{request}: {answer}"
        );
        answer["error"].as_str().unwrap().to_owned()
    }
}

/// Waits for what must come about soon.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: not in time");
        std::thread::yield_now();
    }
}
