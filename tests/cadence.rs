//! Whether runs come often enough, which come first, and that failing ones are told of in each.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::thread;

use crate::need;
use crate::support::agent::Agent;
use crate::support::script;

#[test]
fn a_daily_timer_is_too_coarse_for_a_life_of_160_hours() {
    need!("faketime");
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    for hours in [0, 24] {
        agent.run_at(&format!("+{hours} hours"), &["renew"]).exits(0);
        agent.run_at(&format!("+{hours} hours"), &["check"]).exits(0);
    }
    agent.run_at("+48 hours", &["renew"]).exits(0);
    let says = "the timer ran every 1 d, this certificate's window is 3 h 12 min";
    let ran = agent.run_at("+49 hours", &["check"]).exits(1);
    ran.shows(&[&format!("WARNING 127.0.0.1: {says}"), "--loop"]);
    let ran = agent.run_at("+49 hours", &["issue", "-d", "127.0.0.1"]).exits(0);
    ran.says(&[says]);
    // Nothing ran for three days, in which the certificate became due.
    let ran = agent.run_at("+121 hours", &["check"]).exits(2);
    ran.shows(&["CRITICAL renew: nothing ran for 3 d 1 h, and 127.0.0.1 became due"]);
}

#[test]
fn a_timer_that_stopped_is_told_before_anything_is_due() {
    need!("faketime");
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    for minutes in [0, 30, 60, 90] {
        agent.run_at(&format!("+{minutes} minutes"), &["renew"]).exits(0);
    }
    agent.run_at("+170 minutes", &["check"]).exits(0);
    let ran = agent.run_at("+190 minutes", &["check"]).exits(1);
    ran.shows(&["WARNING renew: nothing ran for 1 h", "enabled"]);
    agent.run_at("+200 minutes", &["renew", "127.0.0.1"]).exits(0);
    agent.run_at("+200 minutes", &["check"]).exits(1).shows(&["nothing ran"]);
    agent.run_at("+200 minutes", &["renew"]).exits(0);
    agent.run_at("+201 minutes", &["check"]).exits(0);
}

#[test]
fn the_least_runway_comes_first() {
    let agent = Agent::embedded();
    let (hook, log) = (agent.path("hook"), agent.path("log"));
    script(&hook, &format!("echo $ACMEAGENT_NAME >> {}", log.display()));
    let hook = hook.to_str().unwrap();
    for (name, profile) in
        [("a.example", "classic"), ("b.example", "tlsserver"), ("c.example", "shortlived")]
    {
        agent.run(&["issue", "-d", name, "--profile", profile, "--deploy-hook", hook]).exits(0);
    }
    let order = |args: &[&str]| {
        fs::write(&log, "").unwrap();
        agent.run(&[&["renew", "--jobs", "1"], args].concat()).exits(0);
        fs::read_to_string(&log).unwrap().replace(".example\n", "")
    };
    assert_eq!(order(&["--force"]), "cba");
    // Key types differ from what the settings want: all are due at once.
    for name in ["a.example", "b.example", "c.example"] {
        let path = agent.path(&format!("certificates/{name}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, text.replace("p256", "p384")).unwrap();
    }
    assert_eq!(order(&[]), "cba");
}

#[test]
fn failing_ones_are_told_of_in_every_run_and_the_ca_is_left_alone() {
    let agent = Agent::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    agent.run(&["issue", "-d", "b.example", "--ca", "embedded"]).exits(0);
    let text = format!(
        "identifiers = [\"a.example\"]\nca = [\"https://127.0.0.1:{port}/dir\"]\n\
         challenge = {{ http-01-port = {} }}\n",
        crate::support::free_ports::<1>()[0]
    );
    fs::write(agent.path("certificates/a.example.toml"), text).unwrap();
    let asked = thread::spawn(move || {
        let (mut call, _) = listener.accept().unwrap();
        let _ = call.read(&mut [0; 16]);
        // Whoever calls again is refused at once, and seen by the other message.
    });
    agent.run(&["renew"]).exits(3).says(&["a.example: "]);
    asked.join().unwrap();
    for _ in 0..2 {
        let ran =
            agent.run(&["renew"]).exits(3).says(&["a.example: still failing: ", "live: nothing"]);
        assert!(!ran.stderr.contains("refused"), "it was asked again: {ran:?}");
    }
    let (ran, document) = agent.json(&["renew"]);
    ran.exits(3);
    assert_eq!(document["certificates"].as_array().unwrap().len(), 1);
    assert_eq!(document["certificates"][0]["outcome"], "retry");
    assert!(document["certificates"][0]["error"]["retry_at"].is_string(), "{document}");
    fs::remove_file(agent.path("certificates/a.example.toml")).unwrap();
    agent.run(&["renew"]).exits(0);
}

#[test]
fn near_the_end_still_failing_is_at_risk() {
    need!("faketime");
    let agent = Agent::embedded();
    let hook = agent.path("hook");
    script(&hook, "exit 1");
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    agent.run(&["issue", "-d", "127.0.0.1", "--pre-hook", hook.to_str().unwrap()]).exits(0);
    for says in ["hook ended with exit code 1", "still failing: "] {
        let ran = agent.run_at("+150 hours", &["renew"]).exits(8);
        ran.says(&[says, "live: generation 1, valid until", "next: "]);
    }
    script(&hook, "exit 0");
    agent.run_at("+151 hours", &["renew"]).exits(0).shows(&["issued generation 2"]);
    agent.run_at("+151 hours", &["renew"]).exits(0).shows(&["nothing is due"]);
}
