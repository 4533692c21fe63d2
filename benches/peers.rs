//! The agent beside certbot, lego and acme.sh, whichever are installed: whole processes against one
//! Pebble that neither sleeps nor refuses nonces.
//!
//! No figure makes this fail; only something that does not work does. Peers issue one certificate
//! after the other, so ten of them stand for the hundred unless `PEERS_FULL` is set.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub
)]

#[path = "peers/acme_sh.rs"]
mod acme_sh;
#[path = "peers/certbot.rs"]
mod certbot;
#[path = "peers/client.rs"]
mod client;
#[path = "peers/due.rs"]
mod due;
#[path = "peers/figures.rs"]
mod figures;
#[path = "peers/lego.rs"]
mod lego;
#[path = "peers/measure.rs"]
mod measure;
#[path = "peers/ours.rs"]
mod ours;
#[path = "peers/relay.rs"]
mod relay;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "peers/table.rs"]
mod table;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use client::{Client, Site};
use due::{cpu_of, let_windows_end};
use measure::{Cost, cost};
use ours::Ours;
use relay::Relay;
use support::pebble::{Pebble, Settings};
use support::tools;
use table::{Row, print};

fn main() -> ExitCode {
    if let Some(measured) = measure::measure_if_asked() {
        return measured;
    }
    if let Some(missing) =
        ["pebble", "pebble-challtestsrv", "curl"].iter().find(|it| tools::find(it).is_none())
    {
        println!("{missing} is not installed: nothing is measured beside the peers.");
        return ExitCode::SUCCESS;
    }
    let pebble = Pebble::start(&Settings::default());
    let site = Site::of(&pebble);
    println!("Medians of whole processes; the ratio compares what one certificate took with ours.");
    for program in ["certbot", "lego", "acme.sh"] {
        if tools::find(program).is_none() {
            println!("{program} is not installed and so not measured.");
        }
    }
    one(&site);
    round_trips(&pebble);
    let _many = many(&pebble, &site);
    let _kept = (nothing_due(&site), polls_due(&site));
    start_up(&site);
    rollback(&site);
    size(&site);
    ExitCode::SUCCESS
}

/// How many certificates the agent may work on at once where a thousand are due.
const JOBS: u32 = 32;

/// Every client that is installed, each in a home of its own.
fn peers(site: &Site) -> Vec<Box<dyn Client>> {
    let certbot = tools::find("certbot")
        .map(|program| Box::new(certbot::Certbot::new(program, site)) as Box<dyn Client>);
    let lego = tools::find("lego")
        .map(|program| Box::new(lego::Lego::new(program, site)) as Box<dyn Client>);
    let acme_sh = tools::find("acme.sh")
        .map(|program| Box::new(acme_sh::AcmeSh::new(program, site)) as Box<dyn Client>);
    certbot.into_iter().chain(lego).chain(acme_sh).collect()
}

fn all(site: &Site) -> Vec<Box<dyn Client>> {
    let ours: Box<dyn Client> = Box::new(Ours::new(site));
    [ours].into_iter().chain(peers(site)).collect()
}

/// What `--version` says in its first line.
fn version_of(client: &impl Client) -> String {
    let output = client.version().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|word| !["version", "linux/amd64"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}

/// The name of the certificate every client holds before it is measured: so it has an account.
const FIRST: &str = "first.example";

fn one(site: &Site) {
    let rows: Vec<Row> = all(site)
        .iter()
        .map(|client| {
            cost(&[client.issue(FIRST)]);
            let issue = |number| cost(&[client.issue(&format!("one{number}.example"))]);
            Row { client: client.name(), costs: (0..11).map(issue).collect(), share: 1 }
        })
        .collect();
    print("(a) One certificate: new P-256 key, account existing, http-01", &rows);
}

fn round_trips(pebble: &Pebble) {
    let port = pebble.directory.rsplit([':', '/']).nth(1).unwrap();
    let relay = Relay::to(port.parse().unwrap());
    let directory = pebble.directory.replace(port, &relay.port.to_string());
    println!("\n    what that takes    requests  connections");
    for client in all(&Site { directory, ..Site::of(pebble) }) {
        cost(&[client.issue(FIRST)]);
        let before = (requests(pebble), relay.connections());
        cost(&[client.issue("counted.example")]);
        let (requests, connections) = (requests(pebble) - before.0, relay.connections() - before.1);
        println!("    {:<20}{requests:>7}  {connections:>11}", client.name());
    }
}

fn requests(pebble: &Pebble) -> usize {
    pebble.log().matches("-> calling handler()").count()
}

/// Returns who was replaced a thousand times; see [`nothing_due`].
fn many(pebble: &Pebble, site: &Site) -> Ours {
    let of_peers = if std::env::var_os("PEERS_FULL").is_some() { 100 } else { 10 };
    let issue_all = |client: &dyn Client, count: u32| {
        cost(&[client.issue(FIRST)]);
        let domains: Vec<_> = (0..count).map(|number| format!("many{number}.example")).collect();
        cost(&client.issue_all(&domains))
    };
    let hundred = (0..3).map(|_| issue_all(&Ours::new(site), 100)).collect();
    let thousand = Ours::new(site);
    issue_all(&thousand, 999);
    let due: Vec<_> = (0..3).map(|_| all_due(&thousand, pebble)).collect();
    let costs = due.iter().map(|(cost, _)| *cost).collect();
    let mut rows = vec![
        Row { client: "100: acmeagent".to_owned(), costs: hundred, share: 100 },
        Row { client: "1000 due at once: acmeagent".to_owned(), costs, share: 1000 },
    ];
    rows.extend(peers(site).iter().map(|client| Row {
        client: format!("{of_peers}: {}", client.name()),
        costs: vec![issue_all(&**client, of_peers)],
        share: of_peers,
    }));
    print("(b) Many certificates: one run where the client can do that", &rows);
    for (cost, of_pebble) in due {
        let (wall, of_agent) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
        let of_pebble = of_pebble.as_secs_f64();
        println!("    1000 in {wall:.1} s: CPU {of_agent:.1} s the agent, {of_pebble:.1} s Pebble");
    }
    thousand
}

/// A CA that wants the thousand certificates it issued to be replaced at once: what a run costs
/// that asks it about each and replaces them all, and what that costs Pebble.
fn all_due(ours: &Ours, pebble: &Pebble) -> (Cost, Duration) {
    let_windows_end(pebble, &ours.leaves());
    ours.let_polls_fall_due();
    let before = (pebble.orders(), cpu_of(pebble));
    let cost = cost(&[ours.renew_at_once(JOBS)]);
    let of_pebble = cpu_of(pebble) - before.1;
    assert_eq!(pebble.orders() - before.0, 1000);
    (cost, of_pebble)
}

/// Returns the clients, for the home of none is to be removed before the end: a file system that
/// has just deleted a hundred thousand files may be slow to make new ones.
fn nothing_due(site: &Site) -> Vec<Box<dyn Client>> {
    let pass_over = |client: &dyn Client, count: usize, runs: usize| {
        cost(&[client.issue(FIRST)]);
        let pass = [client.pass_over(FIRST, count)?];
        cost(&pass); // What is kept from run to run is there afterwards.
        let costs = (0..runs).map(|_| cost(&pass)).collect();
        Some(Row { client: format!("{count}: {}", client.name()), costs, share: 1 })
    };
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Ours::new(site))];
    let many = pass_over(&*clients[0], 10_000, 11);
    clients.extend(all(site));
    let others = clients[1..].iter().filter_map(|client| pass_over(&**client, 1000, 5));
    let rows: Vec<Row> = many.into_iter().chain(others).collect();
    print("(c) The regular run with nothing due, by certificates held", &rows);
    clients
}

fn polls_due(site: &Site) -> Ours {
    let ours = Ours::new(site);
    cost(&[ours.issue(FIRST)]);
    let pass = [ours.pass_over(FIRST, 1000).unwrap()];
    cost(&pass);
    let polls = (0..5).map(|_| {
        ours.let_polls_fall_due();
        cost(&pass)
    });
    let rows = [Row { client: "1000: acmeagent".to_owned(), costs: polls.collect(), share: 1000 }];
    print("    the same with 1000 ARI polls due at once (lego asks for all in every run)", &rows);
    ours
}

fn start_up(site: &Site) {
    let row = |client: &dyn Client| {
        let costs = (0..15).map(|_| cost(&[client.version()])).collect();
        Row { client: client.name(), costs, share: 1 }
    };
    print(
        "(d) --version",
        &all(site).iter().map(|client| row(client.as_ref())).collect::<Vec<_>>(),
    );
}

fn rollback(site: &Site) {
    let ours = Ours::new(site);
    cost(&[ours.issue(FIRST)]);
    let mut again = ours.issue(FIRST);
    again.arg("--force");
    cost(&[again]);
    let both = || cost(&[ours.roll_back(FIRST, 1), ours.roll_back(FIRST, 2)]);
    let costs = (0..15).map(|_| both()).collect();
    let rows = [Row { client: "acmeagent".to_owned(), costs, share: 2 }];
    print("(e) Rollback and back again: two processes (no peer can)", &rows);
}

fn size(site: &Site) {
    println!("\n(f) Installed, in MB");
    let line =
        |name: &str, path: &Path| println!("  {name:<40}{:>6.1}", bytes_in(path) as f64 / 1e6);
    for client in all(site) {
        line(&client.name(), &client.installed());
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-musl");
    match target.join("dist/acmeagent") {
        found if found.exists() => line("the same, static (musl)", &found),
        _ => println!("  the same, static (musl)                 not built"),
    }
}

fn bytes_in(path: &Path) -> u64 {
    let facts = fs::symlink_metadata(path).unwrap();
    if !facts.is_dir() {
        return facts.len();
    }
    fs::read_dir(path).unwrap().map(|entry| bytes_in(&entry.unwrap().path())).sum()
}
