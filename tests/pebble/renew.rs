//! Renewal when the CA says so (RFC 9773). The agent's clock is moved; Pebble's stays.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::pebble::{Pebble, Settings};

/// Pebble wants to be asked every six hours.
const NEXT_POLL: &str = "+7h";

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A CA, and an agent with a certificate of it.
fn issued() -> (Pebble, Agent) {
    loop {
        let pebble = Pebble::start(&Settings::default());
        let agent = pebble.agent();
        agent.run(&["issue", "-d", "a.example,b.example"]).exits(0);
        let id = agent.facts("a.example")["ari"]["cert_id"].as_str().unwrap().to_owned();
        let serial = BASE64URL_NOPAD.decode(id.split_once('.').unwrap().1.as_bytes()).unwrap();
        // Pebble finds none again whose number begins with a zero byte, which one of 256 does.
        if serial[0] != 0 {
            return (pebble, agent);
        }
    }
}

/// Suggests a window that lies this many hours from now.
fn suggest(pebble: &Pebble, agent: &Agent, from: i64, to: i64) {
    let edge = |hours| rfc3339(Utc::now() + Duration::hours(hours));
    pebble.set_window(&agent.read("live/a.example/cert.pem"), &edge(from), &edge(to));
}

fn only((ran, document): (Ran, Value)) -> Value {
    let ran = ran.exits(0);
    assert_eq!(document["certificates"].as_array().unwrap().len(), 1, "{ran:?}");
    document["certificates"][0].clone()
}

#[test]
fn a_window_in_the_past_means_now() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl", "faketime");
    let (pebble, agent) = issued();
    suggest(&pebble, &agent, -48, -24);

    let (ran, document) = agent.json(&["renew"]);
    let ran = ran.exits(0);
    assert_eq!(document["certificates"].as_array().unwrap().len(), 0, "asked too early: {ran:?}");
    assert_eq!(pebble.orders(), 1);

    let renewed = only(agent.json_at(NEXT_POLL, &["renew"]));
    assert_eq!(renewed["outcome"], "renewed");
    assert_eq!(renewed["generation"], 2);
    assert_eq!(renewed["ari_exempt"], false, "it came after the window");
    assert_eq!((pebble.orders(), pebble.replacements()), (2, 1), "{}", pebble.log());
    assert!(pebble.log().contains("has been marked as replaced"), "{}", pebble.log());
    agent.assert_live_pair("a.example");

    let (ran, _) = agent.json_at(NEXT_POLL, &["renew"]);
    ran.exits(0);
    assert_eq!(pebble.orders(), 2, "once is enough");
}

#[test]
fn the_instant_drawn_in_the_window_is_hit_and_costs_nothing() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl", "faketime");
    let (pebble, agent) = issued();
    let edge = |seconds| rfc3339(Utc::now() + Duration::seconds(seconds));
    pebble.set_window(&agent.read("live/a.example/cert.pem"), &edge(8), &edge(40));

    // Asked by a clock that is ahead, and decided by the CA's.
    let looked = only(agent.json_at(NEXT_POLL, &["renew"]));
    assert_eq!(looked["outcome"], "not_due");
    assert_eq!(looked["next_renewal"]["source"], "ari");
    let instant = looked["next_renewal"]["at"].as_str().unwrap();
    let window = &looked["next_renewal"]["window"];
    assert!(window["start"].as_str().unwrap() <= instant, "{looked}");
    assert!(instant < window["end"].as_str().unwrap(), "{looked}");

    let renewed = only(agent.json(&["renew", "--max-wait", "1m"]));
    assert_eq!(renewed["outcome"], "renewed");
    assert_eq!(renewed["ari_exempt"], true);
    assert_eq!((pebble.orders(), pebble.replacements()), (2, 1), "{}", pebble.log());
}

#[test]
fn an_order_whose_replaces_is_refused_goes_through_without() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let (pebble, agent) = issued();
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(pebble.replacements(), 1);
    // As after a restore from a copy that did not know the second generation.
    for second in ["archive/a.example/0002", "live/a.example"] {
        std::fs::remove_dir_all(agent.path(second)).unwrap();
    }
    let ran = agent.run(&["renew", "--force"]).exits(0);
    ran.says(&["once more without `replaces`", "already has a replacement order"]);
    assert_eq!((pebble.orders(), pebble.replacements()), (3, 1), "{}", pebble.log());
    agent.assert_live_pair("a.example");
}

#[test]
fn unusable_advice_counts_as_none() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl", "faketime");
    let (pebble, agent) = issued();
    let leaf = agent.read("live/a.example/cert.pem");
    let polls = || pebble.log().matches("renewalInfo/ -> calling handler()").count();
    assert_eq!(polls(), 1, "once after the issue");
    let window = |start, end| json!({"suggestedWindow": {"start": start, "end": end}}).to_string();
    let table = [
        ("this is no JSON".to_owned(), "ari"),
        (window("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "ari"),
        // A window that is none for this certificate: it begins when that has long expired.
        (window("9999-01-01T00:00:00Z", "9999-01-02T00:00:00Z"), "lifetime"),
    ];
    for (asked, (answer, decides)) in table.iter().enumerate() {
        pebble.set_renewal_info(&leaf, answer);
        let looked = only(agent.json_at(NEXT_POLL, &["renew", "a.example"]));
        assert_eq!(polls(), 2 + asked, "{answer}");
        assert_eq!(looked["outcome"], "not_due", "{answer}");
        assert_eq!(looked["next_renewal"]["source"], *decides, "{answer}");
    }
    assert_eq!(pebble.orders(), 1);
}
