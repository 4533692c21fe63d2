//! `renew --loop` and `--max-wait`: there at the exact instant, whatever happens meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::{DEADLINE, Running, free_ports, wait_for};

/// A `renew --loop` and the documents it prints.
struct Loop {
    process: Running,
    documents: Receiver<String>,
}

impl Loop {
    fn start(agent: &Agent) -> Self {
        Self::of(agent.command(&["--json", "renew", "--loop"]))
    }

    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Running(command.spawn().unwrap());
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let (sender, documents) = mpsc::channel();
        thread::spawn(move || {
            // The test may be over before the loop is.
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, documents }
    }

    /// The next document.
    #[track_caller]
    fn tells(&self) -> Value {
        let line = self.documents.recv_timeout(DEADLINE).expect("it tells something");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Ends it, and asserts that it ends well and had nothing more to tell.
    #[track_caller]
    fn ends_well(self) -> Ran {
        self.process.signal(Signal::SIGTERM);
        let ran = self.process.ends().exits(0);
        assert_eq!(self.documents.iter().collect::<Vec<_>>(), Vec::<String>::new(), "{ran:?}");
        ran
    }
}

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

/// Lets the CA suggest a window, and the agent ask for it when it looks at the certificate next.
fn suggest(ca: &Ca, agent: &Agent, name: &str, from: DateTime<Utc>, to: DateTime<Utc>) {
    let (_, status) = agent.json(&["status", name]);
    ca.suggest(status["certificates"][0]["serial"].as_str().unwrap(), from, to);
    for known in [&format!("state/{name}.json"), "state/index"] {
        let _ = fs::remove_file(agent.path(known));
    }
}

/// Suggests windows of half a minute until the instant drawn in one is a few seconds ahead.
fn plan_soon(ca: &Ca, agent: &Agent, name: &str) -> DateTime<Utc> {
    for more in 0.. {
        let now = Utc::now();
        suggest(ca, agent, name, now + seconds(2), now + seconds(32 + more));
        agent.run(&["renew"]).exits(0);
        let planned = agent.facts(name)["next_renewal"]["at"].as_str().unwrap().to_owned();
        let planned = DateTime::parse_from_rfc3339(&planned).unwrap().to_utc();
        if (seconds(3)..seconds(10)).contains(&(planned - Utc::now())) {
            return planned;
        }
    }
    unreachable!("the range has no end")
}

fn last_success(agent: &Agent, name: &str) -> DateTime<Utc> {
    let at = agent.facts(name)["last_success"].as_str().unwrap().to_owned();
    DateTime::parse_from_rfc3339(&at).unwrap().to_utc()
}

/// An agent with a certificate that is due as soon as anybody looks at it.
fn with_one_due(ca: &Ca) -> Agent {
    let agent = ca.agent();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    let now = Utc::now();
    suggest(ca, &agent, "127.0.0.1", now - seconds(60), now - seconds(30));
    agent
}

/// An agent with a certificate wanted from a CA that nobody runs.
fn with_one_failing() -> Agent {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "b.example"]).exits(0);
    let [port, http] = free_ports();
    let text = format!(
        "identifiers = [\"a.example\"]\nca = [\"https://127.0.0.1:{port}/dir\"]\n\
         challenge = {{ http-01-port = {http} }}\n"
    );
    fs::write(agent.path("certificates/a.example.toml"), text).unwrap();
    agent
}

#[test]
fn the_loop_hits_the_instant_and_that_costs_nothing() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.agent();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    let planned = plan_soon(&ca, &agent, "127.0.0.1");
    let stays = Loop::start(&agent);
    let document = stays.tells();
    let line = &document["certificates"][0];
    assert_eq!((&line["outcome"], &line["generation"]), (&"renewed".into(), &2.into()), "{line}");
    assert_eq!(line["ari_exempt"], true, "{line}");
    assert_eq!(line["ari_exempt_reason"], "inside its window");
    let late = last_success(&agent, "127.0.0.1") - planned;
    println!("renewed {} s after the instant", late.num_seconds());
    assert!((seconds(0)..=seconds(20)).contains(&late), "{late}");
    stays.ends_well().says(&["waiting until"]);
    assert_eq!(ca.orders("127.0.0.1"), 2);
    assert!(agent.read("state/runs").trim_end().ends_with(" resident"));
}

#[test]
fn max_wait_serves_every_instant_within_it_and_returns() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.agent();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    agent.run(&["issue", "-d", "127.0.0.2", "--http-01-address", "127.0.0.2"]).exits(0);
    plan_soon(&ca, &agent, "127.0.0.1");
    let (ran, document) = agent.json(&["renew", "--max-wait", "1s"]);
    assert_eq!(document["certificates"].as_array().unwrap().len(), 0, "{ran:?}");
    plan_soon(&ca, &agent, "127.0.0.2");
    let (ran, document) = agent.json(&["renew", "--max-wait", "1m"]);
    ran.exits(0);
    let lines = document["certificates"].as_array().unwrap();
    // The first may have been renewed while the second was planned.
    assert_eq!(ca.orders("127.0.0.1"), 2);
    assert_eq!(ca.orders("127.0.0.2"), 2);
    let renewed: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "renewed").collect();
    assert_eq!(renewed.last().unwrap()["name"], "127.0.0.2", "{document}");
    assert!(renewed.iter().all(|line| line["ari_exempt"] == true), "{document}");
    let began = Instant::now();
    let (_, document) = agent.json(&["renew", "--max-wait", "1m"]);
    assert_eq!(document["certificates"].as_array().unwrap().len(), 0, "{document}");
    assert!(began.elapsed().as_secs() < 30, "it waits for nothing that comes later");
}

#[test]
fn max_wait_tries_nothing_again_that_no_time_will_mend() {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    fs::write(agent.path("certificates/b.example.toml"), "identifers = []\n").unwrap();
    let ran = agent.run(&["renew", "--max-wait", "1h"]).exits(2);
    assert_eq!(ran.stderr.matches("`identifers`").count(), 1, "{ran:?}");
}

#[test]
fn told_to_stop_in_the_middle_of_an_order_it_leaves_it_to_be_taken_up() {
    need!("curl");
    let ca = Ca::start();
    let agent = with_one_due(&ca);
    // The CA's question is taken, and never answered.
    let silent = TcpListener::bind(("127.0.0.1", ca.http_port)).unwrap();
    let [port] = free_ports();
    let path = agent.path("certificates/127.0.0.1.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace(&ca.http_port.to_string(), &port.to_string())).unwrap();
    let stays = Loop::start(&agent);
    let known = agent.path("state/127.0.0.1.json");
    wait_for("the order", || known.exists() && agent.facts("127.0.0.1")["order"].is_object());
    stays.process.signal(Signal::SIGTERM);
    let document = stays.tells();
    assert_eq!(document["certificates"][0]["error"]["message"], "interrupted", "{document}");
    stays.process.ends().exits(0);
    let facts = agent.facts("127.0.0.1");
    assert!(facts["order"].is_object(), "to be taken up: {facts}");
    assert_eq!(facts["failures"], 0, "nobody's failure");
    assert_eq!(agent.generations("127.0.0.1"), 1);
    drop(silent);
    // Taken up, unless the CA has given it up by now.
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0).shows(&["issued generation 2"]);
}

#[test]
fn no_failure_ends_the_loop() {
    let agent = with_one_failing();
    let index = agent.path("state/index");
    let stays = Loop::start(&agent);
    let document = stays.tells();
    let line = &document["certificates"][0];
    assert_eq!((document["exit"]["code"].clone(), &line["name"]), (3.into(), &"a.example".into()));
    assert!(line["error"]["retry_at"].is_string(), "{line}");
    // A store that cannot be read.
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    stays.process.signal(Signal::SIGHUP);
    let document = stays.tells();
    assert_eq!(document["exit"]["name"], "STORE", "{document}");
    fs::remove_dir(&index).unwrap();
    // Settings that were mended: SIGHUP makes it look, and what waits for its next attempt waits.
    let text = "identifiers = [\"c.example\"]\nca = [\"embedded\"]\n";
    fs::write(agent.path("certificates/c.example.toml"), text).unwrap();
    stays.process.signal(Signal::SIGHUP);
    let document = stays.tells();
    assert_eq!(document["exit"]["code"], 0, "{document}");
    assert_eq!(document["certificates"][0]["name"], "c.example");
    // Settings edited in place, which nobody can see from outside.
    fs::write(agent.path("certificates/c.example.toml"), format!("{text}key-type = \"p384\"\n"))
        .unwrap();
    stays.process.signal(Signal::SIGHUP);
    let document = stays.tells();
    assert_eq!(document["certificates"][0]["generation"], 2, "{document}");
    stays.ends_well();
}

/// Neither a signal nor an end of its own waiting tells the loop: it looks for itself.
#[test]
fn within_a_minute_it_notices_what_others_want_and_tries_again_what_failed() {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let index = agent.path("state/index");
    fs::create_dir(&index).unwrap();
    let stays = Loop::start(&agent);
    assert_eq!(stays.tells()["exit"]["name"], "STORE");
    fs::remove_dir(&index).unwrap();
    let text = "identifiers = [\"b.example\"]\nca = [\"embedded\"]\n";
    fs::write(agent.path("certificates/b.example.toml"), text).unwrap();
    let began = Instant::now();
    let within_a_minute = Duration::from_secs(60) + DEADLINE;
    let line = stays.documents.recv_timeout(within_a_minute).expect("it looks again");
    println!("noticed after {} s", began.elapsed().as_secs());
    let document: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(document["certificates"][0]["name"], "b.example", "{document}");
    assert_eq!(document["exit"]["code"], 0, "{document}");
    stays.ends_well();
}

/// Another run holds the certificate: that is told, and no reason to end.
#[test]
fn what_another_run_holds_is_tried_again() {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let lock = fs::File::open(agent.path("locks/a.example.lock")).unwrap();
    let flock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let path = agent.path("certificates/a.example.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, text.replace("p256", "p384")).unwrap();
    let stays = Loop::start(&agent);
    assert_eq!(stays.tells()["exit"]["name"], "LOCKED");
    drop(flock);
    stays.process.signal(Signal::SIGHUP);
    assert_eq!(stays.tells()["certificates"][0]["outcome"], "renewed");
    stays.ends_well();
}

#[test]
fn the_service_manager_is_told() {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let path = agent.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = agent.command(&["--json", "renew", "--loop"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let stays = Loop::of(command);
    let hears = |wanted: &str| {
        let mut seen = Vec::new();
        while !seen.iter().any(|text: &String| text.contains(wanted)) {
            let mut bytes = [0; 1024];
            let length =
                socket.recv(&mut bytes).unwrap_or_else(|e| panic!("{wanted}, {e}: {seen:?}"));
            seen.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
    };
    for wanted in ["READY=1", "STATUS=waiting until 20", "WATCHDOG=1", "WATCHDOG=1"] {
        hears(wanted);
    }
    stays.process.signal(Signal::SIGHUP);
    for wanted in ["RELOADING=1\nMONOTONIC_USEC=", "READY=1", "STATUS=waiting until 20"] {
        hears(wanted);
    }
    stays.process.signal(Signal::SIGINT);
    hears("STOPPING=1");
    stays.process.ends().exits(0);
}

#[test]
fn what_contradicts_staying_is_refused() {
    let agent = Agent::new();
    for args in [
        &["--loop", "--force"][..],
        &["--loop", "--dry-run"],
        &["--loop", "a.example"],
        &["--loop", "--max-wait", "1h"],
        &["--max-wait", "1h", "--force"],
        &["--max-wait", "soon"],
    ] {
        agent.run(&[&["renew"], args].concat()).exits(2);
    }
}
