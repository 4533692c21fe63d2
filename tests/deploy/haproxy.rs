//! HAProxy: exchanged in the running process, and back.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::nginx::Trial;
use super::{NAME, Site, tells_all, timed};
use crate::need;
use crate::support::haproxy::Haproxy;
use crate::support::{Running, free_ports, script};

/// A HAProxy that serves the first generation on IPv4 and IPv6.
struct Balanced {
    site: Site,
    haproxy: Haproxy,
    addresses: [String; 2],
}

impl Balanced {
    fn new() -> Self {
        let (site, [port]) = (Site::new(), free_ports());
        let addresses = [format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
        let _ = site.issue(&[]).exits(0);
        let binds = addresses.each_ref().map(String::as_str);
        let haproxy = Haproxy::serving(&site.agent.path("live").join(NAME), &binds);
        let balanced = Self { site, haproxy, addresses };
        balanced.serves(1);
        balanced
    }

    #[track_caller]
    fn serves(&self, generation: usize) {
        self.site.serves(generation, &self.addresses.each_ref().map(String::as_str));
    }
}

/// A connection that is kept open.
struct Held {
    client: Running,
    answers: BufReader<std::process::ChildStdout>,
}

impl Held {
    fn open(address: &str) -> Self {
        let mut client = Command::new("timeout");
        client.args(["60", "openssl", "s_client", "-quiet", "-servername", NAME, "-connect"]);
        client.arg(address).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client: Child = client.spawn().unwrap();
        let answers = BufReader::new(client.stdout.take().unwrap());
        Self { client: Running(client), answers }
    }

    /// Asserts that a request is answered.
    fn answers(&mut self) {
        let request = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
        self.client.0.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "\r\n") {
            let mut line = String::new();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "closed after {lines:?}");
            lines.push(line);
        }
        assert!(lines[0].starts_with("HTTP/1.1 200 "), "{lines:?}");
    }
}

#[test]
fn haproxy_takes_the_new_one_without_a_reload() {
    need!("haproxy", "openssl");
    let mut balanced = Balanced::new();
    let _ = balanced.site.issue(&["--target", &balanced.haproxy.target()]).exits(0);
    let mut held = Held::open(&balanced.addresses[0]);
    held.answers();
    let pid = balanced.haproxy.pid();
    let (ran, _) = timed("through the socket", || balanced.site.agent.run(&["renew", "--force"]));
    let _ = ran.exits(0);
    balanced.serves(2);
    held.answers();
    assert!(balanced.haproxy.is_running() && balanced.haproxy.pid() == pid);
    balanced.haproxy.restart();
    balanced.serves(2);
}

#[test]
fn haproxy_gets_the_old_one_back_through_its_socket() {
    need!("haproxy", "openssl");
    let mut balanced = Balanced::new();
    let hook = balanced.site.agent.path("hook");
    script(&hook, "[ \"$ACMEAGENT_GENERATION\" != 2 ]");
    let hook = format!("hook:{}", hook.display());
    let targets = ["--target", &balanced.haproxy.target(), "--target", &hook];
    let _ = balanced.site.issue(&targets).exits(0);
    balanced.site.at_once();
    let mut held = Held::open(&balanced.addresses[0]);
    held.answers();
    let ran = balanced.site.agent.run(&["renew", "--force"]).exits(6);
    let _ = tells_all(ran, 1).says(&["hook ended with exit code 1"]);
    balanced.serves(1);
    held.answers();
    balanced.haproxy.restart();
    balanced.serves(1);
    script(&balanced.site.agent.path("hook"), "");
    let _ = balanced.site.agent.run(&["renew", NAME]).exits(0);
    balanced.serves(2);
    assert_eq!(balanced.site.agent.issued(), 2);
}

/// HAProxy takes the new one, nginx behind it refuses it: both serve the old one.
#[test]
fn two_servers_take_it_both_or_not_at_all() {
    need!("haproxy", "nginx", "openssl");
    let (trial, [port]) = (Trial::new(), free_ports());
    let address = format!("127.0.0.1:{port}");
    let haproxy = Haproxy::serving(&trial.site.agent.path("live").join(NAME), &[&address]);
    // Named explicitly: nginx on IPv4 and IPv6, and HAProxy.
    let mut args = vec!["--target".to_owned(), haproxy.target()];
    args.extend(["--target", "web", "--verify", &address].map(str::to_owned));
    for place in &trial.addresses {
        args.extend(["--verify".to_owned(), place.clone()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let _ = trial.site.issue(&args).exits(0);
    trial.site.at_once();
    trial.configure("    ssl_ciphers DEFAULT@SECLEVEL=3;\n");
    trial.site.edit(|settings| settings.replace("p256", "rsa2048"));
    let (file, _held) = (haproxy.file_number(), haproxy.file_held());
    let (ran, _) = timed("one of two refuses", || trial.site.agent.run(&["renew"]));
    let _ = tells_all(ran.exits(6), 1).says(&["web: it refuses", "key too small"]);
    assert_ne!(haproxy.file_number(), file, "HAProxy had taken it, and was given the old one");
    trial.serves(1);
    trial.site.serves(1, &[&address]);
    trial.configure("");
    trial.goes_on_once_mended(2);
    trial.site.serves(2, &[&address]);
}
