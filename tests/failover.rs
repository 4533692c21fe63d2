//! Several CAs in a list: the first is the one that is wanted, the others are there when it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::clock::Clock;

const NAME: &str = "a.example";

/// Two CAs that look for answers at the same ports, and an agent that has both as `[[ca]]`.
fn two() -> (Ca, Ca, Agent) {
    let a = Ca::start();
    let b = Ca::looking_at(a.http_port, a.tls_port);
    let agent = Agent::new();
    let mut main = String::new();
    for (name, ca) in [("a", &a), ("b", &b)] {
        let (directory, root) = (&ca.directory, ca.tls_root.display());
        main +=
            &format!("[[ca]]\nname = \"{name}\"\ndirectory = \"{directory}\"\nroot = \"{root}\"\n");
    }
    fs::write(agent.path("acmeagent.toml"), main).unwrap();
    fs::set_permissions(agent.path("acmeagent.toml"), PermissionsExt::from_mode(0o600)).unwrap();
    (a, b, agent)
}

#[must_use]
fn issue(agent: &Agent, ca: &Ca, more: &[&str]) -> Ran {
    let (http, tls) = (ca.http_port.to_string(), ca.tls_port.to_string());
    let ports = ["--http-01-port", &http, "--tls-alpn-01-port", &tls];
    agent.run(&[&["issue", "-d", NAME, "--ca", "a", "--ca", "b"], &ports[..], more].concat())
}

#[track_caller]
fn renewed_by(agent: &Agent, ca: &str, at: &str) -> Ran {
    let (ran, document) = agent.json_at(at, &["renew"]);
    let ran = ran.exits(0);
    let line = &document["certificates"][0];
    assert_eq!((&line["outcome"], &line["ca"]), (&"renewed".into(), &ca.into()), "{ran:#?}");
    ran
}

/// How often a CA was asked for its advice since it was started.
fn advised(ca: &Ca) -> u64 {
    ca.manage("requests", None)["paths"]["renewal-info"].as_u64().unwrap_or(0)
}

#[test]
fn the_second_issues_while_the_first_is_down_and_the_runway_short() {
    need!("faketime");
    let (mut a, mut b, agent) = two();
    let _ = issue(&agent, &a, &["--agree-tos"]).exits(0);
    assert_eq!((a.issued(), b.issued()), (1, 0), "the first of the list issues");
    let settings = agent.read("certificates/a.example.toml");
    assert!(settings.contains("ca = [\"a\", \"b\"]"), "{settings}");

    // Due, and time enough: the second is left alone.
    a.stop();
    b.start_at("+62d");
    let (ran, document) = agent.json_at("+62d", &["renew"]);
    let ran = ran.exits(3);
    assert_eq!(document["certificates"][0]["generation"], 1, "{ran:#?}");
    assert!(ran.stdout.contains("cannot reach https://127.0.0.1"), "{ran:#?}");
    assert_eq!(b.asked(NAME), 0);

    // Less than half of the planned runway is left.
    b.start_at("+77d");
    let ran = renewed_by(&agent, "b", "+77d");
    let _ = ran.says(&["a: cannot reach", "trying the next CA"]);
    assert_eq!((a.issued(), b.issued()), (1, 1));

    // Back again: the next renewal returns to the first. Its advice comes from where it was issued.
    a.start_at("+140d");
    b.start_at("+140d");
    renewed_by(&agent, "a", "+140d");
    assert_eq!((a.issued(), b.issued()), (2, 1));
    assert_eq!((advised(&a), advised(&b)), (1, 1), "each for what it issued itself");
}

/// An account is made at every CA of the list while somebody is there to agree to its terms.
#[test]
fn a_second_ca_without_an_account() {
    need!("faketime");
    let (mut a, mut b, agent) = two();
    b.stop();
    let ran = issue(&agent, &a, &["--agree-tos"]).exits(0);
    let _ = ran.says(&["b cannot stand in yet, as there is no account: cannot reach"]);
    a.stop();
    b.start_at("+77d");
    let (ran, document) = agent.json_at("+77d", &["renew"]);
    assert_eq!(document["certificates"][0]["generation"], 1, "{ran:#?}");
    let _ = ran.exits(3).says(&["b: ", "terms"]);
    assert_eq!(b.asked(NAME), 0);
    let register = ["account", "register", "--ca", "b", "--agree-tos"];
    let _ = agent.json_at("+77d", &register).0.exits(0);
    b.start_at("+78d");
    renewed_by(&agent, "b", "+78d");
}

/// What cannot be given to the second hides neither how the first failed nor that it did.
#[test]
fn a_second_ca_whose_account_binding_is_lost() {
    need!("faketime");
    let (mut a, mut b, agent) = two();
    b.stop();
    let _ = issue(&agent, &a, &["--agree-tos"]).exits(0);
    a.stop();
    let eab = "[ca.eab]\nkid = \"k\"\nhmac-key-file = \"/no/such/file\"\n";
    fs::write(agent.path("acmeagent.toml"), agent.read("acmeagent.toml") + eab).unwrap();
    let ran = agent.json_at("+77d", &["renew", "--max-wait", "1s"]).0.exits(3);
    let ran = ran.says(&["a: cannot reach", "trying the next CA", "b cannot be asked: "]);
    let _ = ran.says(&["WARNING host: there is no account at b"]);
    let facts = agent.facts(NAME);
    assert_eq!(facts["failures"], 1, "{facts}");
    assert!(facts["last_failure"]["message"].as_str().unwrap().contains("cannot reach"), "{facts}");
    let ran = agent.json_at("+77d", &["renew"]).0;
    assert!(!ran.stderr.contains("trying the next CA"), "waits for its next attempt: {ran:?}");
}

/// The time is asked of whichever answers: it is what tells that the stand-in is to be asked at all.
#[test]
fn the_second_tells_the_time_while_the_first_is_down() {
    need!("faketime", "curl");
    let (theirs, ours) = (Clock::right(), Clock::right());
    let a = Ca::by(&theirs, "");
    let b = a.beside(&theirs, "");
    let agent = Agent::new().with_ca(["--agree-tos"]).by(&ours);
    agent.knows([("a", &a), ("b", &b)]);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    drop(a);
    theirs.set(TimeDelta::hours(125));
    ours.set(TimeDelta::hours(-3));
    let ran = agent.run(&["renew"]).exits(0);
    ran.says(&["behind the CA's: its time decides"]).shows(&["issued generation 2"]);
    assert_eq!(b.issued(), 1);
}

/// What the ledger shows to be used up at the first CA is no reason to wait while time is short.
#[test]
fn a_first_ca_without_budget() {
    need!("faketime");
    let (mut a, mut b, agent) = two();
    let _ = issue(&agent, &a, &["--agree-tos"]).exits(0);
    a.stop();
    // The ledger as another run would have left it that was told to wait.
    let refused = |days: i64| {
        let day = Utc::now() + TimeDelta::days(days);
        let at =
            |hours: i64| (day + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
        json!({ "at": at(-1), "ca": "a", "what": "refused", "scope": "ca", "until": at(20) })
            .to_string()
    };
    let ledger = agent.read("state/ledger") + &format!("{}\n{}\n", refused(62), refused(77));
    fs::write(agent.path("state/ledger"), ledger).unwrap();
    b.start_at("+62d");
    let (ran, document) = agent.json_at("+62d", &["renew"]);
    let error = document["certificates"][0]["error"]["message"].as_str().unwrap().to_owned();
    assert!(error.contains("the CA a is not asked: it wants no more requests before"), "{error}");
    let _ = ran.exits(3);
    assert_eq!(b.asked(NAME), 0);
    let next = &document["certificates"][0]["next_renewal"];
    assert_eq!(next["reason"], "waiting for what the CA allows");
    let checked = agent.json_at("+62d", &["check"]).0;
    let _ = checked.exits(1).shows(&["held up: the CA a is not asked"]);
    b.start_at("+77d");
    let ran = renewed_by(&agent, "b", "+77d");
    assert!(!ran.stderr.contains("cannot reach"), "the first was not asked: {ran:#?}");
}

/// The answer to the finalization was lost on the way: the order is there all the same.
#[test]
fn a_lost_answer_costs_no_second_order() {
    let ca = Ca::behaving("[[lose]]\npath = \"finalize\"\ncount = 1\n");
    let agent = ca.agent();
    let ran = agent.run(&["issue", "-d", NAME]).exits(3);
    let _ = ran.says(&["cannot reach", "finalize"]);
    let _ = agent.run(&["issue", "-d", NAME]).exits(0).says(&["taking up the order"]);
    assert_eq!((ca.orders(NAME), ca.asked(NAME), ca.issued()), (1, 1, 1));
    assert_eq!(agent.generations(NAME), 1);
}
