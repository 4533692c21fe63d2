//! What outlives an order: renewal information, replacement, revocation, other processes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::super::{CaError, Settings, start};
use super::client::{Client, Issued, Key, b64};
use super::{Rig, Running};
use crate::model::time::{Clock, Timestamp};

async fn window(client: &Client, cert_id: &str) -> (Timestamp, Timestamp) {
    let url = format!("{}/{cert_id}", client.url("renewalInfo"));
    let answer = client.send(Method::GET, &url, Vec::new()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let retry_after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((17_280..=25_920).contains(&retry_after), "{retry_after}");
    let window = &answer.json()["suggestedWindow"];
    let at = |member: &str| Timestamp::parse(window[member].as_str().unwrap()).unwrap();
    (at("start"), at("end"))
}

pub(super) async fn revoke(
    client: &Client,
    issued: &Issued,
    reason: Value,
) -> super::client::Answer {
    let payload = json!({ "certificate": b64(issued.leaf()), "reason": reason });
    client.post(&client.url("revokeCert"), &payload).await
}

#[tokio::test]
async fn the_window_follows_life_management_and_revocation() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let issued =
        client.issue(&["a.example"], json!({ "profile": "shortlived" }), &rig.solver).await;
    let id = issued.cert_id();
    // An hour of the 78.4 and 81.6 has passed already when the certificate is issued.
    let opens = rig.clock.now().plus(Duration::from_secs(77 * 3600 + 24 * 60 - 1));
    let suggested = (opens, opens.plus(Duration::from_secs(192 * 60)));
    assert_eq!(window(&client, &id).await, suggested);

    let management = format!("{}/renewal-info", ca.management);
    let moved = json!({ "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z" });
    let body = json!({ "certID": id, "window": moved }).to_string().into_bytes();
    let answer = client.send(Method::POST, &management, body).await;
    assert_eq!(answer.json()["suggestedWindow"], moved, "{answer:?}");
    let (start, end) = window(&client, &id).await;
    assert_eq!(json!({ "start": start, "end": end }), moved);
    let body = json!({ "certID": id, "window": null }).to_string().into_bytes();
    client.send(Method::POST, &management, body).await;
    assert_eq!(window(&client, &id).await, suggested);
    let backwards = json!({ "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z" });
    let body = json!({ "certID": id, "window": backwards }).to_string().into_bytes();
    client.send(Method::POST, &management, body).await.refuses("malformed", 400);

    assert_eq!(revoke(&client, &issued, json!(4)).await.status, 200);
    rig.clock.advance(Duration::from_secs(60));
    let now = rig.clock.now();
    let ago = |minutes: u64| now.minus(Duration::from_secs(minutes * 60));
    assert_eq!(window(&client, &id).await, (ago(60), ago(30)));

    for (id, status) in [("x", 400), ("AA.AA", 400), ("AA.fw", 404), ("A=.fw", 400)] {
        let url = format!("{}/{id}", client.url("renewalInfo"));
        client.send(Method::GET, &url, Vec::new()).await.refuses("malformed", status);
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_once() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    let issued = client.issue(&["a.example", "b.example"], json!({}), &rig.solver).await;
    let replaces = json!({ "replaces": issued.cert_id() });
    let id = issued.cert_id();
    let (authority, _) = id.split_once('.').unwrap();
    let unknown = json!({ "replaces": format!("{authority}.fw") });
    let foreign = json!({ "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE" });
    client.order(&["a.example"], unknown).await.refuses("malformed", 404);
    client.order(&["a.example"], foreign).await.refuses("malformed", 404);
    client.order(&["a.example"], json!({ "replaces": "x" })).await.refuses("malformed", 400);
    client.order(&["c.example"], replaces.clone()).await.refuses("malformed", 400);
    other.order(&["a.example"], replaces.clone()).await.refuses("unauthorized", 403);

    // A pending replacement blocks, one that became invalid does not.
    let pending = client.order(&["a.example"], replaces.clone()).await;
    assert_eq!((pending.status, &pending.json()["replaces"]), (201, &replaces["replaces"]));
    let blocked = client.order(&["a.example"], replaces.clone()).await;
    blocked.refuses("alreadyReplaced", 409);
    let authorization = pending.json()["authorizations"][0].as_str().unwrap().to_owned();
    client.post(&authorization, &json!({ "status": "deactivated" })).await;
    assert_eq!(client.fetch(&pending.location()).await.json()["status"], "invalid");

    let renewed = client.issue(&["a.example"], replaces.clone(), &rig.solver).await;
    assert_eq!(renewed.order["replaces"], replaces["replaces"]);
    client.order(&["a.example"], replaces.clone()).await.refuses("alreadyReplaced", 409);
    ca.shutdown().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, client.key).await;
    client.order(&["a.example"], replaces).await.refuses("alreadyReplaced", 409);
    let next = json!({ "replaces": renewed.cert_id() });
    assert_eq!(client.order(&["a.example"], next).await.status, 201);
}

async fn revoked(ca: &Running) -> Vec<(String, Option<u8>)> {
    let url = ca.directory.replace("https://", "http://").replace("/directory", "/crl");
    let response = reqwest::Client::new().get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/pkix-crl");
    let der = response.bytes().await.unwrap();
    let (_, list) = CertificateRevocationList::from_der(&der).unwrap();
    let issuer = std::fs::read(ca.issuing_root.with_file_name("intermediate.pem")).unwrap();
    let issuer = x509_parser::pem::parse_x509_pem(&issuer).unwrap().1;
    list.verify_signature(issuer.parse_x509().unwrap().public_key()).unwrap();
    list.iter_revoked_certificates()
        .map(|one| (b64(one.raw_serial()), one.reason_code().map(|(_, reason)| reason.0)))
        .collect()
}

#[tokio::test]
async fn revocation_by_account_by_key_and_by_control() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    let mut issued = Vec::new();
    for _ in 0..3 {
        issued.push(client.issue(&["a.example"], json!({}), &rig.solver).await);
    }
    assert_eq!(revoked(&ca).await, []);
    for reason in [2, 6, 7, 8, 9, 10, 255] {
        revoke(&client, &issued[0], json!(reason)).await.refuses("badRevocationReason", 400);
    }
    revoke(&other, &issued[0], json!(0)).await.refuses("unauthorized", 403);
    assert_eq!(revoke(&client, &issued[0], json!(4)).await.status, 200);
    revoke(&client, &issued[0], json!(4)).await.refuses("alreadyRevoked", 400);

    let by_key = Client::new(&ca, Key::of_certificate(&issued[1].key)).await;
    revoke(&by_key, &issued[2], json!(0)).await.refuses("unauthorized", 403);
    assert_eq!(revoke(&by_key, &issued[1], json!(0)).await.status, 200);

    let order = other.order(&["a.example"], json!({})).await.json();
    other.prove(&order, &rig.solver).await;
    assert_eq!(revoke(&other, &issued[2], Value::Null).await.status, 200);

    let serial = |issued: &Issued| issued.cert_id().split_once('.').unwrap().1.to_owned();
    let mut expected = vec![
        (serial(&issued[0]), Some(4)),
        (serial(&issued[1]), Some(1)),
        (serial(&issued[2]), None),
    ];
    let mut found = revoked(&ca).await;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);

    let rubbish = json!({ "certificate": b64("rubbish") });
    client.post(&client.url("revokeCert"), &rubbish).await.refuses("malformed", 400);
    let mut stranger = issued[0].leaf();
    *stranger.last_mut().unwrap() ^= 1;
    let stranger = json!({ "certificate": b64(stranger) });
    client.post(&client.url("revokeCert"), &stranger).await.refuses("malformed", 404);
}

#[tokio::test]
async fn plain_http_serves_nothing_but_the_list() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let url = ca.directory.replace("https://", "http://");
    assert_eq!(reqwest::Client::new().get(url).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_later_process_is_the_same_ca() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let issued = client.issue(&["a.example"], json!({}), &rig.solver).await;
    let order = client.order(&["b.example"], json!({})).await.location();
    let roots = |ca: &Running| {
        [&ca.tls_root, &ca.issuing_root].map(|path| std::fs::read_to_string(path).unwrap())
    };
    let (before, directory) = (roots(&ca), ca.directory.clone());
    ca.shutdown().await;

    let ca = rig.start().await;
    assert_eq!((roots(&ca), &ca.directory), (before, &directory));
    let known = Client::new(&ca, client.key).await;
    let found = known.post(&known.url("newAccount"), &json!({ "onlyReturnExisting": true })).await;
    assert_eq!(Some(found.location()), client.kid);
    // Had another process taken the port, the account would still be known by its earlier URL.
    let port = directory.rsplit(':').next().unwrap().split('/').next().unwrap();
    let elsewhere = client.kid.as_ref().map(|kid| kid.replace(port, "1"));
    let by_earlier_url = Client { kid: elsewhere, ..known };
    assert_eq!(by_earlier_url.fetch(&issued.url).await.text, issued.chain);
    let client = Client { kid: client.kid, ..by_earlier_url };
    client.fetch(&order).await.refuses("malformed", 404);
    assert_eq!(client.fetch(&issued.url).await.text, issued.chain);
    window(&client, &issued.cert_id()).await;
    assert_eq!(revoke(&client, &issued, json!(1)).await.status, 200);
    assert_eq!(revoked(&ca).await.len(), 1);
    rig.clock.advance(Duration::from_secs(91 * 24 * 3600));
    assert_eq!(revoked(&ca).await.len(), 0);
}

/// Two CAs over one directory are one CA: each knows what the other issued, and no line is torn.
#[tokio::test]
async fn two_processes_share_a_directory() {
    let rig = Rig::new().await;
    let (one, two) = tokio::join!(start(rig.settings()), start(rig.settings()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.directory, two.directory);
    let clients =
        (Client::registered(&one, Key::p256()).await, Client::registered(&two, Key::p256()).await);
    assert_ne!(account_path(&clients.0), account_path(&clients.1));
    for _ in 0..8 {
        let (a, b) = tokio::join!(
            clients.0.issue(&["a.example"], json!({}), &rig.solver),
            clients.1.issue(&["b.example"], json!({}), &rig.solver),
        );
        // The other process knows it, although this one's account asked for it.
        window(&clients.1, &a.cert_id()).await;
        window(&clients.0, &b.cert_id()).await;
    }
    let ledger = std::fs::read_to_string(rig.dir.path().join("ca/ledger.jsonl")).unwrap();
    assert_eq!(ledger.lines().count(), 2 + 16);
    for line in ledger.lines() {
        serde_json::from_str::<super::super::ledger::Record>(line).unwrap();
    }
}

fn account_path(client: &Client) -> String {
    let kid = client.kid.as_ref().unwrap();
    kid.rsplit_once('/').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_torn_line_is_cut_off_and_damage_is_named() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    ca.shutdown().await;
    let path = rig.dir.path().join("ca/ledger.jsonl");
    let append = |text: &str| {
        let mut file = std::fs::File::options();
        #[allow(clippy::disallowed_methods, reason = "the test damages the file")]
        let mut file = file.append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    append("{\"account\":{\"id\":7");
    let ca = rig.start().await;
    let second = Client::registered(&ca, Key::p256()).await;
    assert_eq!(account_path(&second), "2");
    let client = Client { kid: client.kid.clone(), ..Client::new(&ca, client.key).await };
    assert_eq!(client.fetch(client.kid.as_ref().unwrap()).await.status, 200);
    ca.shutdown().await;
    append("rubbish\n");
    let refused = start(rig.settings()).await.err().unwrap();
    assert!(matches!(refused, CaError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn the_directory_is_private_and_the_address_loopback() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let _client = Client::registered(&ca, Key::p256()).await;
    let dir = rig.dir.path().join("ca");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let everywhere = Settings { listen: "0.0.0.0:0".parse().unwrap(), ..rig.settings() };
    let refused = start(everywhere).await.err().unwrap();
    assert!(matches!(refused, CaError::NotLoopback(_)), "{refused}");
}
