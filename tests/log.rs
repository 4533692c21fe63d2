//! `--log`: what happens, told to programs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use chrono::DateTime;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use crate::support::free_ports;
use crate::support::hostile::{Hostile, problem};

/// The entries of a log; each line must be one.
#[track_caller]
fn entries(ran: &Ran) -> Vec<Value> {
    let lines = ran.stderr.lines().map(|line| {
        let entry: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {ran:#?}"));
        let at = entry["timestamp"].as_str().unwrap();
        assert!(DateTime::parse_from_rfc3339(at).is_ok(), "{at}");
        assert!(entry["level"].is_string() && entry["message"].is_string(), "{entry}");
        entry
    });
    lines.collect()
}

fn of<'a>(entries: &'a [Value], event: &'a str) -> impl Iterator<Item = &'a Value> {
    entries.iter().filter(move |entry| entry["event"] == event)
}

/// The words under a key of the entries of an event.
fn words<'a>(entries: &'a [Value], event: &'a str, key: &str) -> BTreeSet<&'a str> {
    of(entries, event).map(|entry| entry[key].as_str().unwrap()).collect()
}

#[test]
fn every_challenge_and_phase_of_an_issue_says_how_long_it_took() {
    let agent = Agent::embedded();
    let args = ["--log", "json", "issue", "-d", "a.example,b.example", "--cert-name", "site"];
    let ran = agent.run(&args).exits(0).shows(&["issued generation 1"]);
    let told = entries(&ran);
    let phases = "acquire deploy precheck snapshot soak validate verify";
    let found = words(&told, "phase_ended", "phase").into_iter().collect::<Vec<_>>();
    assert_eq!(found.join(" "), phases, "{ran:#?}");
    assert_eq!(words(&told, "challenge_ended", "challenge"), BTreeSet::from(["http-01"]));
    let names = words(&told, "challenge_ended", "identifier");
    assert_eq!(names, BTreeSet::from(["a.example", "b.example"]));
    for entry in of(&told, "phase_ended").chain(of(&told, "challenge_ended")) {
        assert!(entry["elapsed_ms"].is_u64() && entry["certificate"] == "site", "{entry}");
    }
    let issued = of(&told, "issued").next().expect("it was issued");
    assert_eq!((&issued["generation"], &issued["ca"]), (&1.into(), &"embedded".into()));
    let head = of(&told, "recorded").next().expect("the history has a new head");
    let (_, status) = agent.json(&["status", "--history"]);
    assert_eq!(head["hash"], status["history"]["head"]["hash"]);
    let levels: BTreeSet<&str> = told.iter().map(|e| e["level"].as_str().unwrap()).collect();
    assert!(!levels.contains("DEBUG") && !levels.contains("ERROR"), "{ran:#?}");

    let more = agent.run(&["--log", "json", "-v", "renew", "--force"]).exits(0);
    let told = entries(&more);
    assert!(told.iter().any(|entry| entry["level"] == "DEBUG"), "{more:#?}");
    let foreign = |entry: &&Value| entry["event"] == Value::Null && entry["level"] == "DEBUG";
    assert_eq!(told.iter().find(foreign), None, "only what is ours");
    let errors = agent.run(&["--log", "json", "-q", "renew", "--force"]).exits(0);
    assert_eq!(errors.stderr, "");
}

#[test]
fn a_ca_cannot_write_entries_of_its_own() {
    let ca = Hostile::start();
    let detail = "no\n{\"level\":\"INFO\",\"message\":\"all is well\"}\r\u{1b}[2J\u{9b}\0";
    ca.plays("/new-order", problem(400, "malformed", detail));
    let [http, tls] = free_ports();
    let agent = Agent::ordering_at(&ca.directory(), &ca.root, http, tls);
    let ran = agent.run(&["--log", "json", "issue", "-d", "a.example"]);
    assert_ne!(ran.code, 0, "{ran:#?}");
    let told = entries(&ran);
    assert!(!ran.stderr.contains(|c: char| c.is_control() && c != '\n'), "{ran:#?}");
    assert!(told.iter().all(|entry| entry["message"] != "all is well"), "{ran:#?}");
    let [failure] = of(&told, "failure").collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(
        (&failure["level"], &failure["certificate"]),
        (&"ERROR".into(), &"a.example".into())
    );
    assert!(failure["see"].as_str().unwrap().starts_with("man acmeagent-recovery"), "{failure}");
    let ended = of(&told, "run_ended").next().unwrap();
    assert_eq!(ended["kind"], "malformed", "{ended}");

    // What stands in the document is an entry all the same.
    let (ran, document) = agent.json(&["--log", "json", "issue", "-d", "a.example"]);
    assert_eq!(document["exit"]["code"], ran.code);
    assert_eq!(of(&entries(&ran), "failure").count(), 1, "{ran:#?}");
}

#[test]
fn what_stays_talks_in_entries_too() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let mut process = agent.spawn(&["--log", "json", "renew", "--loop"]);
    let mut told = BufReader::new(process.0.stderr.take().unwrap());
    let mut lines = String::new();
    told.read_line(&mut lines).unwrap();
    process.signal(Signal::SIGTERM);
    told.read_to_string(&mut lines).unwrap();
    let ran = Ran { stderr: lines, ..process.ends().exits(0) };
    let waits = |entry: &Value| entry["message"].as_str().unwrap().starts_with("waiting until");
    assert!(entries(&ran).iter().any(waits), "{ran:#?}");
}

#[test]
fn without_a_journal_standard_error_is_the_log() {
    if Path::new("/run/systemd/journal/socket").exists() {
        return the_journal_takes_it();
    }
    let agent = Agent::embedded();
    let ran = agent.run(&["--log", "journald", "issue", "-d", "a.example"]).exits(0);
    let told = entries(&ran);
    let notice = told[0]["message"].as_str().unwrap();
    assert!(notice.starts_with("there is no journal here"), "{notice}");
    assert_eq!(told[0]["level"], "WARN");
    assert!(of(&told, "issued").next().is_some(), "{ran:#?}");
}

fn the_journal_takes_it() {
    let agent = Agent::embedded();
    let ran = agent.run(&["--log", "journald", "issue", "-d", "a.example"]).exits(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn usage_of_the_flag() {
    let agent = Agent::new();
    let _ = agent.run(&["--log", "syslog", "status"]).exits(2).says(&["text, json, journald"]);
}
