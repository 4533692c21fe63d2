//! Validation by tls-alpn-01 (RFC 8737; RFC 8738 §6 for addresses), as strictly as public CAs do it.

use std::net::IpAddr;
use std::sync::Arc;

use der::asn1::AnyRef;
use der::{Encode, Tag, TagNumber};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::asn1_rs::OctetString;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::any_certificate::client_config;
use super::problem::{Kind, Problem};
use crate::model::challenge::Challenge;
use crate::model::name::Identifier;

const PROTOCOL: &[u8] = b"acme-tls/1";
/// id-pe-acmeIdentifier
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";
/// id-ce-subjectAltName
const NAMES: &str = "2.5.29.17";

/// Shakes hands over `stream` and judges the certificate that is shown.
pub(super) async fn check(stream: TcpStream, challenge: &Challenge) -> Result<(), Problem> {
    let tls = |why: String| Problem::new(Kind::Tls, why);
    let name = ServerName::try_from(server_name(&challenge.identifier))
        .map_err(|why| tls(format!("the name cannot be sent as SNI: {why}")))?;
    let config = client_config(PROTOCOL).map_err(|why| Problem::internal(&why))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|why| tls(format!("the TLS handshake failed: {why}")))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(PROTOCOL) {
        return Err(tls("the server did not choose acme-tls/1".to_owned()));
    }
    let certificate = session.peer_certificates().and_then(|shown| shown.first());
    let Some(certificate) = certificate else {
        return Err(tls("the server showed no certificate".to_owned()));
    };
    judge(certificate, &challenge.identifier, challenge.key_authorization.digest())
        .map_err(|why| Problem::new(Kind::IncorrectResponse, why))
}

/// The name to ask for: the DNS name, or the address in the reverse zone (RFC 8738 §6).
///
/// Like everything in this CA written apart from the client's side: a shared mistake would not show.
fn server_name(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.as_str().to_owned(),
        Identifier::Ip(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(ip)) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// Whether the certificate answers the challenge (RFC 8737 §3), and if not, why.
fn judge(der: &[u8], identifier: &Identifier, digest: [u8; 32]) -> Result<(), String> {
    let (rest, certificate) = X509Certificate::from_der(der)
        .map_err(|why| format!("the certificate cannot be parsed: {why}"))?;
    if !rest.is_empty() {
        return Err("there are bytes behind the certificate".to_owned());
    }
    if certificate.subject().as_raw() != certificate.issuer().as_raw()
        || certificate.verify_signature(None).is_err()
    {
        return Err("the certificate is not self-signed".to_owned());
    }
    let extensions = certificate.extensions();
    for (index, extension) in extensions.iter().enumerate() {
        if extensions[..index].iter().any(|earlier| earlier.oid == extension.oid) {
            return Err(format!("the extension {} occurs twice", extension.oid));
        }
    }
    if !names_exactly(&certificate, identifier) {
        return Err(format!("the subject alternative name must be exactly {identifier}"));
    }
    let Some(proof) = extensions.iter().find(|one| one.oid.to_id_string() == ACME_IDENTIFIER)
    else {
        return Err("the extension acmeIdentifier is missing".to_owned());
    };
    if !proof.critical {
        return Err("the extension acmeIdentifier is not critical".to_owned());
    }
    match OctetString::from_der(proof.value) {
        Ok(([], found)) if *found.as_ref() == digest => Ok(()),
        _ => Err("the extension acmeIdentifier does not hold the expected digest".to_owned()),
    }
}

/// Whether the certificate names the identifier in the one right encoding, and nothing else.
fn names_exactly(certificate: &X509Certificate<'_>, identifier: &Identifier) -> bool {
    let names = certificate.extensions().iter().find(|one| one.oid.to_id_string() == NAMES);
    let wanted = alternative_name(identifier);
    names.is_some_and(|found| wanted.is_ok_and(|wanted| found.value == wanted))
}

/// The subject alternative name of one identifier, in DER (RFC 5280 §4.2.1.6).
fn alternative_name(identifier: &Identifier) -> der::Result<Vec<u8>> {
    let v4: [u8; 4];
    let v6: [u8; 16];
    let (number, bytes): (_, &[u8]) = match identifier {
        Identifier::Dns(name) => (TagNumber::N2, name.as_str().as_bytes()),
        Identifier::Ip(IpAddr::V4(ip)) => {
            v4 = ip.octets();
            (TagNumber::N7, &v4)
        }
        Identifier::Ip(IpAddr::V6(ip)) => {
            v6 = ip.octets();
            (TagNumber::N7, &v6)
        }
    };
    let tag = Tag::ContextSpecific { constructed: false, number };
    [AnyRef::new(tag, bytes)?].to_der()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, Issuer, KeyPair};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::version::{TLS12, TLS13};
    use rustls::{ServerConfig, SupportedProtocolVersion};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::model::challenge::{ChallengeKind, KeyAuthorization, Token};

    const DIGEST: [u8; 32] = [7; 32];

    fn identifier(text: &str) -> Identifier {
        Identifier::parse(text).unwrap()
    }

    fn params(names: &[&str], digest: &[u8]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        params
    }

    fn self_signed(params: &CertificateParams) -> Vec<u8> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_right_certificate_passes() {
        for name in ["a.example", "127.0.0.1", "::1"] {
            let der = self_signed(&params(&[name], &DIGEST));
            assert_eq!(judge(&der, &identifier(name), DIGEST), Ok(()), "{name}");
        }
    }

    #[test]
    fn every_rule_is_enforced() {
        let name = "a.example";
        let mut lax = params(&[name], &DIGEST);
        lax.custom_extensions[0].set_criticality(false);
        let mut twice = params(&[name], &DIGEST);
        twice.custom_extensions.push(CustomExtension::new_acme_identifier(&DIGEST));
        let mut none = params(&[name], &DIGEST);
        none.custom_extensions.clear();
        let mut bare = params(&[name], &DIGEST);
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 31];
        bare.custom_extensions = vec![CustomExtension::from_oid_content(&oid, DIGEST.to_vec())];
        bare.custom_extensions[0].set_criticality(true);
        let mut forged = self_signed(&params(&[name], &DIGEST));
        *forged.last_mut().unwrap() ^= 1;
        let long = self_signed(&named_by(&[0x30, 0x81, 11, 0x82, 9, b'a', b'.'], b"example"));
        let table = [
            (long, "must be exactly"),
            (self_signed(&lax), "not critical"),
            (self_signed(&twice), "occurs twice"),
            (self_signed(&none), "acmeIdentifier is missing"),
            (self_signed(&bare), "expected digest"),
            (self_signed(&params(&[name], &[8; 32])), "expected digest"),
            (self_signed(&params(&[name, "b.example"], &DIGEST)), "must be exactly"),
            (self_signed(&params(&["b.example"], &DIGEST)), "must be exactly"),
            (self_signed(&params(&["A.example"], &DIGEST)), "must be exactly"),
            (self_signed(&params(&["127.0.0.1"], &DIGEST)), "must be exactly"),
            (self_signed(&params(&[], &DIGEST)), "must be exactly"),
            (forged, "not self-signed"),
            (signed_by_another(name), "not self-signed"),
            (b"rubbish".to_vec(), "cannot be parsed"),
        ];
        for (der, why) in table {
            let verdict = judge(&der, &identifier(name), DIGEST).unwrap_err();
            assert!(verdict.contains(why), "{why}: {verdict}");
        }
    }

    /// Names itself by these bytes, whatever they are.
    fn named_by(head: &[u8], rest: &[u8]) -> CertificateParams {
        let mut params = params(&[], &DIGEST);
        let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], [head, rest].concat());
        params.custom_extensions.push(names);
        params
    }

    #[test]
    fn the_name_is_compared_by_its_bytes() {
        let der = self_signed(&named_by(&[0x30, 11, 0x82, 9, b'a', b'.'], b"example"));
        assert_eq!(judge(&der, &identifier("a.example"), DIGEST), Ok(()));
        let long = format!("{0}.{0}.a.example", "a".repeat(60));
        let der = self_signed(&params(&[&long], &DIGEST));
        assert_eq!(judge(&der, &identifier(&long), DIGEST), Ok(()));
    }

    fn signed_by_another(name: &str) -> Vec<u8> {
        let mut above = CertificateParams::default();
        above.distinguished_name.push(DnType::CommonName, "somebody else");
        let issuer = Issuer::new(above, KeyPair::generate().unwrap());
        let key = KeyPair::generate().unwrap();
        params(&[name], &DIGEST).signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn addresses_are_asked_for_in_the_reverse_zone() {
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        let table = [
            ("192.0.2.10", "10.2.0.192.in-addr.arpa"),
            ("2001:db8::1", v6),
            ("a.example", "a.example"),
        ];
        for (text, name) in table {
            assert_eq!(server_name(&identifier(text)), name);
        }
    }

    /// The handshake signature is checked by code of ours in TLS 1.2, and the key of the certificate
    /// need not be of the type we would choose.
    #[tokio::test]
    async fn both_versions_of_tls_and_all_key_types() {
        let token = Token::parse("token").unwrap();
        let key_authorization = KeyAuthorization::new(&token, "thumbprint");
        let digest = key_authorization.digest();
        let identifier = identifier("a.example");
        let challenge = Challenge {
            identifier,
            kind: ChallengeKind::TlsAlpn01,
            token,
            key_authorization,
            account: None,
        };
        let algorithms = [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_ED25519,
        ];
        for algorithm in algorithms {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = params(&["a.example"], &digest).self_signed(&key).unwrap();
            for version in [&TLS12, &TLS13] {
                let acceptor = acceptor(version, certificate.der().clone(), &key);
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let server = async { acceptor.accept(listener.accept().await.unwrap().0).await };
                let client =
                    async { check(TcpStream::connect(address).await.unwrap(), &challenge).await };
                let (_, verdict) = tokio::join!(server, client);
                assert!(verdict.is_ok(), "{version:?} {algorithm:?} {verdict:?}");
            }
        }
    }

    fn acceptor(
        version: &'static SupportedProtocolVersion,
        certificate: CertificateDer<'static>,
        key: &KeyPair,
    ) -> TlsAcceptor {
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(vec![certificate], key);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Arc::new(config).into()
    }
}
