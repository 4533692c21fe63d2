//! What every target must do, tried on its real server.

#![expect(clippy::disallowed_methods, reason = "sets the stage for tests")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Delivery, Target, TargetError};
use crate::certificate::Fingerprint;
use crate::model::file;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::proof::Proof;
use crate::model::traffic::Share;

/// Longer than any target may take over a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two generations of one certificate, as the store keeps them, and a live directory.
pub(crate) struct Rack {
    folder: TempDir,
    pub(crate) old: Delivery,
    pub(crate) new: Delivery,
}

impl Rack {
    /// Names them by the first identifier; the old one is live.
    pub(crate) fn new(identifiers: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As root, servers let their workers run as somebody else.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let [old, new] = [1, 2].map(|number| generation(folder.path(), identifiers, number));
        let rack = Self { folder, old, new };
        rack.switch(&rack.old);
        rack
    }

    /// An empty directory of the test's own.
    pub(crate) fn room(&self, name: &str) -> PathBuf {
        let room = self.folder.path().join(name);
        fs::create_dir_all(&room).unwrap();
        room
    }

    /// Puts a generation live as the store does: hard links in a new directory, exchanged whole.
    pub(crate) fn switch(&self, to: &Delivery) {
        let next = to.live_dir.with_file_name(".next");
        fs::create_dir_all(&next).unwrap();
        for name in file::ALL {
            fs::hard_link(to.archive_dir.join(name), next.join(name)).unwrap();
        }
        let _ = fs::remove_dir_all(&to.live_dir);
        fs::rename(&next, &to.live_dir).unwrap();
    }
}

fn generation(folder: &Path, identifiers: &[&str], number: u32) -> Delivery {
    let names: Vec<String> = identifiers.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let name = CertName::parse(identifiers[0]).unwrap();
    let archive_dir = folder.join(format!("archive/{name}/{number:04}"));
    fs::create_dir_all(&archive_dir).unwrap();
    let (leaf, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (file, text, mode) in [
        (file::CERT, leaf.as_str(), 0o644),
        (file::CHAIN, "", 0o644),
        (file::FULLCHAIN, &leaf, 0o644),
        (file::PRIVKEY, &key, 0o600),
        (file::META, "{}", 0o600),
    ] {
        fs::write(archive_dir.join(file), text).unwrap();
        fs::set_permissions(archive_dir.join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    Delivery {
        identifiers: identifiers.iter().map(|name| Identifier::parse(name).unwrap()).collect(),
        generation: Generation::new(number).unwrap(),
        fingerprint: Fingerprint::of(made.cert.der()),
        proof: Proof::default(),
        live_dir: folder.join(format!("live/{name}")),
        name,
        archive_dir,
    }
}

/// A target's server, as far as the suite must lay hands on it. It serves the old certificate.
#[async_trait]
pub(crate) trait Bed: Send {
    /// The leaf that clients get; without a server, that which lies where it was put.
    async fn served(&mut self) -> Option<Fingerprint>;

    /// Files and directories the target could change, beside the store's own.
    fn watched(&self) -> Vec<PathBuf>;

    /// Makes it unfit for any certificate.
    async fn damage(&mut self);

    async fn mend(&mut self);

    /// Makes it answer nothing; `false` where nothing is there that could hang.
    async fn hang(&mut self) -> bool;

    async fn resume(&mut self);
}

/// Fails where the target does not keep its contract.
pub(crate) async fn conforms(target: &impl Target, bed: &mut impl Bed, rack: &Rack) {
    let (old, new) = (&rack.old, &rack.new);
    let label = target.label().to_owned();
    assert!(!label.is_empty() && !label.contains(char::is_control), "{label:?}");
    assert_eq!(bed.served().await, Some(old.fingerprint), "before anything is done");

    let before = contents(rack, bed);
    bounded(target.stage(new)).await.expect("stage a good certificate on a good server");
    assert_eq!(contents(rack, bed), before, "stage changes no file");
    assert_eq!(bed.served().await, Some(old.fingerprint), "stage changes nothing served");

    bed.damage().await;
    let before = contents(rack, bed);
    let error = bounded(target.stage(new)).await.expect_err("a damaged server refuses at stage");
    check_error(&error);
    assert_eq!(contents(rack, bed), before, "a refusal changes no file");
    bed.mend().await;
    bounded(target.stage(new)).await.expect("stage on a server that was mended");

    rack.switch(new);
    for turn in ["once", "twice"] {
        bounded(target.activate(new, Share::ALL)).await.expect(turn);
        assert_eq!(bed.served().await, Some(new.fingerprint), "activated {turn}");
    }
    check_endpoints(target, new).await;
    bounded(target.stage(new)).await.expect("stage what is live already");

    rack.switch(old);
    for turn in ["once", "twice"] {
        bounded(target.restore(old)).await.expect(turn);
        assert_eq!(bed.served().await, Some(old.fingerprint), "restored {turn}");
    }

    if bed.hang().await {
        rack.switch(new);
        let error = bounded(target.activate(new, Share::ALL)).await;
        check_error(&error.expect_err("a server that hangs acknowledges nothing"));
        bed.resume().await;
        bounded(target.activate(new, Share::ALL)).await.expect("activate once it answers again");
        assert_eq!(bed.served().await, Some(new.fingerprint), "after it had hung");
    }
    assert_eq!(target.label(), label);
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("a target takes a bounded time")
}

/// Where the target says that clients meet it, they do.
async fn check_endpoints(target: &impl Target, delivery: &Delivery) {
    for endpoint in target.endpoints(delivery).await {
        let Identifier::Ip(ip) = endpoint.at.host() else { panic!("{endpoint} is no address") };
        let at = SocketAddr::new(*ip, endpoint.at.port());
        for name in endpoint.names.iter().filter(|name| !name.is_wildcard()) {
            let leaf = leaf_at(at, &name.to_string()).await;
            assert_eq!(leaf, Some(delivery.fingerprint), "{endpoint} for {name}");
        }
    }
}

#[track_caller]
fn check_error(error: &TargetError) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control) && !text.ends_with('.'), "{text:?}");
    let is_safe = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t');
    assert!(error.output().is_none_or(is_safe), "{error:?}");
}

/// Everything the target could change: mode, time and content by path.
fn contents(rack: &Rack, bed: &impl Bed) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let store = ["live", "archive"].map(|name| rack.folder.path().join(name));
    let mut found = BTreeMap::new();
    let mut open: Vec<_> = store.into_iter().chain(bed.watched()).collect();
    while let Some(path) = open.pop() {
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        let mut bytes = Vec::new();
        if facts.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if facts.is_file() {
            bytes = fs::read(&path).unwrap();
        }
        found.insert(path, (facts.mode(), facts.mtime_nsec(), bytes));
    }
    found
}

/// The leaf an address serves to whoever asks for `name`.
pub(crate) async fn leaf_at(at: SocketAddr, name: &str) -> Option<Fingerprint> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = timeout(Duration::from_secs(5), async {
        let tcp = TcpStream::connect(at).await?;
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    });
    let stream = shaken.await.ok()?.ok()?;
    let (_, session) = stream.get_ref();
    session.peer_certificates()?.first().map(|leaf| Fingerprint::of(leaf))
}

/// Takes any certificate.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
