//! tls-alpn-01 by a TLS server of our own (RFC 8737, RFC 8738 §6).

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use super::listener::{Listener, Pending};
use super::{Listen, Solver, SolverError, ensure_provable};
use crate::model::challenge::{Challenge, ChallengeKind};
use crate::model::name::Identifier;

/// The protocol a CA asks for, and the only one spoken here (RFC 8737 §6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Answers `acme-tls/1` handshakes while a challenge is pending, and no other handshake.
pub(crate) struct TlsAlpn {
    listener: Listener<Arc<ServerConfig>>,
}

impl TlsAlpn {
    /// Opens nothing yet. Port 0 lets the kernel choose at each opening.
    pub(crate) fn new(listen: Listen, port: u16) -> Self {
        Self { listener: Listener::new(listen, port, converse) }
    }

    /// The port it listens on now; `None` while nothing is pending.
    pub(crate) fn port(&self) -> Option<u16> {
        self.listener.port()
    }
}

#[async_trait]
impl Solver for TlsAlpn {
    fn kind(&self) -> ChallengeKind {
        ChallengeKind::TlsAlpn01
    }

    async fn precheck(&self) -> Result<(), SolverError> {
        self.listener.precheck().await
    }

    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError> {
        ensure_provable(self.kind(), challenge)?;
        let config = config(challenge).map_err(|source| SolverError::Certificate {
            identifier: challenge.identifier.clone(),
            source,
        })?;
        self.listener.add(challenge, Arc::new(config)).await
    }

    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError> {
        self.listener.remove(challenge).await;
        Ok(())
    }
}

fn converse(pending: Arc<Pending<Arc<ServerConfig>>>, stream: TcpStream) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        // A visitor that breaks off or talks nonsense is no concern of ours.
        let _ = shake_hands(&pending, stream).await;
    })
}

async fn shake_hands(pending: &Pending<Arc<ServerConfig>>, stream: TcpStream) -> io::Result<()> {
    let started = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let Some(config) = chosen(pending, &started.client_hello()) else { return Ok(()) };
    // The handshake is the whole answer (RFC 8737 §3).
    started.into_stream(config).await?.shutdown().await
}

fn chosen(
    pending: &Pending<Arc<ServerConfig>>,
    hello: &ClientHello<'_>,
) -> Option<Arc<ServerConfig>> {
    if !hello.alpn()?.any(|protocol| protocol == ACME_TLS) {
        return None;
    }
    let asked = hello.server_name()?;
    let asked = asked.strip_suffix('.').unwrap_or(asked).to_ascii_lowercase();
    pending.newest(|identifier, _| server_name(identifier) == asked)
}

/// What a CA puts into SNI: the name, or the reverse name of an address (RFC 8738 §6).
fn server_name(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.as_str().to_owned(),
        Identifier::Ip(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(ip)) => {
            let octets = ip.octets();
            let nibbles = octets.iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

fn config(challenge: &Challenge) -> Result<ServerConfig, Box<dyn StdError + Send + Sync>> {
    let key = KeyPair::generate()?;
    let certificate = certificate(challenge, &key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Exactly what RFC 8737 §3 and RFC 8738 §6 ask for: one alternative name, the critical digest,
/// signed by itself. Its dates are fixed, for nobody judges them.
fn certificate(
    challenge: &Challenge,
    key: &KeyPair,
) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ACME challenge");
    params.subject_alt_names = vec![match &challenge.identifier {
        Identifier::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Identifier::Ip(ip) => SanType::IpAddress(*ip),
    }];
    let digest = challenge.key_authorization.digest();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    Ok(params.self_signed(key)?.der().clone())
}
