//! What a CA would not believe is found before an order: a real web server at an address the DNS
//! names, and Pebble that looks at the ports of the web.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::dns01::world::{NS, PRIVATE, WEB, WEB_IPV6, World};
use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::named::{Named, zone};
use crate::support::nginx::Nginx;
use crate::support::pebble::{Pebble, Settings};
use crate::support::{script, wait_for};

const NAME: &str = "www.one.example";
const HTTP_ONLY: [&str; 4] = ["-d", NAME, "--challenge", "http-01"];

/// A world in which `one.example` has these records, and Pebble looks where public CAs do.
struct Web {
    world: World,
    _server: Named,
}

impl Web {
    fn with(records: &str) -> Option<Self> {
        let settings = Settings { ports: Some([80, 443]), ..Settings::default() };
        let world = World::looked_at(&[("one", &[NS[0]])], &settings)?;
        let zones = [("one.example", zone(1, &[("ns1", NS[0])], records))];
        let server = world.server(NS[0], &zones, "");
        Some(Self { world, _server: server })
    }

    /// A web server at this address, which serves the files of its folder.
    fn nginx(&self, address: &str) -> Nginx {
        let server =
            |folder: &str| format!("server {{ listen {address}:80; root {folder}/html; }}\n");
        Nginx::in_network(&self.world.network, server)
    }

    /// A folder that no web server serves.
    fn unserved(&self) -> PathBuf {
        let folder = self.world.agent.path("unserved");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// An agent for which this Pebble is one of the CAs that systems trust.
    fn of_public_ca(&self) -> Agent {
        let (pebble, agent) = (&self.world.pebble, Agent::new());
        let root = pebble.get(&format!("{}/roots/0", pebble.management)).unwrap();
        let roots = fs::read_to_string(&pebble.tls_root).unwrap() + &root;
        fs::write(agent.path("roots.pem"), roots).unwrap();
        agent.with_ca(["--server", &pebble.directory, "--agree-tos"])
    }

    fn lets_public(&self, agent: &Agent, args: &[&str]) -> Ran {
        let mut command = agent.command(args);
        command.env("SSL_CERT_FILE", agent.path("roots.pem"));
        Ran::of(self.world.network.command(&command).output().unwrap())
    }

    /// How many orders were opened, and how many validations failed.
    fn spent(&self) -> (usize, usize) {
        let failed = self.world.pebble.log().matches("set INVALID by completed challenge").count();
        (self.world.pebble.orders(), failed)
    }
}

fn issue<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["issue"], args].concat()
}

fn precheck(document: &Value) -> u64 {
    let phases = document["certificates"][0]["phases"].as_array().unwrap();
    phases.iter().find(|one| one["phase"] == "precheck").unwrap()["ms"].as_u64().unwrap()
}

#[test]
fn another_web_server_costs_no_authorization() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl");
    let Some(web) = Web::with(&format!("www A {WEB}")) else { return };
    let _other = web.nginx(WEB);
    let root = web.unserved();
    let root = ["--webroot", root.to_str().unwrap()];
    let why = format!("http-01 would not prove {NAME}: {WEB}: 404 instead of our file");

    let alone = issue(&[&HTTP_ONLY[..], &root].concat());
    let ran = web.world.lets(&web.world.agent, &alone).exits(3);
    println!("alone: {}", ran.stderr);
    let _ = ran.says(&[&why]);
    assert_eq!(web.spent(), (0, 0), "nothing is asked of the CA");

    let credentials = web.world.good_credentials();
    let dns = ["--challenge", "dns-01", "--dns", "rfc2136", "--dns-credentials", &credentials];
    let both = [&["--json"], &issue(&[&HTTP_ONLY[..], &root, &dns].concat())[..]].concat();
    let ran = web.world.lets(&web.world.agent, &both).exits(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let proved = &document["certificates"][0]["proved"];
    assert_eq!(proved["by"], json!({ NAME: "dns-01" }));
    let after = json!([{
        "identifier": NAME, "challenge": "http-01", "spent": false,
        "error": format!("{WEB}: 404 instead of our file"),
    }]);
    assert_eq!(proved["after"], after);
    assert_eq!(web.spent(), (1, 0), "no authorization is spent");
    // tls-alpn-01 needs nobody's web server.
    let next = ["-d", NAME, "--challenge", "http-01", "--challenge", "tls-alpn-01"];
    let next = issue(&[&next[..], &root].concat());
    let told = format!("renewed by tls-alpn-01 after http-01 failed: {WEB}: 404");
    let agent = web.world.pebble.agent();
    let run = |args: &[&str]| web.world.lets(&agent, args).exits(0);
    let _ = run(&next).shows(&[&told]);
    assert_eq!(web.spent(), (2, 0));
    // Told to reuse no authorization, Pebble does so once in a hundred all the same.
    let renewed = (0..5).any(|_| run(&["renew", "--force"]).stdout.contains(&told));
    assert!(renewed, "it was not proven anew");
    assert_eq!(web.spent().1, 0);
}

/// What comes after a type that the CA did not believe is tried out before the next order.
#[test]
fn what_is_fallen_back_on_is_tried_out_first() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl");
    let Some(web) = Web::with(&format!("www A {WEB}")) else { return };
    let _other = web.nginx(WEB);
    let (root, program) = (web.unserved(), web.world.agent.path("dns"));
    // Says that it wrote what it did not.
    script(&program, "exit 0");
    let dns = format!("exec:{}", program.display());
    let dns = ["--challenge", "dns-01", "--dns", &dns, "--dns-propagation-timeout", "0s"];
    let http = ["--challenge", "http-01", "--webroot", root.to_str().unwrap()];
    let ran = web.world.lets(&web.world.agent, &issue(&[&["-d", NAME], &dns[..], &http].concat()));
    let why = format!("; then http-01 would not prove {NAME}: {WEB}: 404 instead of our file");
    let ran = ran.exits(3).says(&[&format!("dns-01 failed for {NAME}: "), &why]);
    println!("{}", ran.stderr);
    assert_eq!(web.spent(), (1, 1), "only the first type costs a validation");
}

#[test]
fn an_address_that_means_something_else_outside_is_only_a_warning() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl");
    let Some(web) = Web::with(&format!("www A {PRIVATE}")) else { return };
    let _other = web.nginx(PRIVATE);
    let root = web.unserved();
    let root = ["--webroot", root.to_str().unwrap()];
    let args = issue(&[&HTTP_ONLY[..], &root].concat());
    // Its own CA sees what is seen here.
    let _ = web.world.lets(&web.world.agent, &args).exits(3).says(&["would not prove"]);
    assert_eq!(web.spent(), (0, 0));
    let public = web.of_public_ca();
    let ran = web.lets_public(&public, &args).exits(3);
    println!("split horizon: {}", ran.stderr);
    let warning = format!("http-01 may fail for {NAME}: {PRIVATE}: 404 instead of our file");
    let _ = ran.says(&[&warning]);
    assert_eq!(web.spent(), (1, 1), "the CA was asked");
    // What the DNS does not know no public CA finds.
    let unknown =
        issue(&[&["-d", "none.one.example", "--challenge", "http-01"], &root[..]].concat());
    let ran = web.lets_public(&public, &unknown).exits(3);
    let _ = ran.says(&["http-01 would not prove none.one.example: the name has no address"]);
    assert_eq!(web.spent(), (1, 1));
}

#[test]
fn one_dead_address_of_two_is_only_a_warning() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl");
    let Some(web) = Web::with(&format!("www A {WEB}\nwww AAAA {WEB_IPV6}")) else { return };
    let nginx = web.nginx(WEB);
    let root = ["--webroot", nginx.webroot.to_str().unwrap()];
    let ran = web.world.lets(&web.world.agent, &issue(&[&HTTP_ONLY[..], &root].concat()));
    println!("dead IPv6: exit {}: {}", ran.code, ran.stderr);
    let warning = format!("http-01 may fail for {NAME}: {WEB_IPV6}: connection refused");
    let _ = ran.says(&[&warning]);
    assert_eq!(web.spent().0, 1);
}

/// What is known of the others by then counts all the same.
#[test]
fn a_silent_server_hides_nothing_of_other_names() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl", "python3");
    let Some(web) = Web::with(&format!("www A {WEB}\nsilent A {}", NS[1])) else { return };
    let _other = web.nginx(WEB);
    let mut silent = Command::new("python3");
    let listen =
        "import socket, sys, time; s = socket.create_server((sys.argv[1], 80)); time.sleep(600)";
    silent.args(["-c", listen, NS[1]]);
    let _silent = web.world.network.start(&silent);
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "1", &format!("http://{}/", NS[1])]);
    let curl = || web.world.network.command(&curl).status().unwrap();
    wait_for("a server that takes connections and says nothing", || curl().code() == Some(28));

    let root = web.unserved();
    let names = ["-d", "silent.one.example", "-d", NAME, "--challenge", "http-01"];
    let names = [&names[..], &["--webroot", root.to_str().unwrap()]].concat();
    let ran = web.world.lets(&web.world.agent, &issue(&names)).exits(3);
    let _ = ran.says(&[&format!("http-01 would not prove {NAME}: {WEB}: 404")]);
    assert_eq!(web.spent(), (0, 0), "nothing is asked of the CA");
}

#[test]
fn a_silent_resolver_holds_nobody_up() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl");
    let names: Vec<String> = (0..20).map(|number| format!("n{number}.one.example")).collect();
    let records: Vec<String> = (0..20).map(|number| format!("n{number} A {WEB}")).collect();
    let Some(web) = Web::with(&records.join("\n")) else { return };
    let nginx = web.nginx(WEB);
    // The CA has a way of its own.
    let settings = Settings { ports: Some([80, 443]), ..Settings::default() };
    let pebble = Pebble::start_in(&web.world.network, NS[0], &settings);
    web.world.resolver.fall_silent();
    let agent = pebble.agent();
    let root = nginx.webroot.to_str().unwrap();
    let names = names.join(",");
    let args = ["--json", "issue", "-d", &names, "--challenge", "http-01", "--webroot", root];
    let began = Instant::now();
    let ran = web.world.lets(&agent, &args).exits(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    println!(
        "20 names, silent resolver: precheck {} ms of {} ms",
        precheck(&document),
        began.elapsed().as_millis()
    );
    assert_eq!(pebble.orders(), 1);
}

/// What a healthy renewal pays for it is printed, not asserted.
#[test]
fn a_healthy_renewal_passes_it() {
    need!("pebble", "named", "nginx", "ip", "unshare", "nsenter", "curl");
    let Some(web) = Web::with(&format!("www A {WEB}")) else { return };
    // Nobody here knows where a private CA looks whose ports are set.
    let elsewhere = Pebble::start_in(&web.world.network, NS[0], &Settings::default());
    let (here, there) = (&web.world.agent, elsewhere.agent());
    for agent in [here, &there] {
        let _ = web.world.lets(agent, &issue(&HTTP_ONLY)).exits(0);
    }
    let renew = |agent: &Agent| {
        let ran = web.world.lets(agent, &["--json", "renew", "--force"]).exits(0);
        precheck(&serde_json::from_str(&ran.stdout).unwrap())
    };
    for round in 1..=3 {
        let (with, without) = (renew(here), renew(&there));
        println!("precheck of renewal {round}: {with} ms with the self-test, {without} ms without");
    }
    assert_eq!(web.spent(), (4, 0));
}
