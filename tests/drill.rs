//! `drill ca --behaviour`: the agent before a CA that says no, or whose answers get lost.

use std::fs;

use chrono::TimeDelta;
use serde_json::json;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::clock::Clock;
use crate::support::network::Network;
use crate::support::nginx::Nginx;

#[test]
fn a_behaviour_that_is_not_understood_is_named_with_its_line() {
    let agent = Agent::new();
    let file = agent.path("behaviour.toml");
    let path = file.to_str().unwrap();
    let args = ["drill", "ca", "--behaviour", path];
    let _ = agent.run(&args).exits(2).says(&["cannot use", path, "No such file"]);
    fs::write(&file, "ari = false\nlimits = \"buypass\"\n").unwrap();
    let _ = agent.run(&args).exits(2).says(&[path, "line 2: unknown variant `buypass`"]);
}

#[test]
fn what_is_paused_is_issued_once_it_no_longer_is() {
    need!("curl");
    let ca = Ca::behaving("paused = [\"a.example\"]");
    let agent = ca.agent();
    let refused = agent.run(&["issue", "-d", "a.example"]).exits(2);
    assert!(!refused.stderr.contains("jwt"), "its address is half a secret: {refused:?}");
    let _ = refused.says(&["takes no orders for some of these names", "`acmeagent status`"]);
    let _ = agent.run(&["status"]).exits(0).shows(&["has paused a.example", "unpause?jwt="]);
    assert_eq!((ca.asked("a.example"), ca.issued()), (1, 0));
    ca.manage("unpause", Some(json!({ "identifiers": ["a.example"] })));
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    assert_eq!((ca.asked("a.example"), ca.issued()), (2, 1));
}

#[test]
fn redirects_are_followed_to_where_a_public_ca_would_go() {
    need!("nginx", "ip", "unshare", "nsenter");
    let Some(network) = Network::with(&[], "127.0.0.1") else { return };
    let ca = Ca::start_in(&network);
    let (http, tls) = (ca.http_port, ca.tls_port);
    // To another path, then to the other port, of which names know nothing.
    let servers = |folder: &str| {
        format!(
            "server {{ listen 127.0.0.1:{http};\n\
             location /.well-known/acme-challenge/ {{ return 301 /moved$uri; }}\n\
             location /moved/ {{ rewrite ^/moved(.*)$ http://$host:443$1 redirect; }} }}\n\
             server {{ listen 127.0.0.1:{tls}; root {folder}/html; }}\n"
        )
    };
    let nginx = Nginx::in_network(&network, servers);
    let (agent, root) = (ca.agent(), nginx.webroot.to_str().unwrap());
    let issue = ["issue", "-d", "a.example", "--challenge", "http-01", "--webroot", root];
    let _ = Ran::of(network.command(&agent.command(&issue)).output().unwrap()).exits(0);
    assert_eq!(ca.issued(), 1);
}

#[test]
fn a_pause_is_told_long_before_the_renewal_that_would_meet_it() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.agent();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    ca.manage("pause", Some(json!({ "identifiers": ["a.example"] })));
    let refused = agent.run(&["renew", "--force", "a.example"]).exits(2);
    // Nothing is due, so nothing is tried again in a minute.
    let planned = agent.facts("a.example")["next_renewal"]["at"].as_str().unwrap().to_owned();
    let next = format!("tries again from {planned}");
    let _ = refused.says(&["takes no orders", "valid until", &next]);
    let _ = agent.run(&["renew", "--plan"]).exits(0).shows(&["blocked  it has paused a.example"]);
    let doctor = agent.run(&["doctor"]);
    let advice = "visit the page that `acmeagent status` shows";
    assert!(doctor.stdout.contains("takes no order: it has paused a.example"), "{doctor:?}");
    assert!(doctor.stdout.contains(advice) && !doctor.stdout.contains("jwt"), "{doctor:?}");
}

#[test]
fn a_certificate_whose_announcement_was_lost_is_fetched_not_ordered_anew() {
    need!("curl", "openssl");
    let ca = Ca::behaving("[[lose]]\npath = \"finalize\"\ncount = 1");
    let agent = ca.agent();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(3);
    assert_eq!(ca.issued(), 1);
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    agent.assert_live_pair("a.example");
    assert_eq!((ca.asked("a.example"), ca.issued()), (1, 1));
}

#[test]
fn an_order_the_ca_has_nothing_to_say_of_is_given_up_after_a_day() {
    need!("curl", "faketime", "openssl");
    let clock = Clock::right();
    let later = |hours| (clock.now() + TimeDelta::hours(hours)).to_rfc3339();
    // Whatever is asked of the order left open, the database has lost it.
    let lost = |from: i64, to: i64| {
        let (from, to) = (later(from), later(to));
        format!("[[outage]]\nfrom = \"{from}\"\nto = \"{to}\"\npaths = [\"order\"]\ncount = 1\n")
    };
    let lose = "[[lose]]\npath = \"finalize\"\ncount = 1\n";
    let ca = Ca::by(&clock, &[lose, &lost(1, 2), &lost(25, 26)].concat());
    let agent = ca.agent().by(&clock);
    let issue = ["issue", "-d", "a.example"];
    let _ = agent.run(&issue).exits(3);
    clock.advance(TimeDelta::minutes(70));
    let _ = agent.run(&issue).exits(3).says(&["unavailable"]);
    assert_eq!(ca.asked("a.example"), 1, "it may be well again soon");
    clock.advance(TimeDelta::hours(24));
    let _ = agent.run(&issue).exits(0);
    agent.assert_live_pair("a.example");
    assert_eq!(ca.asked("a.example"), 2);
}
