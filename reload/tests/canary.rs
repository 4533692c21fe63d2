//! A certificate on trial: prepared, given to a share of the clients, kept or taken back.

use std::time::Duration;

use acmeagent_reload::Role;
use serde_json::json;

use crate::support::{Site, shake};

/// How many of so many clients are shown the prepared certificate.
fn share(site: &Site, hellos: u32) -> u64 {
    let chosen = || {
        let stats = site.live.stats("site").unwrap();
        let prepared = stats.certificates.iter().find(|one| one.role == Role::Prepared);
        prepared.unwrap().counts.chosen
    };
    let before = chosen();
    let client = site.ca.client();
    for _ in 0..hellos {
        // The choice is made with the hello; the rest would take longer and tell no more.
        let _ = shake(&client, &site.config, "site.example");
    }
    chosen() - before
}

#[test]
fn the_share_is_exact() {
    let site = Site::new();
    site.prepare("next", &site.ca.issue(&["site.example"]));
    assert_eq!(share(&site, 20), 0);
    for (percent, hellos, expected) in [(5, 1000, 50), (0, 100, 0), (100, 50, 50), (33, 200, 66)] {
        let canary = json!({ "v": 1, "op": "canary", "name": "site", "percent": percent });
        let answer = site.agent().get(canary);
        assert_eq!(answer["percent"], percent);
        assert_eq!(share(&site, hellos), expected, "{percent} %");
    }
}

#[test]
fn a_certificate_goes_its_way_to_all_clients_and_back() {
    let site = Site::new();
    let next = site.ca.issue(&["site.example", "more.example"]);
    let (first_print, next_print) = (site.first.fingerprint(), next.fingerprint());
    let mut agent = site.agent();
    let rollback = || json!({ "v": 1, "op": "rollback", "name": "site" });
    let commit =
        |print: &str| json!({ "v": 1, "op": "commit", "name": "site", "fingerprint": print });

    let prepared = site.prepare("next", &next);
    assert_eq!(prepared["state"], "prepared");
    assert_eq!(prepared["fingerprint"], *next_print);
    assert_eq!(prepared["names"], json!(["site.example", "more.example"]));
    assert_eq!(site.shown("site.example"), site.first.der());

    // Taken back before anybody saw it; once more changes nothing.
    for _ in 0..2 {
        assert_eq!(agent.get(rollback())["fingerprint"], *first_print);
    }
    assert!(agent.refused(commit(&next_print)).contains("nothing is prepared"));

    site.prepare("next", &next);
    assert!(agent.refused(commit(&first_print)).contains(&next_print));
    for _ in 0..2 {
        let committed = agent.get(commit(&next_print));
        assert_eq!(committed["fingerprint"], *next_print);
        assert_eq!(committed["previous"], *first_print);
    }
    assert_eq!(agent.get(json!({ "v": 1, "op": "commit", "name": "site" }))["ok"], true);
    assert_eq!(site.shown("more.example"), next.der());
    assert_eq!(site.prepare("next", &next)["state"], "active");

    for _ in 0..2 {
        assert_eq!(agent.get(rollback())["fingerprint"], *first_print);
        assert_eq!(site.shown("site.example"), site.first.der());
    }
    // What is active already need not be committed, but what was never prepared must not be.
    assert_eq!(agent.get(commit(&first_print))["previous"], json!(null));
    let without = json!({ "v": 1, "op": "commit", "name": "site" });
    assert!(agent.refused(without).contains("nothing is prepared"));
}

#[test]
fn a_new_trial_ends_the_way_back_to_the_last() {
    let site = Site::new();
    let (second, third) = (site.ca.issue(&["site.example"]), site.ca.issue(&["site.example"]));
    let mut agent = site.agent();
    site.prepare("second", &second);
    agent.get(json!({ "v": 1, "op": "commit", "name": "site" }));
    site.prepare("third", &third);
    for _ in 0..2 {
        let back = agent.get(json!({ "v": 1, "op": "rollback", "name": "site" }));
        assert_eq!(back["fingerprint"], second.fingerprint());
    }
}

#[test]
fn preparing_again_keeps_share_and_counters() {
    let site = Site::new();
    let next = site.ca.issue(&["site.example"]);
    site.prepare("next", &next);
    site.agent().get(json!({ "v": 1, "op": "canary", "name": "site", "percent": 100 }));
    site.shown("site.example");
    assert_eq!(site.prepare("again", &next)["state"], "prepared");
    let stats = site.agent().get(json!({ "v": 1, "op": "stats", "name": "site" }));
    let prepared = &stats["certificates"][1];
    assert_eq!(prepared["role"], "prepared");
    assert_eq!((&prepared["percent"], &prepared["chosen"]), (&json!(100), &json!(1)));
    // Another one takes its place and begins anew; the active one ends the trial.
    site.prepare("other", &site.ca.issue(&["site.example"]));
    let stats = site.agent().get(json!({ "v": 1, "op": "stats", "name": "site" }));
    let prepared = &stats["certificates"][1];
    assert_eq!((&prepared["percent"], &prepared["chosen"]), (&json!(0), &json!(0)));
    assert_eq!(site.prepare("first", &site.first)["state"], "active");
    let hello = site.agent().get(json!({ "v": 1, "op": "hello", "name": "site" }));
    assert_eq!(hello["certificates"][0]["prepared"], json!(null));
}

#[test]
fn no_client_is_given_a_certificate_without_its_name() {
    let site = Site::naming(&["site.example", "www.site.example"]);
    let mut agent = site.agent();
    let canary = || json!({ "v": 1, "op": "canary", "name": "site", "percent": 50 });
    site.prepare("less", &site.ca.issue(&["site.example"]));
    assert!(agent.refused(canary()).contains("www.site.example"));
    site.prepare("wild", &site.ca.issue(&["site.example", "*.site.example"]));
    agent.get(canary());
    for percent in [json!(101), json!(-1), json!(1.5), json!("5")] {
        let canary = json!({ "v": 1, "op": "canary", "name": "site", "percent": percent });
        agent.refused(canary);
    }
}

#[test]
fn nothing_goes_back_to_an_expired_certificate() {
    let site = Site::new();
    let short = site.ca.issue_for(&["site.example"], -1, 0);
    assert!(site.prepare("short", &short)["error"].as_str().unwrap().contains("expired"));
    let short = site.ca.issue_until(&["site.example"], Duration::from_secs(3));
    site.prepare("short", &short);
    let mut agent = site.agent();
    agent.get(json!({ "v": 1, "op": "commit", "name": "site" }));
    let next = site.ca.issue(&["site.example"]);
    site.prepare("next", &next);
    agent.get(json!({ "v": 1, "op": "commit", "name": "site" }));
    // Refused from the moment of expiry on; until then the way back is open.
    crate::support::eventually("the previous certificate expires", || {
        let hello = site.agent().get(json!({ "v": 1, "op": "hello" }));
        let not_after = hello["certificates"][0]["previous"]["not_after"].as_u64().unwrap();
        std::time::UNIX_EPOCH + Duration::from_secs(not_after) <= std::time::SystemTime::now()
    });
    let why = site.agent().refused(json!({ "v": 1, "op": "rollback", "name": "site" }));
    assert!(why.contains("expired"), "{why}");
    assert_eq!(site.shown("site.example"), next.der());
}
