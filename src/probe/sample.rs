//! Servers and certificates for the tests of this room.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Roots;
use crate::model::host_port::HostPort;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A self-signed certificate that expired long ago: nobody but the probe would take it.
pub(super) struct Credentials {
    pub(super) cert: rcgen::Certificate,
    pub(super) key: KeyPair,
}

impl Credentials {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["other.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 2, 1);
        Self { cert: params.self_signed(&key).unwrap(), key }
    }

    pub(super) fn server(&self) -> ServerConfig {
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
        write(&cert, self.cert.pem());
        write(&key, self.key.serialize_pem());
        (cert, key)
    }
}

#[allow(clippy::disallowed_methods, reason = "the test's own server reads these files")]
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
}

/// A CA that signs what a test asks for.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(super) fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(ca_params(name), key).unwrap())
    }

    pub(super) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(ca_params(name), key, &self.0).unwrap())
    }

    pub(super) fn issuer(&self) -> &CertifiedIssuer<'static, KeyPair> {
        &self.0
    }

    pub(super) fn cert(&self) -> &rcgen::Certificate {
        self.0.as_ref()
    }

    pub(super) fn roots(&self) -> Roots {
        Roots::parse(self.cert().pem().as_bytes()).unwrap()
    }

    /// Signs a certificate good for an hour before and a week after now, but for `change`.
    pub(super) fn leaf(
        &self,
        names: &[&str],
        change: impl Fn(&mut CertificateParams),
    ) -> Credentials {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (hours(-1), hours(168));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Credentials { cert: params.signed_by(&key, &self.0).unwrap(), key }
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

#[allow(clippy::disallowed_methods, reason = "openssl judges and signs by the real time")]
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix(since.as_secs().try_into().unwrap())
}

/// So many hours from now, as the maker of certificates wants it.
pub(super) fn hours(count: i64) -> time::OffsetDateTime {
    let now = time::OffsetDateTime::from_unix_timestamp(now().unix()).unwrap();
    now + time::Duration::hours(count)
}

/// Serves one rustls connection after the other; the names that were asked for are sent out.
pub(super) async fn serve(
    config: ServerConfig,
) -> (HostPort, tokio::sync::mpsc::Receiver<Option<String>>) {
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

pub(super) fn to(text: &str) -> HostPort {
    HostPort::parse(text).unwrap()
}

pub(super) fn name(text: &str) -> Identifier {
    Identifier::parse(text).unwrap()
}

/// `openssl s_server` on a port of its choice, ended when dropped.
pub(super) struct OpenSsl {
    process: Child,
    pub(super) at: HostPort,
    _dir: TempDir,
}

impl OpenSsl {
    pub(super) async fn start(credentials: &Credentials, arguments: &[&str]) -> Self {
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
