//! How far the agent goes as the end of what is served comes nearer, and how it comes back.

use std::fs;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clock::Clock;
use crate::support::free_ports;

const NAME: &str = "a.example";

/// From now on, in hours of the clock: the 160 of a short-lived certificate begin an hour earlier.
fn outage(clock: &Clock, from: i64, to: i64, paths: &str) -> String {
    let time = |hours| {
        let at = clock.now() + TimeDelta::hours(hours);
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    format!("[[outage]]\nfrom = \"{}\"\nto = \"{}\"\npaths = [{paths}]\n", time(from), time(to))
}

/// Replaces part of a certificate's settings.
fn edit(agent: &Agent, name: &str, old: &str, new: &str) {
    let path = agent.path(&format!("certificates/{name}.toml"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(path, text.replace(old, new)).unwrap();
}

/// The one certificate as it stands.
#[track_caller]
fn status(agent: &Agent) -> Value {
    let (ran, document) = agent.json(&["status"]);
    ran.exits(0);
    document["certificates"][0].clone()
}

fn identifiers(agent: &Agent) -> Vec<String> {
    let status = status(agent);
    let names = status["identifiers"].as_array().unwrap().iter();
    names.map(|name| name["value"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn after_a_failure_another_challenge_type_comes_first() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, "");
    let agent = ca.limited_agent().by(&clock);
    let both = ["--challenge", "http-01", "--challenge", "tls-alpn-01"];
    let issue = ["issue", "-d", NAME, "--profile", "shortlived"];
    agent.run(&[&issue[..], &both].concat()).exits(0);
    // Answers where nobody asks.
    let [http, tls] = free_ports();
    edit(&agent, NAME, &ca.http_port.to_string(), &http.to_string());
    edit(&agent, NAME, &ca.tls_port.to_string(), &tls.to_string());
    clock.advance(TimeDelta::hours(82));
    let ran = agent.run(&["renew"]).exits(3);
    ran.says(&["http-01 failed for a.example", "a.example by tls-alpn-01"]);
    edit(&agent, NAME, &tls.to_string(), &ca.tls_port.to_string());
    clock.advance(TimeDelta::minutes(2));
    let ran = agent.run(&["renew"]).exits(0).shows(&["issued generation 2"]);
    assert!(!ran.stderr.contains("http-01"), "{ran:?}");
}

#[test]
fn the_next_ca_is_asked_when_half_of_the_time_is_gone_and_the_first_again_after() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let first = Ca::by(&clock, &outage(&clock, 70, 150, ""));
    let second = first.beside(&clock, "");
    let agent = Agent::new().with_ca(["--agree-tos"]).by(&clock);
    agent.knows([("first", &first), ("second", &second)]);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    clock.advance(TimeDelta::hours(82));
    agent.run(&["renew"]).exits(3).says(&["live: generation 1"]);
    assert_eq!(second.asked(NAME), 0, "there is time");
    clock.advance(TimeDelta::hours(39));
    let ran = agent.run(&["renew"]).exits(0).says(&["first: ", "trying the next CA"]);
    ran.shows(&["issued generation 2"]);
    assert_eq!((status(&agent)["ca"].as_str(), second.issued()), (Some("second"), 1));
    clock.advance(TimeDelta::hours(82));
    agent.run(&["renew"]).exits(0).shows(&["issued generation 3"]);
    assert_eq!((status(&agent)["ca"].as_str(), second.issued()), (Some("first"), 1));
}

#[test]
fn a_longer_profile_is_taken_when_a_third_of_the_time_is_left_and_left_again() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, &outage(&clock, 70, 140, "\"new-order\""));
    let agent = ca.limited_agent().by(&clock);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    clock.advance(TimeDelta::hours(138));
    let longer = "asking for the longer profile tlsserver";
    let ran = agent.run(&["renew"]).exits(3);
    assert!(!ran.stderr.contains(longer), "nothing has failed yet: {ran:?}");
    clock.advance(TimeDelta::hours(3));
    agent.run(&["renew"]).exits(0).says(&[longer]);
    let longer = status(&agent);
    assert_eq!(longer["profile"], "tlsserver");
    clock.advance_to(longer["next_renewal"]["at"].as_str().unwrap().parse().unwrap());
    agent.run(&["renew"]).exits(0).shows(&["issued generation 3"]);
    assert_eq!(status(&agent)["profile"], "shortlived");
}

#[test]
fn near_the_end_every_run_says_that_it_is_at_risk() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, &outage(&clock, 70, 1000, ""));
    let agent = ca.limited_agent().by(&clock);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    for (hours, code) in [(82, 3), (20, 3), (44, 8), (0, 8), (3, 8), (8, 8)] {
        clock.advance(TimeDelta::hours(hours));
        let ran = agent.run(&["renew"]).exits(code);
        ran.says(&["live: generation 1, valid until", "attempts are possible before"]);
    }
    clock.advance(TimeDelta::hours(4));
    let ran = agent.run(&["renew"]).exits(8).says(&["generation 1, which EXPIRED at"]);
    assert!(!ran.stderr.contains("before what is served expires"), "it has: {ran:?}");
}

/// Three names, of which the CA can no longer reach one.
fn with_a_bad_name(ca: &Ca, clock: &Clock) -> Agent {
    let agent = ca.limited_agent().by(clock);
    let names = "a.example,b.example,127.7.7.7";
    agent.run(&["issue", "-d", names, "--profile", "shortlived"]).exits(0);
    let port = format!("http-01-port = {}", ca.http_port);
    edit(&agent, NAME, &port, &format!("{port}\nhttp-01-address = \"127.0.0.1\""));
    clock.advance(TimeDelta::hours(82));
    let ran = agent.run(&["renew"]).exits(3).says(&["127.7.7.7 by http-01"]);
    assert!(!ran.stderr.contains("b.example by"), "one name is at fault: {ran:?}");
    assert_eq!(agent.generations(NAME), 1);
    agent
}

#[test]
fn one_bad_name_holds_up_the_others_unless_told_otherwise() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, "");
    let agent = with_a_bad_name(&ca, &clock);
    for hours in [39, 20, 5] {
        clock.advance(TimeDelta::hours(hours));
        let ran = agent.run(&["renew"]);
        assert!([3, 8].contains(&ran.code), "{ran:?}");
        ran.says(&["127.7.7.7 by http-01"]);
    }
    assert_eq!(ca.issued(), 1);
}

#[test]
fn a_bad_name_is_left_out_when_time_is_short_and_comes_back_by_itself() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, "");
    let agent = with_a_bad_name(&ca, &clock);
    edit(&agent, NAME, "profile", "on_bad_name = \"split\"\nprofile");
    clock.advance(TimeDelta::hours(10));
    agent.run(&["renew"]).exits(3).says(&["127.7.7.7 by http-01"]);
    assert_eq!(ca.issued(), 1, "there is time");
    clock.advance(TimeDelta::hours(29));
    let without = "issued without 127.7.7.7";
    let ran = agent.run(&["renew"]).exits(4).says(&[without]);
    ran.shows(&["issued generation 2"]);
    assert_eq!(identifiers(&agent), ["a.example", "b.example"]);
    assert!(agent.read("certificates/a.example.toml").contains("127.7.7.7"), "still wanted");
    for _ in 0..3 {
        clock.advance(TimeDelta::minutes(30));
        agent.run(&["renew"]).exits(4).says(&[without]);
    }
    // Tried again, in vain.
    clock.advance(TimeDelta::hours(5));
    agent.run(&["renew"]).exits(3).says(&["127.7.7.7 by http-01"]);
    edit(&agent, NAME, "http-01-address = \"127.0.0.1\"", "");
    clock.advance(TimeDelta::hours(7));
    agent.run(&["renew"]).exits(0).shows(&["issued generation 3"]);
    assert_eq!(identifiers(&agent).len(), 3);
    clock.advance(TimeDelta::hours(1));
    agent.run(&["renew"]).exits(0);
}

/// The CA says so itself, before anything is proven.
#[test]
fn a_name_the_ca_rejects_is_left_out_of_a_first_certificate_too() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, "");
    let agent = ca.limited_agent().by(&clock);
    agent.run(&["account", "register", "--ca", "corp", "--agree-tos"]).exits(0);
    fs::create_dir_all(agent.path("certificates")).unwrap();
    let text = format!(
        "identifiers = [\"a.example\", \"10.0.0.1\"]\nca = [\"corp\"]\non_bad_name = \"split\"\n\
         challenge = {{ http-01-port = {} }}\n",
        ca.http_port
    );
    fs::write(agent.path("certificates/a.example.toml"), text).unwrap();
    agent.run(&["renew"]).exits(2).says(&["10.0.0.1", "rejectedIdentifier"]);
    clock.advance(TimeDelta::hours(1));
    agent.run(&["renew"]).exits(4).says(&["issued without 10.0.0.1", "rejectedIdentifier"]);
    clock.advance(TimeDelta::hours(3));
    agent.run(&["renew"]).exits(4).says(&["issued without 10.0.0.1"]);
    assert_eq!(ca.asked(NAME), 2);
    // It is asked for again, and what is served stays.
    clock.advance(TimeDelta::hours(4));
    let ran = agent.run(&["renew"]).exits(2);
    ran.says(&["10.0.0.1", "rejectedIdentifier", "live: generation 1"]);
    assert_eq!(ca.asked(NAME), 3);
}
