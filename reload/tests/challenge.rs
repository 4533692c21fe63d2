//! What a CA is shown that comes for a challenge.

use std::sync::Arc;

use acmeagent_reload::ACME_TLS_ALPN;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use serde_json::{Value, json};

use crate::support::{Issued, Shaken, Site, provider, shake};

#[test]
fn only_the_ca_is_shown_a_challenge_and_nothing_else() {
    let site = Site::new();
    let mut server = (*site.config).clone();
    server.alpn_protocols = vec![b"h2".to_vec(), ACME_TLS_ALPN.to_vec()];
    let server = Arc::new(server);
    let visit = |protocols: &[&[u8]], name: &str| shake(&visitor(protocols), &server, name);
    let shown = |shaken: Shaken| shaken.shown.unwrap();
    let (one, two) = (answer_to("site.example"), answer_to("two.example"));

    // Nothing is pending: not even the ordinary certificate.
    assert!(visit(&[ACME_TLS_ALPN], "site.example").client.is_err());

    let mut agent = site.agent();
    let mut put = |name: &str, issued: &Issued| {
        let folder = site.home.put(&format!("challenge-{name}"), issued);
        let (cert, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
        agent.get(json!({ "v": 1, "op": "challenge", "name": name, "cert": cert, "key": key }));
    };
    put("Site.Example", &one);
    put("two.example", &two);
    assert_eq!(shown(visit(&[ACME_TLS_ALPN], "site.example")), one.der());
    assert_eq!(shown(visit(&[ACME_TLS_ALPN], "two.example")), two.der());
    assert_eq!(shown(visit(&[ACME_TLS_ALPN], "whatever.example")), two.der());
    assert_eq!(shown(visit(&[], "site.example")), site.first.der());
    assert_eq!(shown(visit(&[b"h2"], "site.example")), site.first.der());
    assert_eq!(shown(visit(&[b"h2", ACME_TLS_ALPN], "site.example")), site.first.der());

    let handshake = site.live.begin(&server);
    let shaken = shake(&visitor(&[ACME_TLS_ALPN]), &handshake.config(), "two.example");
    assert!(handshake.is_challenge());
    handshake.completed(&shaken.connection);
    let counts = &site.live.stats("site").unwrap().certificates[0].counts;
    assert_eq!((counts.chosen, counts.completed), (3, 0));

    let clear = |fields: Value| site.agent().get(fields)["cleared"].clone();
    assert_eq!(clear(json!({ "v": 1, "op": "clear", "name": "two.example" })), 1);
    assert_eq!(shown(visit(&[ACME_TLS_ALPN], "two.example")), one.der());
    assert_eq!(clear(json!({ "v": 1, "op": "clear" })), 1);
    assert_eq!(clear(json!({ "v": 1, "op": "clear" })), 0);
    assert!(visit(&[ACME_TLS_ALPN], "site.example").client.is_err());
}

#[test]
fn a_challenge_with_the_key_of_another_is_refused() {
    let site = Site::new();
    let mixed = Issued { key: answer_to("b.example").key, ..answer_to("a.example") };
    let folder = site.home.put("mixed", &mixed);
    let (cert, key) = (folder.join("fullchain.pem"), folder.join("privkey.pem"));
    let why = site.agent().refused(
        json!({ "v": 1, "op": "challenge", "name": "a.example", "cert": cert, "key": key }),
    );
    assert!(why.contains("is not the key of"), "{why}");
}

/// A certificate as for tls-alpn-01 (RFC 8737, section 3).
fn answer_to(name: &str) -> Issued {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    Issued { cert: cert.pem(), key: key.serialize_pem() }
}

fn visitor(protocols: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// Looks at a certificate as a CA does for a challenge: not at its chain.
#[derive(Debug)]
struct Credulous;

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
        provider().signature_verification_algorithms.supported_schemes()
    }
}
