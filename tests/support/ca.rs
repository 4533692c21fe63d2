//! `acmeagent drill ca`: our own CA as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use chrono::{DateTime, SecondsFormat, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::agent::Agent;
use super::clock::{Clock, shift};
use super::network::Network;
use super::{Running, free_ports};

pub struct Ca {
    pub directory: String,
    pub management: String,
    pub tls_root: PathBuf,
    pub issuing_root: PathBuf,
    /// Where it looks for answers.
    pub http_port: u16,
    pub tls_port: u16,
    home: Agent,
    args: Vec<String>,
    process: Serving,
}

impl Ca {
    pub fn start() -> Self {
        Self::started(Agent::new(), free_ports(), &[], |command| command)
    }

    /// Starts one that only this network reaches.
    pub fn start_in(network: &Network) -> Self {
        Self::started(Agent::new(), free_ports(), &[], |command| network.command(&command))
    }

    /// One that looks for answers at these ports.
    pub fn looking_at(http_port: u16, tls_port: u16) -> Self {
        Self::started(Agent::new(), [http_port, tls_port], &[], |command| command)
    }

    /// One that behaves as this file for `--behaviour` says.
    pub fn behaving(toml: &str) -> Self {
        Self::told(Agent::new(), free_ports(), toml)
    }

    /// The same, where only this network reaches it.
    pub fn behaving_in(network: &Network, toml: &str) -> Self {
        let home = Agent::new();
        let file = home.path("behaviour.toml");
        std::fs::write(&file, toml).unwrap();
        let args = ["--behaviour", file.to_str().unwrap()];
        Self::started(home, free_ports(), &args, |command| network.command(&command))
    }

    /// The same, asking this name server of the network what names say in the DNS.
    pub fn asking_in(network: &Network, name_server: &str, toml: &str) -> Self {
        let home = Agent::new();
        let file = home.path("behaviour.toml");
        std::fs::write(&file, toml).unwrap();
        let args = ["--behaviour", file.to_str().unwrap(), "--dns-server", name_server];
        Self::started(home, free_ports(), &args, |command| network.command(&command))
    }

    /// The same, going by that clock.
    pub fn by(clock: &Clock, toml: &str) -> Self {
        Self::told(Agent::new().by(clock), free_ports(), toml)
    }

    /// Another one, going by that clock, that looks for answers where this one does.
    pub fn beside(&self, clock: &Clock, toml: &str) -> Self {
        Self::told(Agent::new().by(clock), [self.http_port, self.tls_port], toml)
    }

    fn told(home: Agent, ports: [u16; 2], toml: &str) -> Self {
        let file = home.path("behaviour.toml");
        std::fs::write(&file, toml).unwrap();
        Self::started(home, ports, &["--behaviour", file.to_str().unwrap()], |command| command)
    }

    fn started(
        home: Agent,
        ports: [u16; 2],
        args: &[&str],
        place: impl Fn(Command) -> Command,
    ) -> Self {
        let [http_port, tls_port] = ports;
        let ports = [http_port, tls_port].map(|port| port.to_string());
        let ports = ["--http-01-port", &ports[0], "--tls-alpn-01-port", &ports[1]];
        let args = [&["--json", "drill", "ca"], &ports[..], args].concat();
        let (process, ready) = Serving::start(&mut place(home.command(&args)));
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self {
            directory: text("directory"),
            management: text("management"),
            tls_root: text("tls_root").into(),
            issuing_root: text("issuing_root").into(),
            http_port,
            tls_port,
            home,
            args: args.into_iter().map(str::to_owned).collect(),
            process,
        }
    }

    /// Ends it: nobody answers at its address any more.
    pub fn stop(&mut self) {
        self.process.end();
    }

    /// Starts it anew at its old address, with a clock that stands elsewhere, as in `+8d`. Needs `faketime`.
    pub fn start_at(&mut self, time: &str) {
        self.stop();
        let address = self.directory.trim_start_matches("https://").trim_end_matches("/directory");
        let mut args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        args.extend(["--listen", address]);
        let mut command = self.home.command(&args);
        shift(&mut command, time);
        self.process = Serving::start(&mut command).0;
    }

    /// How many certificates it issued.
    pub fn issued(&self) -> usize {
        self.home.issued()
    }

    /// How many orders it was given for an identifier.
    pub fn orders(&self, identifier: &str) -> usize {
        self.manage(&format!("orders/{identifier}"), None)["orders"].as_array().unwrap().len()
    }

    /// How often it was asked for an order that names this identifier, refusals included.
    pub fn asked(&self, identifier: &str) -> u64 {
        self.manage("requests", None)["newOrders"][identifier].as_u64().unwrap_or(0)
    }

    /// Asks its management, by POST if there is something to say; `null` is an empty answer.
    pub fn manage(&self, path: &str, body: Option<Value>) -> Value {
        let mut curl = Command::new("curl");
        // Its certificate may be of another day; it is ours, on loopback.
        curl.args(["-sSf", "--max-time", "5", "--insecure"]);
        curl.arg(format!("{}/{path}", self.management));
        if let Some(body) = body {
            curl.args(["--data", &body.to_string()]);
        }
        let output = curl.output().unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        match output.stdout.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&output.stdout).unwrap(),
        }
    }

    /// Suggests another renewal window for the certificate with this serial number.
    pub fn suggest(&self, serial: &str, from: DateTime<Utc>, to: DateTime<Utc>) {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let window = json!({"serial": serial, "window": {"start": time(from), "end": time(to)}});
        let mut curl = Command::new("curl");
        curl.args(["-sf", "--max-time", "5", "--cacert"]).arg(&self.tls_root);
        curl.args(["--data", &window.to_string()]);
        let answer = curl.arg(format!("{}/renewal-info", self.management)).output().unwrap();
        assert!(answer.status.success(), "{window}: {answer:?}");
    }

    /// How often it was asked for a resource, by the name it has in its URL.
    pub fn requests(&self, resource: &str) -> u64 {
        self.manage("requests", None)["paths"][resource].as_u64().unwrap_or(0)
    }

    /// An agent that knows this CA by a name of its own, with the limits of Let's Encrypt.
    pub fn limited_agent(&self) -> Agent {
        let agent = Agent::new().with_ca(["--ca", "corp", "--agree-tos"]);
        agent.knows([("corp", self)]);
        agent
    }

    /// An agent that orders here, answering where this CA looks.
    pub fn agent(&self) -> Agent {
        Agent::ordering_at(&self.directory, &self.tls_root, self.http_port, self.tls_port)
    }
}

/// The process that serves, and the one it was started within: faketime(1) is its parent.
struct Serving {
    started: Running,
    pid: Pid,
}

impl Serving {
    /// Starts it and waits for what it says when it is ready.
    fn start(command: &mut Command) -> (Self, Value) {
        let mut started = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(started.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON when ready");
        let pid = Pid::from_raw(ready["pid"].as_i64().unwrap().try_into().unwrap());
        (Self { started, pid }, ready)
    }

    fn end(&mut self) {
        // While its parent is there, nobody else has its number.
        if !self.started.has_ended() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        let _ = self.started.0.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}
