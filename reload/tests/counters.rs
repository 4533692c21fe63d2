//! How handshakes are counted that a server tells the end of.

use std::io;
use std::sync::Arc;

use acmeagent_reload::Counts;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ServerConfig};

use crate::support::{Ca, Shaken, Site, provider, shake};

fn observe(site: &Site, client: &ClientConfig) -> Shaken {
    let handshake = site.live.begin(&site.config);
    let shaken = shake(client, &handshake.config(), "site.example");
    match &shaken.server {
        Ok(()) => handshake.completed(&shaken.connection),
        Err(error) => handshake.failed(error),
    }
    shaken
}

fn counts(site: &Site) -> Counts {
    site.live.stats("site").unwrap().certificates[0].counts.clone()
}

#[test]
fn ends_are_told_apart() {
    let site = Site::new();
    assert!(!site.live.stats("site").unwrap().observed);
    for _ in 0..3 {
        observe(&site, &site.ca.client()).server.unwrap();
    }
    for _ in 0..2 {
        observe(&site, &Ca::new().client()).server.unwrap_err();
    }
    // One goes after its hello, one loses its connection, one never says hello.
    let handshake = site.live.begin(&site.config);
    let _ = shake(&site.ca.client(), &handshake.config(), "site.example");
    drop(handshake);
    let handshake = site.live.begin(&site.config);
    let _ = shake(&site.ca.client(), &handshake.config(), "site.example");
    handshake.failed(&io::Error::from(io::ErrorKind::ConnectionReset));
    drop(site.live.begin(&site.config));

    let counts = counts(&site);
    assert!(site.live.stats("site").unwrap().observed);
    assert_eq!((counts.chosen, counts.completed, counts.resumed), (7, 3, 0));
    assert_eq!(counts.failed.alerts.into_iter().collect::<Vec<_>>(), [("unknown_ca", 2)]);
    assert_eq!((counts.failed.tls, counts.failed.io, counts.failed.abandoned), (0, 1, 1));
    assert_eq!(counts.latency.count, 3);
    assert!(counts.latency.sum_us > 0);
}

#[test]
fn an_expired_or_misnamed_certificate_is_counted_by_its_alert() {
    let site = Site::naming(&["other.example"]);
    observe(&site, &site.ca.client()).server.unwrap_err();
    let alerts = counts(&site).failed.alerts;
    assert_eq!(alerts.values().sum::<u64>(), 1);
    assert!(alerts.keys().all(|name| *name != "other"), "{alerts:?}");
}

#[test]
fn a_client_the_server_refuses_is_no_alert() {
    let site = Site::new();
    let mut server = (*site.config).clone();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = site.ca.client();
    client.alpn_protocols = vec![b"gopher".to_vec()];
    let handshake = site.live.begin(&server);
    let error = shake(&client, &handshake.config(), "site.example").server.unwrap_err();
    handshake.failed(&io::Error::other(error));
    let failed = counts(&site).failed;
    assert_eq!((failed.tls, failed.alerts.len()), (1, 0));
}

#[test]
fn resumed_sessions_are_counted_apart() {
    for version in [&TLS12, &TLS13] {
        let site = Site::new();
        let client = site.ca.client_of(&[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let shaken = observe(&site, &client);
            assert_eq!(shaken.connection.handshake_kind(), Some(kind), "{version:?}");
        }
        let counts = counts(&site);
        assert_eq!((counts.chosen, counts.completed, counts.resumed), (3, 1, 2), "{version:?}");
        assert_eq!(counts.latency.count, 1, "{version:?}");
    }
}

#[test]
fn a_hello_asked_for_twice_counts_once() {
    let site = Site::new();
    let mut picky = (*provider()).clone();
    picky.kx_groups = vec![kx_group::SECP384R1];
    let picky = ServerConfig::builder_with_provider(Arc::new(picky))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(site.live.clone());
    let handshake = site.live.begin(&picky);
    let shaken = shake(&site.ca.client(), &handshake.config(), "site.example");
    let kind = shaken.connection.handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::FullWithHelloRetryRequest));
    handshake.completed(&shaken.connection);
    let counts = counts(&site);
    assert_eq!((counts.chosen, counts.completed), (1, 1));
}
