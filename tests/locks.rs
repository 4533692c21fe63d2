//! Several runs at once: each certificate is worked on by one, and none waits for a dead one.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::{Running, script, wait_for};

/// A deploy hook that says it runs and ends when told to.
struct Gate {
    entered: PathBuf,
    open: PathBuf,
    hook: String,
}

impl Gate {
    fn of(agent: &Agent) -> Self {
        let [entered, open, hook] = ["entered", "open", "gate"].map(|file| agent.path(file));
        let (e, o) = (entered.display(), open.display());
        let wait = format!("echo >> {e}\nwhile [ ! -e {o} ] && [ -e {e} ]; do sleep 0.02; done");
        script(&hook, &wait);
        let hook = hook.to_str().unwrap().to_owned();
        Self { entered, open, hook }
    }

    fn open(&self) {
        fs::write(&self.open, "").unwrap();
    }
}

/// A run of `renew --force` that stands in its deploy hook.
fn held(agent: &Agent, gate: &Gate) -> Running {
    gate.open();
    let _ = agent.run(&["issue", "-d", "a.example", "--deploy-hook", &gate.hook]).exits(0);
    fs::remove_file(&gate.open).unwrap();
    fs::remove_file(&gate.entered).unwrap();
    let holder = agent.spawn(&["renew", "--force", "a.example"]);
    wait_for("the deploy hook", || gate.entered.exists());
    holder
}

#[test]
fn of_twenty_at_once_one_works() {
    let agent = Agent::embedded();
    let gate = Gate::of(&agent);
    gate.open();
    let _ = agent.run(&["issue", "-d", "a.example", "--deploy-hook", &gate.hook]).exits(0);
    fs::remove_file(&gate.open).unwrap();
    // What it says of who held it last is no answer.
    fs::write(agent.path("locks/a.example.lock"), "").unwrap();

    let start = || agent.spawn(&["renew", "--force", "a.example"]);
    let mut runs: Vec<Running> = (0..20).map(|_| start()).collect();
    let mut ended = Vec::new();
    wait_for("nineteen of twenty to end", || {
        while let Some(at) = runs.iter_mut().position(Running::has_ended) {
            ended.push(runs.remove(at));
        }
        runs.len() <= 1
    });
    let [worker] = runs.try_into().expect("one works");
    let pid = worker.0.id();
    for loser in ended {
        let ran = loser.ends().exits(7);
        let _ = ran.says(&["a.example", &format!("held by process {pid} since 20")]);
    }
    let began = Instant::now();
    let _ = agent.run(&["renew", "--force", "a.example"]).exits(7);
    assert!(began.elapsed() < Duration::from_secs(20), "a held lock is not waited for");
    gate.open();
    let _ = worker.ends().exits(0).shows(&["issued generation 2"]);
    assert_eq!((agent.generations("a.example"), agent.issued()), (2, 2), "one new order");
}

#[test]
fn what_needs_no_lock_works_beside_a_run() {
    let agent = Agent::embedded();
    let gate = Gate::of(&agent);
    let holder = held(&agent, &gate);
    for args in [&["status"][..], &["check"], &["snapshot", "list"], &["snapshot", "verify"]] {
        let ran = agent.run(args);
        assert!(ran.code < 2, "{args:?}: {ran:?}");
    }
    for args in [
        &["issue", "-d", "a.example", "--force"][..],
        &["renew", "--force"],
        &["rollback", "a.example"],
        &["delete", "a.example"],
        &["revoke", "a.example"],
        &["snapshot", "create"],
    ] {
        let _ = agent.run(args).exits(7).says(&["held by process"]);
    }
    let _ = agent.run(&["issue", "-d", "b.example"]).exits(0);
    gate.open();
    let _ = holder.ends().exits(0);
}

#[test]
fn a_killed_holder_holds_nothing() {
    let agent = Agent::embedded();
    let gate = Gate::of(&agent);
    let holder = held(&agent, &gate);
    let _ = agent.run(&["renew", "a.example"]).exits(7);
    holder.signal(Signal::SIGKILL);
    assert_eq!(holder.ends().code, -1);
    gate.open();
    let began = Instant::now();
    let ran = agent.run(&["renew", "--force", "a.example"]).exits(0);
    assert!(began.elapsed() < Duration::from_secs(20), "{ran:?}");
}

/// Answers http-01 from a folder, as the web server of a host would.
fn serve(port: u16, root: PathBuf) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let (status, body) = match fs::read(root.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
}

/// Two runs at once over fifty settings files, answering as `challenge` says.
fn share_fifty(ca: &Ca, agent: &Agent, challenge: &str) {
    const COUNT: usize = 50;
    let (server, root) = (&ca.directory, ca.tls_root.to_str().unwrap());
    let register = ["account", "register", "--agree-tos", "--server", server, "--ca-root", root];
    let _ = agent.run(&register).exits(0);
    fs::create_dir_all(agent.path("certificates")).unwrap();
    // Each run waits for the other before its first order: none comes when all is done.
    let both = agent.path("both");
    let wait = "while [ $(wc -l < \"$0.lines\") -lt 2 ]; do sleep 0.02; done";
    script(&both, &format!("echo >> \"$0.lines\"\n{wait}"));
    let both = both.display();
    for number in 0..COUNT {
        let settings = format!(
            "identifiers = [\"host-{number}.example\"]\nca = [\"{server}\"]\nca-root = \"{root}\"\n\
             [challenge]\n{challenge}\n[hooks]\npre = [[\"{both}\"]]\n",
        );
        fs::write(agent.path(&format!("certificates/host-{number}.toml")), settings).unwrap();
    }
    for run in [agent.spawn(&["renew"]), agent.spawn(&["renew"])] {
        let _ = run.ends().exits(0);
    }
    assert_eq!(ca.issued(), COUNT);
    for number in 0..COUNT {
        assert_eq!(agent.generations(&format!("host-{number}")), 1, "host-{number}");
    }
}

#[test]
fn two_runs_share_fifty_certificates_and_a_port() {
    let ca = Ca::start();
    share_fifty(&ca, &Agent::new(), &format!("http-01-port = {}", ca.http_port));
}

#[test]
fn two_runs_share_fifty_certificates_and_a_web_root() {
    let (ca, agent) = (Ca::start(), Agent::new());
    let webroot = agent.path("www");
    fs::create_dir(&webroot).unwrap();
    serve(ca.http_port, webroot.clone());
    share_fifty(&ca, &agent, &format!("webroot = \"{}\"", webroot.display()));
    let left = fs::read_dir(webroot.join(".well-known/acme-challenge"));
    assert_eq!(left.map_or(0, Iterator::count), 0, "answers were left in the web root");
}
