//! Outages, silence and lost answers, as a client meets them.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::Rig;
use super::client::{Client, Key, csr};
use crate::model::time::{Clock, Timestamp};

/// Long enough for an answer on loopback to arrive if one is coming.
const MOMENT: Duration = Duration::from_millis(300);
/// What does come may take so long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_outage_lasts_as_long_as_it_is_said_to() {
    let rig = Rig::new().await;
    let from = rig.clock.now().plus(Duration::from_secs(60));
    let to = from.plus(Duration::from_secs(60));
    let toml = format!("[[outage]]\nfrom = \"{from}\"\nto = \"{to}\"\nretry_after = \"2m\"");
    let ca = rig.start_behaving(&toml).await;
    let client = Client::registered(&ca, Key::p256()).await;
    rig.clock.advance(Duration::from_secs(59));
    assert_eq!(client.order(&["a.example"], json!({})).await.status, 201);
    rig.clock.advance(Duration::from_secs(1));
    for url in [ca.directory.clone(), client.url("newNonce")] {
        let refused = client.send(reqwest::Method::GET, &url, Vec::new()).await;
        refused.refuses("rateLimited", 503);
        assert_eq!(refused.json()["detail"], "Service busy; retry later.");
        assert_eq!(refused.headers["retry-after"], "120");
        assert_eq!(refused.headers.get("replay-nonce"), None);
    }
    assert_eq!(client.manage(&ca, "requests", None).await.status, 200);
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(client.order(&["a.example"], json!({})).await.status, 201);
}

#[tokio::test]
async fn an_outage_strikes_so_many_requests_of_the_paths_named() {
    let rig = Rig::new().await;
    let toml = "[[outage]]\npaths = [\"new-order\"]\ncount = 2\nanswer = \"503-html\"";
    let ca = rig.start_behaving(toml).await;
    let client = Client::registered(&ca, Key::p256()).await;
    for _ in 0..2 {
        let refused = client.order(&["a.example"], json!({})).await;
        assert_eq!((refused.status, refused.headers.get("retry-after")), (503, None));
        assert_eq!(refused.headers["content-type"], "text/html; charset=utf-8");
        assert!(refused.text.contains("<h1>503 Service Temporarily Unavailable</h1>"));
    }
    assert_eq!(client.order(&["a.example"], json!({})).await.status, 201);
    let counted = client.manage(&ca, "requests", None).await.json();
    // What the load balancer refused was never read.
    assert_eq!(counted["paths"]["new-order"], 3);
    assert_eq!(counted["newOrders"]["a.example"], 1);
}

#[tokio::test]
async fn silence_and_dripping_last_longer_than_anybody_waits() {
    let rig = Rig::new().await;
    let toml = "[[outage]]\npaths = [\"directory\"]\ncount = 1\nanswer = \"hang\"\n\
        [[outage]]\npaths = [\"directory\"]\ncount = 1\nanswer = \"drip\"";
    let ca = rig.start_behaving(toml).await;
    let http = super::client::http_client(&ca.tls_root);
    assert!(timeout(MOMENT, http.get(&ca.directory).send()).await.is_err(), "it hangs");
    let mut dripping = timeout(PATIENCE, http.get(&ca.directory).send()).await.unwrap().unwrap();
    assert_eq!(dripping.status(), 200);
    let first = timeout(PATIENCE, dripping.chunk()).await.unwrap().unwrap();
    assert_eq!(first.as_deref(), Some(b"{".as_slice()));
    assert!(timeout(MOMENT, dripping.chunk()).await.is_err(), "the next byte takes its time");
    assert_eq!(http.get(&ca.directory).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_lost_answer_leaves_a_certificate_behind() {
    let rig = Rig::new().await;
    let ca = rig.start_behaving("[[lose]]\npath = \"finalize\"\ncount = 1").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let answer = client.order(&["a.example"], json!({})).await;
    let order = answer.json();
    client.prove(&order, &rig.solver).await;
    let url = order["finalize"].as_str().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let payload = json!({ "csr": super::client::b64(csr(&["a.example"], &key)) });
    let body = client.key.jws(&client.header(url).await, &payload.to_string()).to_string();
    let request = client.http.post(url).header("content-type", "application/jose+json");
    let lost = timeout(PATIENCE, request.body(body).send()).await.expect("the end is seen");
    assert!(lost.is_err(), "{lost:?}");
    let order = client.fetch(&answer.location()).await.json();
    assert_eq!(order["status"], "valid");
    assert_eq!(client.fetch(order["certificate"].as_str().unwrap()).await.status, 200);
    let counted = client.manage(&ca, "requests", None).await.json();
    assert_eq!(counted["paths"]["finalize"], 1);
    // The next one arrives.
    client.issue(&["b.example"], json!({}), &rig.solver).await;
}

#[tokio::test]
async fn the_date_may_be_wrong() {
    for (offset, seconds) in [("+2h", 7200), ("-1d", -86_400)] {
        let rig = Rig::new().await;
        let ca = rig.start_behaving(&format!("date_offset = \"{offset}\"")).await;
        let client = Client::new(&ca, Key::p256()).await;
        let answer = client.send(reqwest::Method::GET, &ca.directory, Vec::new()).await;
        let said = Timestamp::parse_http_date(answer.headers["date"].to_str().unwrap()).unwrap();
        assert_eq!(said.unix() - rig.clock.now().unix(), seconds);
    }
}
