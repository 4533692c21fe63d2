//! `check`: what a monitoring system asks, in its exit codes and formats.

mod served;

use std::fs;

use crate::need;
use crate::support::agent::Agent;

#[test]
fn a_life_of_160_hours() {
    need!("faketime");
    let agent = Agent::embedded();
    let _ = agent.run(&["check"]).exits(3).shows(&["UNKNOWN there is no certificate"]);
    let _ = agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    for (by, code, says) in [
        ("+1 hour", 0, "OK 127.0.0.1: valid until"),
        ("+90 hours", 1, "WARNING 127.0.0.1: should have been renewed"),
        ("+150 hours", 2, "CRITICAL 127.0.0.1: valid only until"),
        ("+150 hours", 2, "no run took it up"),
        ("+161 hours", 2, "CRITICAL 127.0.0.1: expired at"),
    ] {
        let ran = agent.run_at(by, &["check"]);
        assert_eq!((ran.code, ran.stdout.contains(says)), (code, true), "{by}: {ran:?}");
    }
    let _ = agent.run_at("+161 hours", &["renew"]).exits(0);
    let _ = agent.run_at("+161 hours", &["check"]).exits(0);
}

#[test]
fn our_own_must_lead_to_the_roots_that_are_given() {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    let root = |name: &str| agent.path(&format!("embedded-ca/{name}")).display().to_string();
    agent.run(&["check", "--ca-root", &root("root-1.pem")]).exits(0);
    let ran = agent.run(&["check", "--ca-root", &root("tls-root.pem")]).exits(2);
    ran.shows(&["does not lead to a trusted root"]);
}

#[test]
fn what_is_wrong_with_the_store_is_named() {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example", "c.example", "d.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    let _ = agent.run(&["check"]).exits(0);
    let replace = |name: &str, with: &str, file: &str| {
        let target = agent.path(&format!("live/{name}/{file}"));
        fs::remove_file(&target).unwrap();
        fs::copy(agent.path(&format!("live/{with}/{file}")), target).unwrap();
    };
    replace("b.example", "a.example", "privkey.pem");
    fs::remove_dir_all(agent.path("live/c.example")).unwrap();
    fs::remove_file(agent.path("certificates/d.example.toml")).unwrap();
    let ran = agent.run(&["check"]).exits(2);
    let ran = ran.shows(&["CRITICAL b.example", "CRITICAL c.example", "WARNING d.example"]);
    assert!(ran.stdout.contains("OK a.example"), "{ran:?}");
    let _ = agent.run(&["check", "a.example"]).exits(0);
    // What it finds, `renew` mends, without asking a CA.
    let _ = agent.run(&["renew", "b.example", "c.example"]).exits(0);
    assert_eq!(agent.issued(), 4);
    let _ = agent.run(&["check", "a.example", "b.example", "c.example"]).exits(0);
}

#[test]
fn files_of_anyone() {
    need!("openssl");
    let agent = Agent::embedded();
    for name in ["a.example", "b.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    let file = |name: &str, file: &str| {
        agent.path(&format!("live/{name}/{file}")).to_str().unwrap().to_owned()
    };
    let (chain, key) = (file("a.example", "fullchain.pem"), file("a.example", "privkey.pem"));
    let other_key = file("b.example", "privkey.pem");
    let root = agent.path("embedded-ca/root-1.pem");
    let root = root.to_str().unwrap();
    let missing = agent.path("missing.pem");
    let missing = missing.to_str().unwrap();
    let table: [(&[&str], i32, &str); 9] = [
        (&["--file", &chain], 0, "valid until"),
        (&["--file", &chain, "--key", &key], 0, "the key belongs to the certificate"),
        (&["--file", &chain, "--key", &key, "--ca-root", root], 0, "valid until"),
        (&["--file", &chain, "--key", &other_key], 2, "does not belong"),
        (&["--file", &key, "--key", &chain], 2, "the wrong way round"),
        (&["--file", &file("a.example", "cert.pem"), "--ca-root", root], 2, "CRITICAL"),
        (&["--file", &file("a.example", "meta.json")], 2, "CRITICAL"),
        (&["--file", missing], 3, "cannot read"),
        (&["--file", &chain, "--key", missing], 3, "cannot read"),
    ];
    for (args, code, says) in table {
        let ran = agent.run(&[&["check"], args].concat());
        assert_eq!((ran.code, ran.stdout.contains(says)), (code, true), "{args:?}: {ran:?}");
    }
}

#[test]
fn in_every_format() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    fs::remove_dir_all(agent.path("live/a.example")).unwrap();
    for (format, says) in [
        ("text", "CRITICAL a.example: no certificate is live"),
        ("json", "\"reason\":\"missing\""),
        ("junit", "<testcase classname=\"a.example\" name=\"missing\"><failure type=\"CRITICAL\""),
        ("github", "::error title=acmeagent::a.example: no certificate is live"),
        ("prometheus", "acmeagent_check{subject=\"a.example\",reason=\"missing\"} 2\n"),
    ] {
        let ran = agent.run(&["check", "--format", format]).exits(2);
        assert!(ran.stdout.contains(says), "{format}: {ran:?}");
    }
    let _ = agent.run(&["check", "--quiet"]).exits(2);
}

#[test]
fn an_endpoint_nobody_serves() {
    let agent = Agent::new();
    let [port] = crate::support::free_ports();
    let ran = agent.run(&["check", "--connect", &format!("127.0.0.1:{port}")]).exits(2);
    let _ = ran.shows(&["CRITICAL", "127.0.0.1"]);
    let _ = agent.run(&["check", "--connect", "no port here"]).exits(3);
}
