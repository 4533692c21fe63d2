//! Handshakes with real servers on loopback.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// A self-signed certificate that expired long ago: nobody but the probe would take it.
struct Credentials {
    cert: rcgen::Certificate,
    key: KeyPair,
}

impl Credentials {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["other.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 2, 1);
        Self { cert: params.self_signed(&key).unwrap(), key }
    }

    fn server(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.cert.der().clone()], key)
            .unwrap()
    }

    fn write(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        write(&cert, &self.cert.pem());
        write(&key, &self.key.serialize_pem());
        (cert, key)
    }
}

#[allow(clippy::disallowed_methods, reason = "the test's own server reads these files")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Serves one rustls connection after the other; the names that were asked for are sent out.
async fn serve(config: ServerConfig) -> (HostPort, tokio::sync::mpsc::Receiver<Option<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = to(&listener.local_addr().unwrap().to_string());
    let (names, asked) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let name = tls.get_ref().1.server_name().map(str::to_owned);
                names.send(name).await.unwrap();
                let _ = tls.read(&mut [0; 1]).await;
            }
        }
    });
    (at, asked)
}

fn to(text: &str) -> HostPort {
    HostPort::parse(text).unwrap()
}

fn name(text: &str) -> Identifier {
    Identifier::parse(text).unwrap()
}

/// `openssl s_server` on a port of its choice, ended when dropped.
struct OpenSsl {
    process: Child,
    at: HostPort,
    _dir: TempDir,
}

impl OpenSsl {
    async fn start(credentials: &Credentials, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = credentials.write(dir.path());
        let process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "9", "-cert"])
            .arg(cert)
            .arg("-key")
            .arg(key)
            .args(arguments)
            // Held open, as the server ends a connection at the end of its own input.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, at: to("127.0.0.1:1"), _dir: dir };
        let (found, port) = oneshot::channel();
        let stdout = server.process.stdout.take().unwrap();
        // Read to the end on a thread of its own, so that the server never waits for its reader.
        std::thread::spawn(move || {
            use std::io::{BufRead, BufReader};
            let mut found = Some(found);
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(at) = line.strip_prefix("ACCEPT ")
                    && let Some(found) = found.take()
                {
                    let _ = found.send(at.to_owned());
                }
            }
        });
        server.at = to(&timeout(LIMIT, port).await.unwrap().unwrap());
        server
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn any_certificate_is_shown() {
    let credentials = Credentials::new();
    let mut config = credentials.server();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (at, mut asked) = serve(config).await;
    let served = handshake(&at, None, LIMIT).await.unwrap();
    assert_eq!(served.chain, [credentials.cert.der().clone()]);
    assert_eq!(served.protocol, "TLSv1.3");
    assert_eq!(served.alpn.as_deref(), Some("http/1.1"));
    assert_eq!(served.group.as_deref(), Some("X25519"));
    assert_eq!(served.peer.to_string(), at.to_string());
    assert!(served.took > Duration::ZERO && served.took < LIMIT);
    assert_eq!(asked.recv().await, Some(None), "no SNI for an IP address");
}

#[tokio::test]
async fn the_name_asked_for_is_the_host_unless_given() {
    let (at, mut asked) = serve(Credentials::new().server()).await;
    handshake(&at, Some(&name("shop.example")), LIMIT).await.unwrap();
    assert_eq!(asked.recv().await, Some(Some("shop.example".to_owned())));

    let localhost = to(&format!("localhost:{}", at.port()));
    handshake(&localhost, None, LIMIT).await.unwrap();
    assert_eq!(asked.recv().await, Some(Some("localhost".to_owned())));

    let error = handshake(&at, Some(&name("*.example")), LIMIT).await.unwrap_err();
    assert!(matches!(error, ProbeError::ServerName { .. }));
}

#[tokio::test]
async fn a_server_of_another_protocol_is_asked_again_without_alpn() {
    let mut config = Credentials::new().server();
    config.alpn_protocols = vec![b"imap".to_vec()];
    let (at, mut asked) = serve(config).await;
    let served = handshake(&at, None, LIMIT).await.unwrap();
    assert_eq!(served.alpn, None);
    assert_eq!(asked.recv().await, Some(None));
}

#[tokio::test]
async fn openssl_in_both_protocols() {
    let credentials = Credentials::new();
    for (flag, protocol) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let server = OpenSsl::start(&credentials, &[flag, "-groups", "P-256"]).await;
        let served = handshake(&server.at, None, LIMIT).await.unwrap();
        assert_eq!(served.chain, [credentials.cert.der().clone()], "{flag}");
        assert_eq!((served.protocol, served.group.as_deref()), (protocol, Some("secp256r1")));
    }
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_seen_all_the_same() {
    let credentials = Credentials::new();
    for flag in ["-tls1_2", "-tls1_3"] {
        let server = OpenSsl::start(&credentials, &[flag, "-Verify", "1"]).await;
        let served = handshake(&server.at, None, LIMIT).await.unwrap();
        assert_eq!(served.chain, [credentials.cert.der().clone()], "{flag}");
    }
}

#[tokio::test]
async fn a_server_without_the_key_is_not_believed() {
    let (mine, other) = (Credentials::new(), Credentials::new());
    let key = PrivateKeyDer::try_from(other.key.serialize_der()).unwrap();
    let signing = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(vec![mine.cert.der().clone()], signing);
    let mut config = mine.server();
    config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    let (at, _asked) = serve(config).await;
    let error = handshake(&at, None, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn every_address_is_tried_and_none_takes_all_the_time() {
    let (at, _asked) = serve(Credentials::new().server()).await;
    let closed = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = StdListener::bind("127.0.0.1:0").unwrap();
    let live = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), at.port());
    let peers = [closed, silent.local_addr().unwrap(), live];
    let name = ServerName::try_from("a.example").unwrap();
    let deadline = Instant::now() + Duration::from_secs(4);
    let served = first_of(&peers, &name, deadline).await.unwrap();
    assert_eq!(served.peer, live);

    let soon = Instant::now() + Duration::from_millis(200);
    let tried = first_of(&peers[..2], &name, soon).await.unwrap_err();
    assert_eq!(tried.iter().map(|attempt| attempt.peer).collect::<Vec<_>>(), peers[..2]);
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = handshake(&to(&format!("127.0.0.1:{port}")), None, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_silent_or_chattering_server_does_not_hold_us_up() {
    let silent = StdListener::bind("127.0.0.1:0").unwrap();
    let at = to(&silent.local_addr().unwrap().to_string());
    let limit = Duration::from_millis(300);
    let begun = Instant::now();
    let error = handshake(&at, None, limit).await.unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    assert!(begun.elapsed() >= limit && begun.elapsed() < LIMIT);

    let plain = StdListener::bind("127.0.0.1:0").unwrap();
    let at = to(&plain.local_addr().unwrap().to_string());
    std::thread::spawn(move || {
        use std::io::Write;
        if let Ok((mut tcp, _)) = plain.accept() {
            let _ = tcp.write_all(b"220 mail.example ESMTP\r\n");
        }
    });
    let error = handshake(&at, None, LIMIT).await.unwrap_err();
    assert!(matches!(error, ProbeError::NoHandshake { .. }), "{error}");
}
