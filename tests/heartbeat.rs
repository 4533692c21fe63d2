//! A sign of life after each good run, and that its absence is noticed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::signal::Signal;

use crate::need;
use crate::support::agent::Agent;
use crate::support::{script, wait_for};

/// A server that notes the first line of each request.
struct Receiver {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let notes = Arc::clone(&heard);
        thread::spawn(move || {
            for mut call in listener.incoming().map_while(Result::ok) {
                let mut line = String::new();
                let _ = BufReader::new(&call).read_line(&mut line);
                notes.lock().unwrap().push(line.trim_end().to_owned());
                let _ = call.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK");
            }
        });
        Self { port, heard }
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// How many requests came since this was asked last; each must be the one that was agreed.
    #[track_caller]
    fn beats(&self) -> usize {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        assert!(heard.iter().all(|line| line == "GET /ping/s3cret HTTP/1.1"), "{heard:?}");
        heard.len()
    }
}

fn settings(agent: &Agent, text: &str) {
    let path = agent.path("acmeagent.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn beating_at(port: u16) -> String {
    format!("[heartbeat]\nurl = \"http://127.0.0.1:{port}/ping/s3cret\"\n")
}

#[test]
fn a_heart_beats_after_each_good_run_and_after_no_other() {
    need!("faketime");
    let (agent, receiver) = (Agent::embedded(), Receiver::start());
    settings(&agent, &beating_at(receiver.port));
    let hook = agent.path("hook");
    script(&hook, "exit 1");
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    agent.run(&["renew", "127.0.0.1"]).exits(0);
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(receiver.beats(), 0, "nobody waits for the commands of a person");
    agent.run(&["renew"]).exits(0).shows(&["nothing is due"]);
    assert_eq!(receiver.beats(), 1);
    agent.run(&["issue", "-d", "127.0.0.1", "--pre-hook", hook.to_str().unwrap()]).exits(0);
    for _ in 0..2 {
        agent.run_at("+90 hours", &["renew"]).exits(3);
        assert_eq!(receiver.beats(), 1, "to be tried again, with much time left");
    }
    agent.run_at("+150 hours", &["renew"]).exits(8);
    agent.run_at("+150 hours", &["renew", "--max-wait", "1s"]).exits(8);
    assert_eq!(receiver.beats(), 0, "at risk");
    script(&hook, "exit 0");
    agent.run_at("+151 hours", &["renew"]).exits(0).shows(&["issued generation"]);
    assert_eq!(receiver.beats(), 1);
    agent.run_at("+151 hours", &["renew", "--max-wait", "1s"]).exits(0).shows(&["nothing is due"]);
    assert_eq!(receiver.beats(), 1);
}

#[test]
fn what_is_not_heard_changes_nothing_and_tells_no_secret() {
    let agent = Agent::embedded();
    let [port] = crate::support::free_ports();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    settings(&agent, &beating_at(port));
    let ran = agent.run(&["renew", "-v"]).exits(0);
    let ran = ran
        .says(&["the heartbeat was not heard: 127.0.0.1 could not be reached: Connection refused"]);
    assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
    settings(&agent, "[heartbeat]\nurl-file = \"/nowhere/url\"\n");
    agent.run(&["renew"]).exits(0).says(&["the heartbeat was not heard: ", "/nowhere/url"]);
    settings(&agent, &beating_at(port));
    fs::set_permissions(agent.path("acmeagent.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = agent.run(&["renew", "--force"]).exits(11);
    assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
}

#[test]
fn one_that_stays_beats_while_nothing_is_due() {
    let (agent, receiver) = (Agent::embedded(), Receiver::start());
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    settings(&agent, &beating_at(receiver.port));
    let stays = agent.spawn(&["renew", "--loop"]);
    wait_for("the heart to beat", || receiver.count() > 0);
    stays.signal(Signal::SIGTERM);
    stays.ends().exits(0);
    assert!(agent.read("state/runs").starts_with("good 20"), "{}", agent.read("state/runs"));
    assert!(receiver.beats() <= 2);
}

#[test]
fn when_the_heart_stops_check_says_for_how_long_and_when_it_beats_again_nothing() {
    need!("faketime");
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    agent.run_at("+30 hours", &["check"]).exits(0);
    agent.run(&["renew"]).exits(0);
    agent.run_at("+5 hours", &["check"]).exits(0);
    let ran = agent.run_at("+7 hours", &["check"]).exits(2);
    ran.shows(&["CRITICAL renew: no run was good for 7 h", "none was seen", "list-timers"]);
    let (ran, document) = agent.json_at("+31 hours", &["check"]);
    ran.exits(2);
    let findings = document["findings"].as_array().unwrap();
    let silence: Vec<_> = findings.iter().filter(|one| one["subject"] == "renew").collect();
    assert_eq!(silence.len(), 1, "{document}");
    assert_eq!(silence[0]["reason"], "silence");
    assert!(silence[0]["message"].as_str().unwrap().contains("for 1 d 7 h"), "{document}");
    // What a person does by hand shows nothing of the timer.
    agent.run_at("+31 hours", &["renew", "127.0.0.1"]).exits(0);
    agent.run_at("+31 hours", &["check"]).exits(2);
    agent.run_at("+31 hours", &["renew"]).exits(0);
    agent.run_at("+31 hours", &["check"]).exits(0);
}

#[test]
fn runs_that_come_and_are_not_good_are_silence_too() {
    need!("faketime");
    let agent = Agent::embedded();
    let hook = agent.path("hook");
    script(&hook, "exit 1");
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    agent.run(&["issue", "-d", "127.0.0.1", "--pre-hook", hook.to_str().unwrap()]).exits(0);
    agent.run(&["renew"]).exits(0);
    agent.run_at("+146 hours", &["renew"]).exits(8);
    let ran = agent.run_at("+146 hours", &["check"]).exits(2);
    ran.shows(&["CRITICAL renew: no run was good for 6 d 2 h", "and the last, at ", "not either"]);
}

#[test]
fn how_long_none_may_be_good_is_a_setting() {
    need!("faketime");
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    settings(&agent, "[heartbeat]\nsilence = \"2h\"\n");
    agent.run(&["renew"]).exits(0);
    agent.run_at("+110 minutes", &["check"]).exits(0);
    agent.run_at("+130 minutes", &["check"]).exits(2).shows(&["no run was good for 2 h"]);
    settings(&agent, "[heartbeat]\nsilence = \"2d\"\n");
    for minutes in [30, 60, 90] {
        agent.run_at(&format!("+{minutes} minutes"), &["renew"]).exits(0);
    }
    agent.run_at("+47 hours", &["check"]).exits(0);
    agent.run_at("+50 hours", &["check"]).exits(2).shows(&["no run was good for 2 d"]);
}

/// Where good runs were not yet written down, nothing is known of when the last one was.
#[test]
fn an_old_home_is_not_accused() {
    need!("faketime");
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    agent.run(&["renew"]).exits(0);
    let runs = agent.read("state/runs");
    let known = runs.lines().filter(|line| !line.starts_with("good")).collect::<Vec<_>>();
    fs::write(agent.path("state/runs"), format!("{}\n", known.join("\n"))).unwrap();
    agent.run_at("+7 hours", &["check"]).exits(0);
    agent.run_at("+7 hours", &["renew"]).exits(0);
    agent.run_at("+14 hours", &["check"]).exits(2).shows(&["no run was good for 7 h"]);
}
