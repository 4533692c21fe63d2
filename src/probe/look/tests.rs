//! Looks at real servers on loopback.

use std::net::TcpListener as StdListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::probe::judge::cell::Seen;
use crate::probe::judge::flaws::{Expected, flaws};
use crate::probe::sample::{Ca, Credentials, LIMIT, OpenSsl, name, now, serve, write};

fn cell(protocol: Protocol, peer: &str, asked: &str) -> Cell {
    Cell { protocol, peer: peer.parse().unwrap(), name: name(asked) }
}

#[tokio::test]
async fn one_cell_is_asked_for_its_name() {
    let credentials = Credentials::new();
    let mut config = credentials.server();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (at, mut asked) = serve(config).await;
    let sight = look(&cell(Protocol::Tls, &at.to_string(), "a.example"), LIMIT).await.unwrap();
    assert_eq!(sight.fingerprint, Fingerprint::of(credentials.cert.der()));
    assert_eq!((sight.alpn.as_deref(), &sight.ocsp), (Some("h2"), &None));
    assert_eq!(asked.recv().await, Some(Some("a.example".to_owned())));
    look(&cell(Protocol::Tls, &at.to_string(), "192.0.2.1"), LIMIT).await.unwrap();
    assert_eq!(asked.recv().await, Some(None), "no SNI for an IP address");
    let wildcard = look(&cell(Protocol::Tls, &at.to_string(), "*.a.example"), LIMIT).await;
    assert!(matches!(wildcard, Err(LookError::Wildcard { .. })));
}

#[tokio::test]
async fn a_staple_is_kept_in_both_protocols() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.example"], |_| ());
    let dir = tempfile::tempdir().unwrap();
    let (staple, issuer) = (dir.path().join("staple"), dir.path().join("root.pem"));
    write(&issuer, root.cert().pem());
    // tryLater is the shortest of all responses.
    write(&staple, [0x30, 3, 0x0a, 1, 3]);
    let [staple, issuer] = [&staple, &issuer].map(|path| path.to_str().unwrap());
    for flag in ["-tls1_2", "-tls1_3"] {
        let arguments = [flag, "-status_file", staple, "-cert_chain", issuer];
        let server = OpenSsl::start(&leaf, &arguments).await;
        let cell = cell(Protocol::Tls, &server.at.to_string(), "a.example");
        let sight = look(&cell, LIMIT).await.unwrap();
        assert_eq!(sight.ocsp.as_deref(), Some(&[0x30, 3, 0x0a, 1, 3][..]), "{flag}");
        assert_eq!(sight.chain.len(), 2, "{flag}");
        let roots = root.roots();
        let expected = Expected { name: &cell.name, roots: Some(&roots), now: now() };
        let found = flaws(&sight, &expected);
        let why = "the stapled OCSP response only says tryLater";
        assert_eq!(found.values().collect::<Vec<_>>(), [why], "{flag}");
        let fingerprint = Fingerprint::of(leaf.cert.der());
        let seen = Seen::of(Ok(sight), &expected).to_string();
        assert_eq!(seen, format!("{fingerprint} - ocsp"), "{flag}");
    }
}

/// A server that hears and says lines by this script, then shakes hands.
async fn scripted(script: &'static [(&'static [u8], &'static [u8])]) -> (Credentials, String) {
    let credentials = Credentials::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(credentials.server()));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            for (heard, said) in script {
                let mut line = vec![0; heard.len()];
                tcp.read_exact(&mut line).await.unwrap();
                assert_eq!(line.escape_ascii().to_string(), heard.escape_ascii().to_string());
                tcp.write_all(said).await.unwrap();
            }
            let mut tls = acceptor.accept(tcp).await.unwrap();
            assert_eq!(tls.get_ref().1.alpn_protocol(), None);
            let _ = tls.read(&mut [0; 1]).await;
        }
    });
    (credentials, at)
}

#[tokio::test]
async fn tls_may_come_after_some_words() {
    let smtp: &[(&[u8], &[u8])] = &[
        (b"", b"220 mx.example\r\n"),
        (b"EHLO [127.0.0.1]\r\n", b"250-mx.example\r\n250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", b"220 go\r\n"),
    ];
    let imap: &[(&[u8], &[u8])] =
        &[(b"", b"* OK hello\r\n"), (b"a STARTTLS\r\n", b"* note\r\na OK go\r\n")];
    let postgres: &[(&[u8], &[u8])] = &[(b"\0\0\0\x08\x04\xd2\x16\x2f", b"S")];
    let table = [(Protocol::Smtp, smtp), (Protocol::Imap, imap), (Protocol::Postgres, postgres)];
    for (protocol, script) in table {
        let (credentials, at) = scripted(script).await;
        let sight = look(&cell(protocol, &at, "a.example"), LIMIT).await.unwrap();
        assert_eq!(sight.chain, [credentials.cert.der().clone()], "{protocol:?}");
        assert!(look(&cell(Protocol::Tls, &at, "a.example"), LIMIT).await.is_err());
    }
    // Words smuggled in before TLS are taken for TLS, and so for nothing.
    let (_, at) = scripted(&[(b"\0\0\0\x08\x04\xd2\x16\x2f", b"SSELECT 1\n")]).await;
    let error = look(&cell(Protocol::Postgres, &at, "a.example"), LIMIT).await.unwrap_err();
    assert!(matches!(error, LookError::Tls(_)), "{error}");
}

#[tokio::test]
async fn all_are_looked_at_in_order_and_in_time() {
    let credentials = Credentials::new();
    let (at, mut asked) = serve(credentials.server()).await;
    tokio::spawn(async move { while asked.recv().await.is_some() {} });
    let silent = StdListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let live = at.to_string();
    let cells = (0..60).map(|index| {
        cell(Protocol::Tls, if index % 2 == 0 { &silent } else { &live }, "a.example")
    });
    let (each, begun) = (Duration::from_secs(1), Instant::now());
    let seen = look_all(&cells.collect::<Vec<_>>(), each, 64).await;
    assert_eq!(seen.len(), 60);
    for (index, sight) in seen.iter().enumerate() {
        match sight {
            Ok(sight) => assert!(index % 2 == 1 && sight.peer.to_string() == live),
            Err(error) => assert!(matches!(error, LookError::Late), "{index}: {error}"),
        }
    }
    assert!(seen.iter().any(Result::is_ok));
    assert!(begun.elapsed() < LIMIT);
}
