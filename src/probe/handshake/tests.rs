//! Handshakes with real servers on loopback.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::model::host_port::HostPort;
use crate::ports::free_ports;
use crate::probe::sample::{Credentials, LIMIT, OpenSsl, name, serve, to};

/// A handshake that begins at once.
async fn handshake(
    at: &HostPort,
    server_name: Option<&Identifier>,
    limit: Duration,
) -> Result<Sight, ProbeError> {
    let endpoint = Endpoint { protocol: Protocol::Tls, at: at.clone(), names: Vec::new() };
    super::handshake(&endpoint, server_name, limit).await
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
    assert!(matches!(error, ProbeError::Name(LookError::Wildcard { .. })));
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
    let [nobody] = free_ports();
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, nobody));
    let silent = StdListener::bind("127.0.0.1:0").unwrap();
    let live = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), at.port());
    let peers = [closed, silent.local_addr().unwrap(), live];
    let name = ServerName::try_from("a.example").unwrap();
    let deadline = Instant::now() + Duration::from_secs(4);
    let served = first_of(Protocol::Tls, &peers, &name, deadline).await.unwrap();
    assert_eq!(served.peer, live);

    let soon = Instant::now() + Duration::from_secs(1);
    let tried = first_of(Protocol::Tls, &peers[..2], &name, soon).await.unwrap_err();
    assert_eq!(tried.iter().map(|attempt| attempt.peer).collect::<Vec<_>>(), peers[..2]);
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let [port] = free_ports();
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
