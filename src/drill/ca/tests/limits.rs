//! Rate limits: what is counted, what is exempt, what is said.

use std::time::Duration;

use serde_json::{Value, json};

use super::Rig;
use super::client::{Answer, Client, Key, link};
use crate::model::time::{Clock, Timestamp};

const HOUR: u64 = 3600;

/// Passes when this is a refusal for `what`; returns how long it says to wait.
///
/// That is the time to the next refill and up to three hundredths more.
#[track_caller]
fn limited(answer: &Answer, what: &str, refill: u64, now: Timestamp) -> Duration {
    answer.refuses("rateLimited", 429);
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((refill..=refill + refill * 3 / 100 + 1).contains(&seconds), "{seconds} for {refill}");
    let wait = Duration::from_secs(seconds);
    let then = now.plus(wait).to_string().replace('T', " ").replace('Z', " UTC");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    let expected = format!(
        "too many {what}, retry after {then}: see https://letsencrypt.org/docs/rate-limits/#"
    );
    assert!(detail.starts_with(&expected), "{detail}");
    let help = link(&answer.headers, "help");
    assert_eq!(help.as_deref(), Some("https://letsencrypt.org/docs/rate-limits"));
    wait
}

#[tokio::test]
async fn orders_are_counted_by_account_and_renewals_are_not() {
    let rig = Rig::new().await;
    let ca =
        rig.start_behaving("[limits]\nnew_orders_per_account = { burst = 3, per = \"3h\" }").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    client.issue(&["a.example"], json!({}), &rig.solver).await;
    // A refused request does not count.
    client.order(&["*.b.example"], json!({})).await.refuses("rejectedIdentifier", 400);
    for name in ["b.example", "c.example"] {
        assert_eq!(client.order(&[name], json!({})).await.status, 201);
    }
    let refused = client.order(&["d.example"], json!({})).await;
    let now = rig.clock.now();
    let what = "new orders (3) from this account in the last 3h0m0s";
    let wait = limited(&refused, what, HOUR, now);
    assert_eq!(other.order(&["d.example"], json!({})).await.status, 201);
    assert_eq!(client.order(&["a.example"], json!({})).await.status, 201, "a renewal");
    rig.clock.advance(Duration::from_secs(HOUR - 1));
    client.order(&["d.example"], json!({})).await.refuses("rateLimited", 429);
    rig.clock.advance(wait - Duration::from_secs(HOUR - 1));
    assert_eq!(client.order(&["d.example"], json!({})).await.status, 201);
    client.order(&["e.example"], json!({})).await.refuses("rateLimited", 429);
}

#[tokio::test]
async fn certificates_are_counted_by_domain_and_by_set_also_after_a_restart() {
    let rig = Rig::new().await;
    let toml = "[limits]\n\
        certificates_per_domain = { burst = 1, per = \"7d\" }\n\
        certificates_per_set = { burst = 2, per = \"4d\" }";
    let ca = rig.start_behaving(toml).await;
    let client = Client::registered(&ca, Key::p256()).await;
    // Orders do not count, certificates do.
    for _ in 0..3 {
        assert_eq!(client.order(&["www.a.example"], json!({})).await.status, 201);
    }
    client.issue(&["www.a.example"], json!({}), &rig.solver).await;
    let of_domain = "certificates (1) already issued for \"a.example\" in the last 168h0m0s";
    let of_set =
        "certificates (2) already issued for this exact set of identifiers in the last 96h0m0s";
    let refused = client.order(&["shop.a.example", "b.example"], json!({})).await;
    limited(&refused, of_domain, 7 * 24 * HOUR, rig.clock.now());
    assert_eq!(client.order(&["b.example"], json!({})).await.status, 201);
    // A renewal may meet the limit of its set, and does not count for its domain.
    client.issue(&["www.a.example"], json!({}), &rig.solver).await;
    ca.shutdown().await;

    let ca = rig.start_behaving(toml).await;
    let client = Client::registered(&ca, client.key).await;
    let refused = client.order(&["www.a.example"], json!({})).await;
    limited(&refused, of_set, 2 * 24 * HOUR, rig.clock.now());
    rig.clock.advance(Duration::from_secs(7 * 24 * HOUR));
    assert_eq!(client.order(&["shop.a.example"], json!({})).await.status, 201);
    assert_eq!(client.order(&["www.a.example"], json!({})).await.status, 201);
}

#[tokio::test]
async fn renewal_on_advice_is_exempt_within_the_window_only() {
    let rig = Rig::new().await;
    let ca =
        rig.start_behaving("[limits]\ncertificates_per_set = { burst = 1, per = \"30d\" }").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let short = json!({ "profile": "shortlived" });
    let issued = client.issue(&["a.example"], short, &rig.solver).await;
    let advised = json!({ "profile": "shortlived", "replaces": issued.cert_id() });
    // The window is from 78 h 24 min to 81 h 36 min less a second, of which an hour is past.
    let window = (77 * HOUR + 24 * 60 - 1, 80 * HOUR + 36 * 60 - 1);
    let start = rig.clock.now();
    let at = async |seconds: u64, status: u16| {
        let to = start.plus(Duration::from_secs(seconds));
        rig.clock.advance(to.since(rig.clock.now()));
        let answer = client.order(&["a.example"], advised.clone()).await;
        assert_eq!(answer.status, status, "{seconds}: {answer:?}");
        if status == 201 {
            let authorization = answer.json()["authorizations"][0].as_str().unwrap().to_owned();
            client.post(&authorization, &json!({ "status": "deactivated" })).await;
        }
    };
    at(0, 429).await;
    at(window.0 - 1, 429).await;
    at(window.0, 201).await;
    at(window.1 - 1, 201).await;
    at(window.1, 429).await;
}

#[tokio::test]
async fn failed_authorizations_are_counted_until_one_is_held() {
    let rig = Rig::new().await;
    let ca =
        rig.start_behaving("[limits]\nfailed_authorizations = { burst = 2, per = \"1h\" }").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    let held = client.order(&["b.example"], json!({})).await.json();
    client.prove(&held, &rig.solver).await;
    for name in ["a.example", "b.example"] {
        for _ in 0..2 {
            let order = client.order(&[name], json!({})).await;
            assert_eq!(order.status, 201, "{order:?}");
            client.fail(&order.json()).await;
        }
    }
    let refused = client.order(&["a.example", "c.example"], json!({})).await;
    let what = "failed authorizations (2) for \"a.example\" in the last 1h0m0s";
    limited(&refused, what, HOUR / 2, rig.clock.now());
    assert_eq!(client.order(&["b.example"], json!({})).await.status, 201, "it is held");
    assert_eq!(client.order(&["c.example"], json!({})).await.status, 201);
    assert_eq!(other.order(&["a.example"], json!({})).await.status, 201);
    rig.clock.advance(Duration::from_secs(HOUR / 2));
    assert_eq!(client.order(&["a.example"], json!({})).await.status, 201);
}

#[tokio::test]
async fn accounts_are_counted_by_address_and_known_ones_are_not() {
    let rig = Rig::new().await;
    let ca = rig
        .start_behaving("[limits]\nnew_registrations_per_ip = { burst = 1, per = \"3h\" }")
        .await;
    let client = Client::registered(&ca, Key::p256()).await;
    let agreed = json!({ "termsOfServiceAgreed": true });
    let mut other = Client::new(&ca, Key::p256()).await;
    let refused = other.post(&other.url("newAccount"), &agreed).await;
    let what = "new registrations (1) from this IP address in the last 3h0m0s";
    limited(&refused, what, 3 * HOUR, rig.clock.now());
    let known = Client::registered(&ca, client.key).await;
    assert_eq!(known.kid, client.kid);
    rig.clock.advance(Duration::from_secs(3 * HOUR));
    other.kid = None;
    assert_eq!(other.post(&other.url("newAccount"), &agreed).await.status, 201);
}

#[tokio::test]
async fn when_to_come_back_is_said_in_every_wrong_way_too() {
    type IsRight = fn(&str) -> bool;
    let table: [(&str, IsRight); 3] = [
        ("date", |said| Timestamp::parse_http_date(said).is_some()),
        ("negative", |said| said.starts_with("-1")),
        ("ten-years", |said| said == "315360000"),
    ];
    let answer = async |form: &str| {
        let rig = Rig::new().await;
        let toml = format!(
            "retry_after = \"{form}\"\n[limits]\nnew_orders_per_account = {{ burst = 1, per = \"3h\" }}"
        );
        let ca = rig.start_behaving(&toml).await;
        let client = Client::registered(&ca, Key::p256()).await;
        client.order(&["a.example"], json!({})).await;
        let refused = client.order(&["a.example"], json!({})).await;
        refused.refuses("rateLimited", 429);
        refused.headers.get("retry-after").map(|said| said.to_str().unwrap().to_owned())
    };
    for (form, is_right) in table {
        let said = answer(form).await.unwrap();
        assert!(is_right(&said), "{form}: {said}");
    }
    assert_eq!(answer("absent").await, None);
}

#[tokio::test]
async fn the_published_limits_hold_together() {
    let rig = Rig::new().await;
    let ca = rig.start_behaving("limits = \"letsencrypt\"").await;
    let client = Client::registered(&ca, Key::p256()).await;
    let mut refused: Option<Value> = None;
    for count in 0..=5 {
        let order = client.order(&["a.example"], json!({ "profile": "shortlived" })).await;
        if count < 5 {
            client.issue(&["a.example"], json!({}), &rig.solver).await;
        } else {
            refused = Some(order.json());
        }
    }
    let detail = refused.unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("(5) already issued for this exact set of identifiers"), "{detail}");
}
