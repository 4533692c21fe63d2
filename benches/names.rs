//! A hundred wildcard names over four zones in one order, by dns-01 with RFC 2136: the agent beside
//! lego, with the same BIND and the same Pebble, in a network of their own.
//!
//! No figure makes this fail; only something that does not work does.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub
)]

#[path = "peers/figures.rs"]
mod figures;
#[path = "peers/measure.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "peers/table.rs"]
mod table;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::Value;
use tempfile::TempDir;

use measure::cost;
use support::agent::Agent;
use support::named::{Named, Setup, zone};
use support::network::Network;
use support::pebble::{Pebble, Settings};
use support::tools;
use table::{Row, print};

const RESOLVER: &str = "203.0.113.53";
const SERVER: &str = "203.0.113.1";
const STATISTICS: u16 = 8053;

const ZONES: usize = 4;
const NAMES: usize = 100;

/// The TSIG key both clients have.
const KEY: &str = "bench";
const SECRET: &str = "YWNtZWFnZW50IGJlbmNoIGtleSwgMzIgYnl0ZXMhISE=";

fn main() -> ExitCode {
    if let Some(measured) = measure::measure_if_asked() {
        return measured;
    }
    if let Some(missing) = ["pebble", "named", "curl", "ip", "unshare", "nsenter"]
        .iter()
        .find(|program| tools::find(program).is_none())
    {
        println!("{missing} is not installed: nothing is measured.");
        return ExitCode::SUCCESS;
    }
    let Some(network) = Network::with(&[RESOLVER, SERVER], RESOLVER) else {
        println!("This machine allows no network of its own: nothing is measured.");
        return ExitCode::SUCCESS;
    };
    let dns = Dns::start(&network);
    let pebble = Pebble::start_in(&network, RESOLVER, &Settings::default());
    let mut rows = vec![measure(&dns, &Ours::new(&pebble))];
    match tools::find("lego") {
        Some(program) => rows.push(measure(&dns, &Lego::new(program, &pebble))),
        None => println!("lego is not installed and so not measured."),
    }
    print("A hundred wildcard names over four zones, one order, dns-01 by RFC 2136", &rows);
    ExitCode::SUCCESS
}

/// A client as far as this is concerned.
trait Client {
    fn name(&self) -> String;

    /// How often it is measured.
    fn runs(&self) -> u32;

    /// Issues one certificate for these names, and waits no longer than it needs to.
    fn issue(&self, names: &[String]) -> Command;
}

fn measure(dns: &Dns<'_>, client: &impl Client) -> Row {
    let run = |number: u32, names: usize| {
        let names: Vec<String> = (0..names)
            .map(|name| format!("*.r{number}n{name}.{}", zone_name(name % ZONES)))
            .collect();
        let before = dns.updates();
        let cost = cost(&[dns.network.command(&client.issue(&names))]);
        (cost, dns.updates() - before)
    };
    // The first has an account to open.
    run(0, 1);
    let runs = (1..=client.runs()).map(|number| run(number, NAMES));
    let (costs, updates): (Vec<_>, Vec<_>) = runs.unzip();
    println!("  {}: {updates:?} update messages reached the server", client.name());
    Row { client: client.name(), costs, share: 1 }
}

fn zone_name(number: usize) -> String {
    format!("zone{number}.example")
}

/// One authoritative server for all zones, and a resolver that finds it.
struct Dns<'a> {
    network: &'a Network,
    _server: Named,
    _resolver: Named,
}

impl<'a> Dns<'a> {
    fn start(network: &'a Network) -> Self {
        let names: Vec<String> = (0..ZONES).map(zone_name).collect();
        let records = || zone(1, &[("ns1", SERVER)], "");
        let zones: Vec<(&str, String)> =
            names.iter().map(|name| (name.as_str(), records())).collect();
        let more = format!(
            "key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
             statistics-channels {{ inet {SERVER} port {STATISTICS} allow {{ any; }}; }};\n"
        );
        let options = format!("recursion no; allow-update {{ key {KEY}; }};");
        let setup = Setup { address: SERVER, zones: &zones, more: &more, options: &options };
        let server = Named::start(network, &setup);
        let stubs = names.iter().map(|name| {
            format!("zone \"{name}\" {{ type static-stub; server-addresses {{ {SERVER}; }}; }};\n")
        });
        let more: String = stubs.collect();
        let example = [("example", zone(1, &[("ns1", RESOLVER)], ""))];
        // Pebble asks three times for each name, all at once.
        let options = "recursion yes; allow-recursion { any; }; dnssec-validation no; tcp-clients 2000; tcp-listen-queue 1000;";
        let setup = Setup { address: RESOLVER, zones: &example, more: &more, options };
        let resolver = Named::start(network, &setup);
        Self { network, _server: server, _resolver: resolver }
    }

    /// How many update messages the server was sent so far, by its own count.
    fn updates(&self) -> u64 {
        let mut curl = Command::new("curl");
        curl.args(["-sf", "--max-time", "5"]);
        curl.arg(format!("http://{SERVER}:{STATISTICS}/json/v1/server"));
        let output = self.network.command(&curl).output().unwrap();
        let counts: Value = serde_json::from_slice(&output.stdout).expect("BIND counts");
        counts["opcodes"]["UPDATE"].as_u64().unwrap_or_default()
    }
}

struct Ours {
    agent: Agent,
    credentials: PathBuf,
}

impl Ours {
    fn new(pebble: &Pebble) -> Self {
        let root = pebble.tls_root.to_str().unwrap();
        let server = ["--server", pebble.directory.as_str(), "--ca-root", root, "--agree-tos"];
        let agent = Agent::new().with_ca(server);
        let credentials = agent.path("rfc2136.toml");
        let text = format!("server = \"{SERVER}\"\nkey = \"{KEY}\"\nsecret = \"{SECRET}\"\n");
        fs::write(&credentials, text).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        Self { agent, credentials }
    }
}

impl Client for Ours {
    fn name(&self) -> String {
        format!("acmeagent {}", env!("CARGO_PKG_VERSION"))
    }

    fn runs(&self) -> u32 {
        5
    }

    fn issue(&self, names: &[String]) -> Command {
        let credentials = self.credentials.to_str().unwrap();
        let mut args = vec!["issue", "--dns", "rfc2136", "--dns-credentials", credentials];
        args.extend(names.iter().flat_map(|name| ["-d", name]));
        self.agent.command(&args)
    }
}

struct Lego {
    program: PathBuf,
    directory: String,
    tls_root: PathBuf,
    home: TempDir,
}

impl Lego {
    fn new(program: PathBuf, pebble: &Pebble) -> Self {
        let (directory, tls_root) = (pebble.directory.clone(), pebble.tls_root.clone());
        Self { program, directory, tls_root, home: tempfile::tempdir().unwrap() }
    }
}

impl Client for Lego {
    fn name(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = text.split_whitespace().filter(|one| !["version", "linux/amd64"].contains(one));
        format!("{}, no minute between", words.collect::<Vec<_>>().join(" "))
    }

    fn runs(&self) -> u32 {
        1
    }

    fn issue(&self, names: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LEGO_CA_CERTIFICATES", &self.tls_root);
        command.env("DNSUPDATE_NAMESERVER", SERVER);
        command.env("DNSUPDATE_TSIG_KEY", KEY).env("DNSUPDATE_TSIG_SECRET", SECRET);
        command.env("DNSUPDATE_TSIG_ALGORITHM", "hmac-sha256.");
        // It takes one name after the other, waits a minute between two of them and two seconds
        // between two looks, unless told.
        command.env("DNSUPDATE_SEQUENCE_INTERVAL", "0").env("DNSUPDATE_POLLING_INTERVAL", "1");
        command.args(["run", "-a", "-m", "bench@example.org", "-s", &self.directory]);
        command.args([
            "--dns",
            "dnsupdate",
            "--dns.resolvers",
            &format!("{RESOLVER}:53"),
            "--path",
        ]);
        command.arg(self.home.path());
        command.args(names.iter().flat_map(|name| ["-d", name]));
        command
    }
}
