//! tls-alpn-01 by a TLS server of our own (RFC 8737, RFC 8738 §6).

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, ServerConfig};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use zeroize::Zeroizing;

use super::listener::{Listener, Pending, Source};
use super::{Handed, Listen, Solver, SolverError, ensure_provable};
use crate::model::challenge::{ACME_TLS, Challenge, ChallengeKind, server_name};
use crate::model::name::Identifier;

/// Answers `acme-tls/1` handshakes while a challenge is pending, and no other handshake.
pub(crate) struct TlsAlpn {
    listener: Arc<Listener<Arc<ServerConfig>>>,
}

impl TlsAlpn {
    /// Opens nothing yet. Port 0 lets the kernel choose at each opening. Where sockets for that
    /// were handed over, they are used.
    pub(crate) fn new(listen: Listen, port: u16, handed: &Handed) -> Self {
        let own = || Arc::new(Listener::new(Source::Bind(listen, port), converse));
        Self { listener: handed.tls(listen, port).unwrap_or_else(own) }
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

    async fn precheck(&self, _: &[Identifier]) -> Result<(), SolverError> {
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

pub(super) fn converse(
    pending: Arc<Pending<Arc<ServerConfig>>>,
    stream: TcpStream,
) -> BoxFuture<'static, ()> {
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

/// The same answer for a server of others: certificate and key in PEM, in one file.
pub(crate) fn pem(challenge: &Challenge) -> Result<Zeroizing<String>, SolverError> {
    ensure_provable(ChallengeKind::TlsAlpn01, challenge)?;
    let make = || {
        let key = KeyPair::generate()?;
        let certificate = params(challenge)?.self_signed(&key)?;
        let key = Zeroizing::new(key.serialize_pem());
        Ok(Zeroizing::new(format!("{}{}", certificate.pem(), *key)))
    };
    make().map_err(|error: rcgen::Error| SolverError::Certificate {
        identifier: challenge.identifier.clone(),
        source: error.into(),
    })
}

fn config(challenge: &Challenge) -> Result<ServerConfig, Box<dyn StdError + Send + Sync>> {
    let key = KeyPair::generate()?;
    let certificate = params(challenge)?.self_signed(&key)?.der().clone();
    let key = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    // Unread by rustls, which would refuse the critical extension it does not know.
    let served = CertifiedKey::new(vec![certificate], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(served)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Exactly what RFC 8737 §3 and RFC 8738 §6 ask for: one alternative name, the critical digest,
/// to be signed by itself. Its dates are fixed, for nobody judges them.
fn params(challenge: &Challenge) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ACME challenge");
    params.subject_alt_names = vec![match &challenge.identifier {
        Identifier::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Identifier::Ip(ip) => SanType::IpAddress(*ip),
    }];
    let digest = challenge.key_authorization.digest();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::process::{Output, Stdio};
    use std::time::Duration;

    use data_encoding::HEXLOWER;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use tokio::io::AsyncReadExt;
    use tokio::process::Command;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    use super::super::sample::challenge;
    use super::*;

    const HERE: Listen = Listen::At(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
    const DIGEST: &str = "653471d42925d7eb4cd39a39cda8b34d3034c94cb90067ab78c8123560ba2e5f";

    /// Shakes hands as a CA would, with an implementation that is not ours.
    async fn s_client(port: u16, arguments: &[&str]) -> Output {
        Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    }

    /// The certificate that was served, if the protocol was agreed on.
    fn served(output: &Output) -> Option<CertificateDer<'static>> {
        let text = String::from_utf8_lossy(&output.stdout);
        text.contains("ALPN protocol: acme-tls/1")
            .then(|| CertificateDer::from_pem_slice(&output.stdout).unwrap())
    }

    /// Judges as the strictest CA does (RFC 8737 §3).
    fn assert_strict(der: &[u8], name: &GeneralName<'_>) {
        let (rest, certificate) = X509Certificate::from_der(der).unwrap();
        assert!(rest.is_empty());
        certificate.extensions_map().expect("no extension twice");
        assert_eq!(certificate.subject().as_raw(), certificate.issuer().as_raw());
        certificate.verify_signature(None).expect("signed by itself");
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names, std::slice::from_ref(name));
        let oid = x509_parser::der_parser::oid!(1.3.6.1.5.5.7.1.31);
        let extension = certificate.get_extension_unique(&oid).unwrap().unwrap();
        assert!(extension.critical);
        assert_eq!(HEXLOWER.encode(extension.value), format!("0420{DIGEST}"));
    }

    #[tokio::test]
    async fn the_certificate_is_what_the_strictest_ca_wants() {
        let reversed = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        let (v4, v6) = ([192, 0, 2, 10], [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let table = [
            ("A.Example", "a.example", GeneralName::DNSName("a.example")),
            ("192.0.2.10", "10.2.0.192.in-addr.arpa", GeneralName::IPAddress(&v4)),
            ("2001:db8::1", reversed, GeneralName::IPAddress(&v6)),
        ];
        let solver = TlsAlpn::new(HERE, 0, &Handed::default());
        for (identifier, ..) in &table {
            solver.present(&challenge("tls-alpn-01", identifier, TOKEN)).await.unwrap();
        }
        let port = solver.port().unwrap();
        for (_, server_name, name) in &table {
            for version in ["-tls1_2", "-tls1_3"] {
                let asked = ["-servername", server_name, "-alpn", "acme-tls/1", version];
                let output = s_client(port, &asked).await;
                assert_strict(&served(&output).expect("served"), name);
            }
        }
    }

    #[tokio::test]
    async fn only_the_right_question_is_answered() {
        let solver = TlsAlpn::new(HERE, 0, &Handed::default());
        solver.present(&challenge("tls-alpn-01", "a.example", TOKEN)).await.unwrap();
        let port = solver.port().unwrap();
        let table: [(&[&str], bool); 8] = [
            (&["-servername", "a.example", "-alpn", "acme-tls/1"], true),
            (&["-servername", "A.EXAMPLE", "-alpn", "acme-tls/1"], true),
            (&["-servername", "a.example", "-alpn", "h2,acme-tls/1"], true),
            (&["-servername", "a.example", "-alpn", "h2,http/1.1"], false),
            (&["-servername", "a.example"], false),
            (&["-servername", "b.example", "-alpn", "acme-tls/1"], false),
            (&["-noservername", "-alpn", "acme-tls/1"], false),
            (&["-servername", "a.example", "-alpn", "acme-tls/1", "-tls1_1"], false),
        ];
        for (asked, answered) in table {
            let output = s_client(port, asked).await;
            assert_eq!(served(&output).is_some(), answered, "{asked:?}: {output:?}");
            let sent = String::from_utf8_lossy(&output.stdout).contains("BEGIN CERTIFICATE");
            assert_eq!(sent, answered, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn the_newest_answer_for_a_name_counts() {
        let solver = TlsAlpn::new(HERE, 0, &Handed::default());
        let (old, new) = (
            challenge("tls-alpn-01", "a.example", "old"),
            challenge("tls-alpn-01", "a.example", TOKEN),
        );
        solver.present(&old).await.unwrap();
        solver.present(&new).await.unwrap();
        solver.clean_up(&old).await.unwrap();
        let asked = ["-servername", "a.example", "-alpn", "acme-tls/1"];
        let output = s_client(solver.port().unwrap(), &asked).await;
        assert_strict(&served(&output).unwrap(), &GeneralName::DNSName("a.example"));
        solver.clean_up(&new).await.unwrap();
        assert_eq!(solver.port(), None);
    }

    #[tokio::test]
    async fn validation_is_answered_through_a_flood() {
        let solver = TlsAlpn::new(HERE, 0, &Handed::default());
        solver.present(&challenge("tls-alpn-01", "a.example", TOKEN)).await.unwrap();
        let port = solver.port().unwrap();
        let mut stalled = Vec::new();
        for index in 0..600 {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            if index % 3 == 0 {
                // The beginning of a ClientHello; those turned away already cannot be written to.
                let _ = stream.write_all(&[22, 3, 1, 1, 0, 1]).await;
            }
            stalled.push(stream);
        }
        let asked = ["-servername", "a.example", "-alpn", "acme-tls/1"];
        let output = tokio::time::timeout(Duration::from_secs(10), s_client(port, &asked)).await;
        assert!(served(&output.expect("answered in time")).is_some());
    }

    #[tokio::test]
    async fn nonsense_ends_the_connection() {
        let solver = TlsAlpn::new(HERE, 0, &Handed::default());
        solver.present(&challenge("tls-alpn-01", "a.example", TOKEN)).await.unwrap();
        let address = (Ipv4Addr::LOCALHOST, solver.port().unwrap());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // An alert may come, then the end.
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
        assert!(!matches!(read.await.expect("ended in time"), Ok(length) if length > 7));
    }

    #[tokio::test]
    async fn a_wildcard_is_refused() {
        let solver = TlsAlpn::new(HERE, 0, &Handed::default());
        let error = solver.present(&challenge("tls-alpn-01", "*.a.example", TOKEN)).await;
        assert!(matches!(error, Err(SolverError::Unprovable { .. })));
    }
}
