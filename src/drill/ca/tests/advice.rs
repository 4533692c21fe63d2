//! What the CA says of its own accord: when to renew and why, who is paused, which order is meant.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::Rig;
use super::client::{Answer, Client, Key};
use crate::model::time::{Clock, Timestamp};

async fn advice(client: &Client, cert_id: &str) -> Answer {
    let url = format!("{}/{cert_id}", client.url("renewalInfo"));
    client.send(Method::GET, &url, Vec::new()).await
}

/// The window of what should have been renewed already.
fn past(now: Timestamp) -> Value {
    let ago = |minutes: u64| now.minus(Duration::from_secs(minutes * 60));
    json!({ "start": ago(60), "end": ago(30) })
}

#[tokio::test]
async fn incidents_concern_what_was_issued_before_them() {
    let rig = Rig::new().await;
    let since = rig.clock.now().plus(Duration::from_secs(60));
    let toml = format!(
        "ari_retry_after = \"5m\"\n[[incident]]\nidentifiers = [\"a.example\"]\nsince = \"{since}\"\n\
         explanation_url = \"https://ca.example/1\""
    );
    let ca = rig.start_behaving(&toml).await;
    let client = Client::registered(&ca, Key::p256()).await;
    let one = client.issue(&["a.example", "b.example"], json!({}), &rig.solver).await;
    let two = client.issue(&["c.example"], json!({}), &rig.solver).await;
    let said = advice(&client, &one.cert_id()).await;
    assert_eq!(said.headers["retry-after"], "300");
    assert_eq!(said.json().get("explanationURL"), None);
    rig.clock.advance(Duration::from_secs(60));
    let said = advice(&client, &one.cert_id()).await.json();
    let now = rig.clock.now();
    let url = "https://ca.example/1";
    assert_eq!(said, json!({ "suggestedWindow": past(now), "explanationURL": url }));
    assert_eq!(advice(&client, &two.cert_id()).await.json().get("explanationURL"), None);
    rig.clock.advance(Duration::from_secs(60));
    let said = advice(&client, &one.cert_id()).await.json();
    assert_eq!(said["suggestedWindow"], past(rig.clock.now()), "it moves with the clock");

    let replaces = json!({ "replaces": one.cert_id() });
    let new = client.issue(&["a.example", "b.example"], replaces, &rig.solver).await;
    assert_eq!(advice(&client, &new.cert_id()).await.json().get("explanationURL"), None);

    // One certificate by its serial, then all of them.
    let serial = new.url.rsplit('/').next().unwrap();
    let event = json!({ "serials": [serial], "explanationURL": "https://ca.example/2" });
    assert_eq!(client.manage(&ca, "incident", Some(event)).await.status, 204);
    let said = advice(&client, &new.cert_id()).await.json();
    assert_eq!(said["explanationURL"], "https://ca.example/2");
    assert_eq!(advice(&client, &two.cert_id()).await.json().get("explanationURL"), None);
    let event = json!({ "explanation_url": "https://ca.example/3" });
    client.manage(&ca, "incident", Some(event)).await;
    let said = advice(&client, &two.cert_id()).await.json();
    assert_eq!(said["explanationURL"], "https://ca.example/3");
    let nothing = client.manage(&ca, "incident", Some(json!({}))).await;
    nothing.refuses("malformed", 400);
}

#[tokio::test]
async fn a_ca_may_have_no_renewal_information() {
    let rig = Rig::new().await;
    let ca = rig.start_behaving("ari = false").await;
    let client = Client::registered(&ca, Key::p256()).await;
    assert_eq!(client.directory.get("renewalInfo"), None);
    let issued = client.issue(&["a.example"], json!({}), &rig.solver).await;
    let url = ca.directory.replace("directory", &format!("renewal-info/{}", issued.cert_id()));
    client.send(Method::GET, &url, Vec::new()).await.refuses("malformed", 404);
    let order = client.order(&["a.example"], json!({ "replaces": issued.cert_id() })).await;
    assert_eq!((order.status, order.json().get("replaces")), (201, None));
}

#[tokio::test]
async fn lifetimes_are_told_and_kept() {
    let rig = Rig::new().await;
    let ca = rig.start_behaving("[profiles.shortlived]\nlifetime = \"100h\"").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let told = client.directory["meta"]["profiles"]["shortlived"].as_str().unwrap();
    assert!(told.starts_with("4 d 4 h, "), "{told}");
    let issued =
        client.issue(&["a.example"], json!({ "profile": "shortlived" }), &rig.solver).await;
    let leaf = issued.leaf();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let ends = leaf.validity().not_after.timestamp();
    assert_eq!(ends - leaf.validity().not_before.timestamp() + 1, 100 * 3600);
    let start = advice(&client, &issued.cert_id()).await.json()["suggestedWindow"]["start"].clone();
    assert_eq!(start, json!(Timestamp::from_unix(ends - 51 * 3600)));
}

#[tokio::test]
async fn what_is_being_ordered_is_not_ordered_again() {
    let rig = Rig::new().await;
    let ca = rig.start_behaving("order_reuse = true").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    let old = client.issue(&["a.example", "b.example"], json!({}), &rig.solver).await;
    let replaces = json!({ "replaces": old.cert_id() });
    let first = client.order(&["a.example", "b.example"], replaces.clone()).await;
    client.order(&["a.example", "b.example"], replaces).await.refuses("alreadyReplaced", 409);
    let again = client.order(&["b.example", "a.example"], json!({})).await;
    assert_eq!((again.status, again.location()), (201, first.location()));
    assert_eq!(again.json()["replaces"], old.cert_id());
    let elsewhere = [
        client.order(&["a.example"], json!({})).await,
        client.order(&["a.example", "b.example"], json!({ "profile": "tlsserver" })).await,
        other.order(&["a.example", "b.example"], json!({})).await,
    ];
    assert!(elsewhere.iter().all(|order| order.location() != first.location()));

    client.prove(&again.json(), &rig.solver).await;
    let ready = client.order(&["a.example", "b.example"], json!({})).await;
    assert_eq!((ready.location(), &ready.json()["status"]), (first.location(), &json!("ready")));
    rig.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let later = client.order(&["a.example", "b.example"], json!({})).await;
    assert_ne!(later.location(), first.location(), "that one has expired");
}

#[tokio::test]
async fn paused_identifiers_need_a_person() {
    let rig = Rig::new().await;
    let ca = rig.start_behaving("paused = [\"a.example\"]").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let refused = client.order(&["a.example", "b.example"], json!({})).await;
    refused.refuses("rateLimited", 429);
    assert_eq!(refused.headers.get("retry-after"), None);
    assert_eq!(super::client::link(&refused.headers, "help"), None);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    let (text, url) = detail.split_once("Please visit: ").unwrap();
    let for_a = "Your account is temporarily prevented from requesting certificates for a.example and possibly others. ";
    assert_eq!(text, for_a);
    assert!(url.starts_with(&ca.directory.replace("directory", "sfe/v1/unpause?jwt=")), "{url}");
    assert_eq!(client.order(&["b.example"], json!({})).await.status, 201);

    let both = json!({ "identifiers": ["b.example", "c.example"] });
    client.manage(&ca, "pause", Some(both)).await;
    let refused = client.order(&["a.example", "b.example", "d.example"], json!({})).await;
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(" for a.example, b.example and possibly others."), "{detail}");
    let names = json!({ "identifiers": ["a.example", "b.example"] });
    let left = client.manage(&ca, "unpause", Some(names)).await.json();
    assert_eq!(left, json!({ "paused": [{ "type": "dns", "value": "c.example" }] }));
    assert_eq!(client.order(&["a.example", "b.example"], json!({})).await.status, 201);

    let counted = client.manage(&ca, "requests", None).await.json();
    assert_eq!(counted["paths"]["new-order"], 4);
    assert_eq!(counted["newOrders"], json!({ "a.example": 3, "b.example": 4, "d.example": 1 }));
}
