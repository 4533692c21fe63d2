//! A certificate is judged by a share of the real clients of a rustls server before all get it.

use std::fs;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rustls::pki_types::ServerName;
use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clients::{Clients, Population, Seen, roots};
use crate::support::clock::Clock;
use crate::support::reload::RustlsServer;

const NAME: &str = "127.0.0.1";

/// Two CAs, a certificate of the first, and a server that serves it.
struct Site {
    agent: Agent,
    clock: Clock,
    first: Ca,
    second: Ca,
    server: RustlsServer,
}

impl Site {
    /// `settings` are added to the certificate's once the server is there.
    fn new(settings: &str) -> Self {
        let first = Ca::start();
        let second = Ca::looking_at(first.http_port, first.tls_port);
        let clock = Clock::right();
        let agent = Agent::new().by(&clock);
        agent.knows([("first", &first), ("second", &second)]);
        let _ = agent.run(&["issue", "-d", NAME, "--ca", "first", "--agree-tos"]).exits(0);
        let socket = agent.path("server.sock");
        let server = RustlsServer::start(socket, vec![agent.path(&format!("live/{NAME}"))]);
        serve_by(&agent, NAME, &server, settings);
        Self { agent, clock, first, second, server }
    }

    /// Clients of which that many of a hundred know the first CA only.
    fn population(&self, of_hundred: u64) -> Population {
        Population {
            server: self.server.address,
            name: ServerName::try_from(NAME).unwrap(),
            first: roots(&self.first.issuing_root),
            second: roots(&self.second.issuing_root),
            of_hundred,
        }
    }

    fn clients(&self, of_hundred: u64) -> Clients {
        Clients::come(self.population(of_hundred))
    }

    fn live(&self) -> u64 {
        let (_, status) = self.agent.json(&["status", NAME]);
        status["certificates"][0]["generation"].as_u64().unwrap()
    }

    /// Claims that the server has what is live, and nothing else on its way.
    #[track_caller]
    fn assert_settled(&self) {
        let held = self.server.holds(NAME);
        let (_, status) = self.agent.json(&["status", NAME]);
        assert_eq!(held["fingerprint"], status["certificates"][0]["fingerprint_sha256"]);
        assert_eq!(held["prepared"], Value::Null);
        assert_eq!(self.agent.facts(NAME)["intent"], Value::Null);
    }
}

/// Waits for what clients do, who share a slow machine with all other tests.
#[track_caller]
fn patiently(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(240), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes a server the target of a certificate, and adds to its settings; `TARGET` stands for it.
fn serve_by(agent: &Agent, name: &str, server: &RustlsServer, settings: &str) {
    let file = agent.path(&format!("certificates/{name}.toml"));
    let target = format!("\"rustls:{}\"", server.socket.display());
    let settings = settings.replace("TARGET", &target);
    let held = fs::read_to_string(&file).unwrap();
    let text = format!("targets = [{target}]\n{held}{settings}");
    let edited = agent.path("edited.toml");
    fs::write(&edited, text).unwrap();
    fs::rename(edited, file).unwrap();
}

fn count(counted: &Value, what: &str) -> u64 {
    counted[what].as_u64().unwrap()
}

/// Both CAs go by the same name, so that a client finds the signature to be wrong.
fn refused(counted: &Value) -> u64 {
    let alerts = &counted["failed"]["alerts"];
    ["unknown_ca", "decrypt_error"].iter().filter_map(|alert| alerts[alert].as_u64()).sum()
}

/// A machine that stands still for a moment makes no certificate slow.
const ANY_LATENCY: &str = "latency = \"60s\"\n";

/// The orders of one agent.
const TO_THE_SECOND: [&str; 6] = ["issue", "-d", NAME, "--ca", "second", "--agree-tos"];

#[test]
fn a_certificate_that_two_of_a_hundred_refuse_goes_back_at_five_percent() {
    need!("curl", "faketime");
    // The chance to see fewer than two refusals in a thousand is one in ten million.
    // However slow this machine is, the share stays until enough of them came.
    let wave = "[[rollout.wave]]\ntargets = [TARGET]\npercent = 5\nsoak = \"60s\"\n";
    let site = Site::new(&format!("\n[verify]\n{ANY_LATENCY}sample = 1000\n{}", wave.repeat(4)));
    let clients = site.clients(2);
    patiently("clients to come", || clients.seen().completed > 3000);
    let before = clients.seen();
    let began = Instant::now();
    let issuing = site.agent.spawn(&TO_THE_SECOND);
    let mut last = None;
    let mut issuing = issuing;
    while !issuing.has_ended() {
        last = site.server.counted(NAME, "prepared").or(last);
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    let ran = issuing.ends();
    let during = clients.seen();
    let enough = during.completed + 3000;
    patiently("clients to go on", || clients.seen().completed > enough);
    let all = clients.leave();
    println!("{}", ran.stderr);
    let canary = last.expect("the canary was seen");
    let old = site.server.counted(NAME, "active").unwrap();
    let handshakes = |seen: Seen| seen.completed + seen.refused;
    println!(
        "clients: {} handshakes, {} of them while it was tried ({took:.1?}), {} refused, {} odd\n\
         server: {} with the old one, {} + {} refused with the new one when last asked\n\
         hurt: {:.3} % of all, {:.3} % of those of the rollout",
        handshakes(all),
        handshakes(during) - handshakes(before),
        all.refused,
        all.failed,
        count(&old, "completed"),
        count(&canary, "completed"),
        refused(&canary),
        100.0 * all.refused as f64 / handshakes(all) as f64,
        100.0 * all.refused as f64 / (handshakes(during) - handshakes(before)) as f64,
    );
    let ran = ran.exits(6);
    let _ = ran.says(&["clients refuse the certificate"]);
    assert_eq!((site.live(), site.agent.generations(NAME)), (1, 2));
    site.assert_settled();
    assert_eq!(site.agent.facts(NAME)["bad"], serde_json::json!([2]), "it is not tried again");
    assert_eq!(all.failed, 0);
    assert!(all.refused >= refused(&canary) && refused(&canary) >= 2);
    assert!(1000 * all.refused <= handshakes(all), "{} hurt", all.refused);
    // What the old one served is exact; what the new one did is known up to the last look.
    let with_new = all.completed - count(&old, "completed");
    assert!(with_new >= count(&canary, "completed"), "{with_new}");
    assert!(with_new < count(&canary, "completed") + 100, "{with_new}");
    assert_eq!((refused(&old), &old["failed"]["io"]), (0, &0.into()));

    let tally = site.agent.tally();
    assert_eq!(
        (&tally["errors"]["clients"]["count"], tally["since"].is_string()),
        (&1.into(), true)
    );
    let counted = &tally["certificates"][NAME]["handshakes"];
    let refused = |which: &str| counted[which]["refused"].as_u64().unwrap();
    assert!(refused("new") >= 2 && refused("old") == 0, "{counted:#}");
    assert!(counted["old"]["mean"].as_f64().unwrap() > 0.0, "{counted:#}");
}

#[test]
fn a_certificate_that_nobody_refuses_is_promoted_step_by_step() {
    need!("curl", "faketime");
    let site = Site::new(&format!("\n[verify]\n{ANY_LATENCY}sample = 30\n"));
    let clients = site.clients(0);
    patiently("clients to come", || clients.seen().completed > 100);
    let began = Instant::now();
    let mut issuing = site.agent.spawn(&TO_THE_SECOND);
    let mut shares = Vec::new();
    while !issuing.has_ended() {
        if let Some(canary) = site.server.counted(NAME, "prepared") {
            let share = (count(&canary, "percent"), count(&canary, "completed"));
            shares.retain(|(percent, _)| *percent != share.0);
            shares.push(share);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    let ran = issuing.ends().exits(0);
    assert!(!ran.stderr.contains("going on although"), "{ran:#?}");
    let some = clients.seen().completed + 200;
    patiently("clients to go on", || clients.seen().completed > some);
    let all = clients.leave();
    let new = site.server.counted(NAME, "active").unwrap();
    let old = site.server.counted(NAME, "previous").unwrap();
    println!(
        "clients: {} handshakes, {} refused, {} odd; promoted after {took:.1?}\n\
         server: {} with the old one, {} with the new one; shares and their handshakes: {shares:?}",
        all.completed,
        all.refused,
        all.failed,
        count(&old, "completed"),
        count(&new, "completed"),
    );
    assert_eq!((all.refused, all.failed), (0, 0));
    assert_eq!(all.completed, count(&old, "completed") + count(&new, "completed"));
    let percents: Vec<u64> =
        shares.iter().map(|(percent, _)| *percent).filter(|p| *p > 0).collect();
    assert_eq!(percents, [5, 50]);
    assert_eq!(site.live(), 2);
    site.assert_settled();
}

/// Long enough for several runs, and judged by few.
const SLOW: &str = r#"
[verify]
latency = "60s"
sample = 100
[[rollout.wave]]
percent = 5
soak = "2h"
[[rollout.wave]]
soak = "0s"
"#;

/// What is live is new already, so that a server that starts anew serves nothing else.
#[test]
fn a_server_that_is_restarted_in_mid_canary_is_judged_all_the_same() {
    need!("curl", "faketime");
    let mut site = Site::new(SLOW);
    let _ = site.agent.run(&TO_THE_SECOND).exits(0).shows(&["step 1 of 2", "at 5 %"]);
    assert_eq!(site.server.holds(NAME)["prepared"]["percent"], 5);
    site.server.restart();
    assert_eq!(site.server.holds(NAME)["prepared"], Value::Null);
    let _ = site.agent.run(&["renew", NAME]).exits(0).shows(&["step 1 of 2"]);
    let clients = site.clients(0);
    patiently("clients to come", || clients.seen().completed > 100);
    let _ = site.agent.run(&["renew", NAME]).exits(0).shows(&["put generation 2 into service"]);
    site.assert_settled();
    assert_eq!(clients.leave().refused, 0);

    // The same with a certificate that is refused: the server does not know the old one any more.
    let _ = site.agent.run(&["issue", "-d", NAME, "--ca", "first"]).exits(0);
    assert_eq!(site.server.holds(NAME)["prepared"]["percent"], 5);
    site.server.restart();
    let clients = Clients::come(Population {
        first: roots(&site.second.issuing_root),
        second: Vec::new(),
        ..site.population(100)
    });
    patiently("clients to come", || clients.seen().refused > 100);
    let ran = site.agent.run(&["renew", NAME]).exits(6);
    let _ = ran.says(&["clients refuse the certificate"]);
    assert_eq!(site.live(), 2);
    site.assert_settled();
    let refused = clients.seen().refused;
    patiently("clients to be content", || clients.seen().completed > 100);
    assert!(clients.leave().refused <= refused + 10, "they are all right again");
}

/// Nobody can tell the server anything any more, while it goes on with its share.
#[test]
fn a_socket_that_is_gone_in_mid_canary() {
    need!("curl", "faketime");
    let mut site = Site::new(SLOW);
    let _ = site.agent.run(&TO_THE_SECOND).exits(0).shows(&["step 1 of 2"]);
    fs::remove_file(&site.server.socket).unwrap();
    let _ = site.agent.run(&["renew", NAME]).exits(0).shows(&["step 1 of 2"]);
    assert_eq!(site.live(), 2);
    site.clock.advance(TimeDelta::hours(3));
    // It goes back, and says that the server cannot be told.
    let ran = site.agent.run(&["renew", NAME]).exits(9);
    let _ = ran.says(&["server.sock", "acmeagent check", "acmeagent renew", "acmeagent rollback"]);
    assert_eq!((site.live(), &site.agent.facts(NAME)["bad"]), (1, &serde_json::json!([])));
    // Started anew it serves what is live; then the new one is tried again.
    site.server.restart();
    site.assert_settled();
    let clients = site.clients(0);
    let _ = site.agent.run(&["renew", NAME]).exits(0).shows(&["generation 2", "step 1 of 2"]);
    let prepared = || site.server.counted(NAME, "prepared").unwrap();
    patiently("clients of the canary", || count(&prepared(), "completed") >= 100);
    let _ = site.agent.run(&["renew", NAME]).exits(0).shows(&["put generation 2 into service"]);
    site.assert_settled();
    assert_eq!(clients.leave().refused, 0);
}

/// Each with its own clients and its own shares, in one run.
#[test]
fn two_certificates_of_one_server_at_once() {
    const NAMES: [&str; 2] = ["a.example", "b.example"];
    let agent = Agent::embedded();
    for name in NAMES {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    let folders = NAMES.map(|name| agent.path(&format!("live/{name}")));
    let server = RustlsServer::start(agent.path("server.sock"), folders.to_vec());
    for name in NAMES {
        serve_by(&agent, name, &server, &format!("\n[verify]\n{ANY_LATENCY}sample = 20\n"));
    }
    let root = roots(&agent.path("embedded-ca/root-1.pem"));
    let clients = NAMES.map(|name| {
        Clients::come(Population {
            server: server.address,
            name: ServerName::try_from(name).unwrap(),
            first: root.clone(),
            second: Vec::new(),
            of_hundred: 0,
        })
    });
    let (ran, document) = agent.json(&["renew", "--force"]);
    let ran = ran.exits(0);
    for (place, name) in NAMES.iter().enumerate() {
        let line = &document["certificates"][place];
        assert_eq!(
            (&line["name"], &line["outcome"]),
            (&(*name).into(), &"renewed".into()),
            "{ran:#?}"
        );
    }
    for (name, clients) in NAMES.iter().zip(clients) {
        let all = clients.leave();
        let [old, new] = ["previous", "active"].map(|role| server.counted(name, role).unwrap());
        println!(
            "{name}: {} handshakes; {} with the old one, {} with the new one",
            all.completed,
            count(&old, "completed"),
            count(&new, "completed")
        );
        assert_eq!((all.refused, all.failed), (0, 0), "{name}");
        assert_eq!(all.completed, count(&old, "completed") + count(&new, "completed"), "{name}");
        assert!(count(&new, "completed") >= 40, "{name}");
        assert_eq!(
            server.holds(name)["fingerprint"],
            agent.json(&["status", name]).1["certificates"][0]["fingerprint_sha256"]
        );
    }
}

/// The agent dies while a share of the clients gets the new one; the next run goes on with it.
#[test]
fn an_agent_killed_in_mid_canary() {
    need!("curl");
    let site = Site::new(&format!("\n[verify]\n{ANY_LATENCY}sample = 30\n"));
    for (issue, share) in
        [(TO_THE_SECOND, 5), (["issue", "-d", NAME, "--ca", "first", "--agree-tos"], 50)]
    {
        let clients = site.clients(0);
        let mut issuing = site.agent.spawn(&issue);
        let percent = || Some(count(&site.server.counted(NAME, "prepared")?, "percent"));
        patiently("the canary", || percent() == Some(share) || issuing.has_ended());
        issuing.end();
        assert_eq!(percent(), Some(share), "nobody takes it back");
        let _ = site.agent.run(&["renew"]).exits(0).shows(&["into service"]);
        site.assert_settled();
        assert_eq!((clients.seen().refused, clients.leave().failed), (0, 0));
    }
    assert_eq!(site.live(), 3);
}
