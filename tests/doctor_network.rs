//! `doctor` in a network of its own: real name servers that disagree, web servers that are the
//! wrong ones.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::named::{Named, Setup, zone};
use crate::support::network::Network;
use crate::support::nginx::Nginx;
use crate::support::tools;

const RESOLVER: &str = "203.0.113.53";
const NS: [&str; 3] = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
const HERE: &str = "203.0.113.10";
const WRONG_ROOT: &str = "203.0.113.11";
const APPLICATION: &str = "203.0.113.12";
const REDIRECTS: &str = "203.0.113.13";
const HERE_IPV6: &str = "2001:db8::10";

fn network() -> Option<Network> {
    let mut addresses = vec![RESOLVER, HERE, WRONG_ROOT, APPLICATION, REDIRECTS, HERE_IPV6];
    addresses.extend(NS);
    Network::with(&addresses, RESOLVER)
}

/// A resolver that learns of these zones from their first name server.
fn resolver(network: &Network, zones: &[&str], more: &str) -> Named {
    let stubs = zones.iter().map(|zone| {
        let server = NS[0];
        format!("zone \"{zone}\" {{ type static-stub; server-addresses {{ {server}; }}; }};\n")
    });
    let more = stubs.collect::<String>() + more;
    let own = zone(1, &[("ns1", "198.51.100.1")], &format!("www A {HERE}"));
    let options = "recursion yes; allow-recursion { any; }; dnssec-validation yes;";
    // A CA climbs up to the top-level domain.
    let zones = [("walled.example", own), ("example", zone(1, &[("ns1", RESOLVER)], ""))];
    Named::start(network, &Setup { address: RESOLVER, zones: &zones, more: &more, options })
}

/// An authoritative server.
fn server(network: &Network, address: &str, zones: &[(&str, String)]) -> Named {
    let options = "recursion no;";
    Named::start(network, &Setup { address, zones, more: "", options })
}

/// An agent with a certificate for each of these, all from one CA.
struct Patients<'a> {
    network: &'a Network,
    ca: Ca,
    agent: Agent,
}

impl<'a> Patients<'a> {
    fn new(network: &'a Network) -> Self {
        let patients = Self { network, ca: Ca::start_in(network), agent: Agent::new() };
        fs::create_dir_all(patients.agent.path("certificates")).unwrap();
        patients
    }

    /// Writes the settings of a certificate; `more` is what follows identifiers and CA.
    fn add(&self, name: &str, identifiers: &str, more: &str) {
        let text = format!(
            "identifiers = [{identifiers}]\nca = [\"{}\"]\nca-root = \"{}\"\n{more}\n",
            self.ca.directory,
            self.ca.tls_root.display()
        );
        fs::write(self.agent.path(&format!("certificates/{name}.toml")), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.network.command(&self.agent.command(args));
        Ran::of(command.output().unwrap())
    }

    /// What `doctor` finds about a certificate: severity, reason, message and hint, as lines.
    fn findings(&self, name: &str) -> Vec<String> {
        let ran = self.run(&["--json", "doctor", name]);
        let document: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        let findings = document["findings"].as_array().unwrap();
        let about = findings.iter().filter(|one| one["subject"] == name);
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        about
            .map(|one| {
                ["severity", "reason", "message", "hint"].map(|key| text(one, key)).join(" | ")
            })
            .collect()
    }

    /// Asserts that `doctor` says each of these about a certificate, each as the parts of one line.
    #[track_caller]
    fn finds(&self, name: &str, expected: &[&[&str]]) {
        let findings = self.findings(name);
        for parts in expected {
            let is_there = findings.iter().any(|line| parts.iter().all(|part| line.contains(part)));
            assert!(is_there, "{name}: {parts:?} not in {findings:#?}");
        }
    }

    /// Asserts that `doctor` has nothing to say against a certificate.
    #[track_caller]
    fn is_content(&self, name: &str) {
        let findings = self.findings(name);
        let content = findings.iter().all(|line| line.starts_with("OK |"));
        assert!(content && !findings.is_empty(), "{name}: {findings:#?}");
    }
}

#[test]
fn servers_that_lag_are_lame_or_are_missing() {
    need!("named", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    let servers = [("ns1", NS[0]), ("ns2", NS[1]), ("ns3", NS[2]), ("ns4.nowhere.example.", "")];
    let long = "\"0123456789012345678901234567890123456789\" ".repeat(40);
    let zone_of = |serial, address: &str, text: &str| {
        let records = format!(
            "a A {address}\nsame A {HERE}\nalias CNAME a\n_acme-challenge.a TXT \"{text}\"\n\
             _acme-challenge.long TXT {long} \"{text}\""
        );
        zone(serial, &servers, &records)
    };
    let new = [("lag.example", zone_of(2_147_483_650, HERE, "new"))];
    let old = [("lag.example", zone_of(2_147_483_640, WRONG_ROOT, "old"))];
    let _servers = [server(&network, NS[0], &new), server(&network, NS[1], &old)];
    let _lame = server(&network, NS[2], &[]);
    let _resolver = resolver(&network, &["lag.example"], "");
    let patients = Patients::new(&network);
    patients.add("a", "\"a.lag.example\"", "");
    patients.add("alias", "\"alias.lag.example\"", "");
    patients.add("same", "\"same.lag.example\"", "");
    patients.add(
        "wild",
        "\"*.a.lag.example\"",
        "[challenge]\ntypes = [\"dns-01\"]\ndns = [\"exec:true\"]",
    );
    patients.add(
        "long",
        "\"*.long.lag.example\"",
        "[challenge]\ntypes = [\"dns-01\"]\ndns = [\"exec:true\"]",
    );
    patients.add("walled", "\"www.walled.example\"", "");
    let lagging = [
        "lagging",
        "ns2.lag.example (203.0.113.2) lags behind: serial 2147483640",
        "not 2147483650",
    ];
    let with = |severity, what: &'static str| [&[severity, what][..], &lagging[..]].concat();
    patients.finds(
        "a",
        &[
            &with("CRITICAL", "differs in the addresses of a.lag.example"),
            &[
                "WARNING | lame",
                "ns3.lag.example (203.0.113.3) does not answer for lag.example: REFUSED",
            ],
            &["WARNING | lame", "ns4.nowhere.example", "has no address"],
        ],
    );
    patients.finds("same", &[&with("WARNING", "of lag.example")]);
    let followed = "alias.lag.example, an alias of a.lag.example, leads to 203.0.113.10";
    patients.finds("alias", &[&["OK | dns", followed], &with("CRITICAL", "of a.lag.example")]);
    patients
        .finds("wild", &[&with("CRITICAL", "the TXT records of _acme-challenge.a.lag.example")]);
    // What is too long for a datagram is asked for again, by TCP.
    patients.finds("long", &[&with("CRITICAL", "the TXT records of _acme-challenge.long")]);
    patients.finds(
        "walled",
        &[&["WARNING | mute", "none of the name servers of walled.example answers"]],
    );
}

#[test]
fn servers_that_say_nothing_are_waited_for_only_so_long() {
    need!("named", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    let servers = [("ns1", NS[0]), ("ns2", NS[1])];
    let zones = [("mute.example", zone(1, &servers, &format!("www A {HERE}")))];
    let _server = server(&network, NS[0], &zones);
    let _mute = Named::start(
        &network,
        &Setup { address: NS[1], zones: &zones, more: "", options: "blackhole { any; };" },
    );
    let resolver = resolver(&network, &["mute.example"], "");
    let patients = Patients::new(&network);
    patients.add("www", "\"www.mute.example\"", "");
    let many = (0..8).map(|n| format!("\"w{n}.mute.example\"")).collect::<Vec<_>>().join(", ");
    patients.add("many", &many, "");
    let began = Instant::now();
    let mute = "name server ns2.mute.example (203.0.113.2) of mute.example: no answer";
    patients.finds("www", &[&["WARNING | mute", mute], &["OK | reachability", HERE]]);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    drop(resolver);
    let began = Instant::now();
    patients
        .finds("many", &[&["WARNING | dns", "w7.mute.example cannot be looked up", "resolv.conf"]]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn names_that_lead_nowhere_and_broken_signatures() {
    need!("named", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    let servers = [("ns1", NS[0])];
    let records = "empty TXT x\nalias CNAME missing\n";
    let zones = [
        ("plain.example", zone(1, &servers, records)),
        ("broken.example", zone(1, &servers, &format!("www A {HERE}"))),
    ];
    let _server = server(&network, NS[0], &zones);
    // As if the parent had a DS record for a key that the zone no longer has.
    let key = "A".repeat(85) + "Q";
    let anchor =
        format!("trust-anchors {{ \"broken.example\" static-key 257 3 13 \"{key}==\"; }};");
    let _resolver = resolver(&network, &["plain.example", "broken.example"], &anchor);
    let patients = Patients::new(&network);
    for name in ["missing", "empty", "alias"] {
        patients.add(name, &format!("\"{name}.plain.example\""), "");
    }
    patients.add("www", "\"www.broken.example\"", "");
    patients.add("nowhere", "\"www.nowhere.test\"", "");
    patients.add(
        "wild",
        "\"*.broken.example\"",
        "[challenge]\ntypes = [\"dns-01\"]\ndns = [\"exec:true\"]",
    );
    patients.finds("missing", &[&["CRITICAL | dns", "missing.plain.example does not exist"]]);
    patients.finds("empty", &[&["CRITICAL | dns", "empty.plain.example has no address"]]);
    let alias = "alias.plain.example, an alias of missing.plain.example, does not exist";
    patients.finds("alias", &[&["CRITICAL | dns", alias]]);
    patients.finds("www", &[&["CRITICAL | dnssec", "DNSSEC of www.broken.example is broken"]]);
    patients.finds("wild", &[&["CRITICAL | dnssec", "CAA records of broken.example is broken"]]);
    patients.finds(
        "nowhere",
        &[&["CRITICAL | dns", "www.nowhere.test cannot be looked up", "SERVFAIL"]],
    );
}

/// Signs a zone; returns it with the key that is to be trusted for it.
fn signed(name: &str, records: &str, until: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(tools::find(program).unwrap());
        let output = command.args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let read = |file: &str| fs::read_to_string(Path::new(folder.path()).join(file)).unwrap();
    let key = run("dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", name]);
    let key = read(&format!("{}.key", key.trim()));
    let key_text = key.lines().find(|line| !line.starts_with(';')).unwrap();
    let (_, public) = key_text.split_once("257 3 13 ").unwrap();
    fs::write(folder.path().join("zone"), format!("{records}\n{key}")).unwrap();
    run("dnssec-signzone", &["-P", "-z", "-s", "now-172800", "-e", until, "-o", name, "zone"]);
    let anchor = format!("\"{name}\" static-key 257 3 13 \"{}\";\n", public.trim());
    (read("zone.signed"), anchor)
}

#[test]
fn signatures_that_hold_and_signatures_that_ran_out() {
    need!("named", "ip", "unshare", "nsenter", "dnssec-keygen", "dnssec-signzone");
    let Some(network) = network() else { return };
    let records = zone(1, &[("ns1", NS[0])], &format!("www A {HERE}"));
    let (good, good_key) = signed("good.example", &records, "now+172800");
    let (stale, stale_key) = signed("stale.example", &records, "now-86400");
    let zones = [("good.example", good), ("stale.example", stale)];
    let _server = server(&network, NS[0], &zones);
    let anchors = format!("trust-anchors {{ {good_key}{stale_key} }};");
    let _resolver = resolver(&network, &["good.example", "stale.example"], &anchors);
    let patients = Patients::new(&network);
    patients.add("good", "\"www.good.example\"", "");
    patients.add("stale", "\"www.stale.example\"", "");
    patients.finds("good", &[&["OK | dns", HERE], &["OK | reachability", HERE]]);
    patients.is_content("good");
    let broken = "DNSSEC of www.stale.example is broken";
    patients.finds("stale", &[&["CRITICAL | dnssec", broken, "sign the zone anew"]]);
}

#[test]
fn caa_records_that_forbid() {
    need!("named", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    let servers = [("ns1", NS[0])];
    let records = |account: &str| {
        format!(
            "* A {HERE}\n@ CAA 0 issue \"Drill-CA.example; x=y\"\n@ CAA 0 issuewild \";\"\n\
             others CAA 0 issue \"ca.example\"\nothers CAA 0 iodef \"mailto:a@b.example\"\n\
             account CAA 0 issue \"drill-ca.example; accounturi=https://x.example/7\"\n\
             ours CAA 0 issue \"drill-ca.example; accounturi={account}\"\n\
             methods CAA 0 issue \"drill-ca.example; validationmethods=dns-01\"\n\
             deep.ours A {HERE}\ncritical CAA 128 future \"x\"\nothers-too CNAME others\n"
        )
    };
    let patients = Patients::new(&network);
    let port = patients.ca.http_port.to_string();
    let (directory, root) = (patients.ca.directory.clone(), patients.ca.tls_root.clone());
    let issue = ["issue", "-d", "x.example", "--server", &directory, "--agree-tos"];
    let root = ["--ca-root", root.to_str().unwrap(), "--http-01-port", &port];
    let _ = patients.run(&[&issue[..], &root[..]].concat()).exits(0);
    let accounts = fs::read_dir(patients.agent.path("accounts")).unwrap().next().unwrap().unwrap();
    let file = fs::read_to_string(accounts.path().join("default.json")).unwrap();
    let account = serde_json::from_str::<Value>(&file).unwrap()["url"].as_str().unwrap().to_owned();
    let zones = [("caa.example", zone(1, &servers, &records(&account)))];
    let _server = server(&network, NS[0], &zones);
    let _resolver = resolver(&network, &["caa.example"], "");
    for name in ["fine", "others", "others-too", "account", "ours", "methods", "critical"] {
        patients.add(name, &format!("\"deep.{name}.caa.example\""), "");
    }
    patients.add(
        "wild",
        "\"*.fine.caa.example\"",
        "[challenge]\ntypes = [\"dns-01\"]\ndns = [\"exec:true\"]",
    );
    patients.add("alias", "\"others-too.caa.example\"", "");
    let forbids = |owner: &str| format!("CAA of {owner}.example forbids");
    let ours = format!("\"drill-ca.example; accounturi={account}\"");
    patients.is_content("fine");
    patients.is_content("ours");
    patients.finds("fine", &[&["OK | caa", "CAA of caa.example lets"]]);
    patients.finds(
        "others",
        &[&[
            "CRITICAL | caa",
            &forbids("others.caa"),
            "it allows only ca.example",
            "add the record others.caa.example. IN CAA 0 issue \"drill-ca.example\"",
        ]],
    );
    // Records of what an alias leads to count for the alias, and for what is below it.
    patients.finds("alias", &[&["CRITICAL", &forbids("others-too.caa"), "only ca.example"]]);
    patients.finds("others-too", &[&["CRITICAL", &forbids("others-too.caa")]]);
    patients
        .finds("account", &[&["CRITICAL", &forbids("account.caa"), "https://x.example/7", &ours]]);
    patients
        .finds("methods", &[&["CRITICAL", &forbids("methods.caa"), "validationmethods=http-01"]]);
    patients
        .finds("critical", &[&["CRITICAL", &forbids("critical.caa"), "unknown property future"]]);
    patients
        .finds("wild", &[&["CRITICAL", &forbids("caa"), "it allows nobody", "CAA 0 issuewild"]]);
}

#[test]
fn who_answers_for_a_name() {
    need!("named", "ip", "unshare", "nsenter", "nginx");
    let Some(network) = network() else { return };
    let records = format!(
        "here A {HERE}\nhalf A {HERE}\nhalf AAAA {HERE_IPV6}\nwrong A {WRONG_ROOT}\n\
         app A {APPLICATION}\nlogin A {REDIRECTS}\nastray A {REDIRECTS}\nback A {REDIRECTS}\n\
         loop A {REDIRECTS}\nfar A 198.51.100.7\nclosed A 203.0.113.1\n"
    );
    let zones = [("web.example", zone(1, &[("ns1", NS[0])], &records))];
    let _server = server(&network, NS[0], &zones);
    let _resolver = resolver(&network, &["web.example"], "");
    let nginx = Nginx::in_network(&network, |folder| {
        let redirect = |name: &str, to: &str| {
            format!(
                "server {{ listen {REDIRECTS}:80; server_name {name}.web.example; return {to}; }}\n"
            )
        };
        [
            format!("server {{ listen {WRONG_ROOT}:80; root {folder}/elsewhere; }}\n"),
            format!("server {{ listen {APPLICATION}:80; return 200 'Hello \x1b[31mthere'; }}\n"),
            redirect("login", &format!("302 http://{APPLICATION}/login")),
            redirect("astray", "301 https://closed.web.example$request_uri"),
            redirect("back", "301 http://here.web.example$request_uri"),
            redirect("loop", "301 http://$host$request_uri"),
            format!("server {{ listen {HERE}:80; root {folder}/html; }}\n"),
        ]
        .concat()
    });
    let patients = Patients::new(&network);
    let webroot = format!("[challenge]\nwebroot = \"{}\"", nginx.webroot.display());
    for name in ["here", "half", "wrong", "app", "login", "astray", "back", "loop", "far", "closed"]
    {
        patients.add(name, &format!("\"{name}.web.example\""), &webroot);
    }
    patients.add("address", &format!("\"{HERE}\""), &webroot);
    let reach = "CRITICAL | reachability";
    patients.finds("here", &[&["OK | reachability", "http-01 works for here.web.example"]]);
    patients.finds("address", &[&["OK | reachability", "http-01 works for 203.0.113.10"]]);
    let dead = "IPv6 address of half.web.example, 2001:db8::10, is dead: connection refused";
    patients
        .finds("half", &[&["OK | reachability", HERE], &[reach, dead, "remove the AAAA record"]]);
    patients.finds("wrong", &[&[reach, "404 for our file", &nginx.webroot.display().to_string()]]);
    patients.finds("app", &[&[reach, "an application answers", "200 (Hello \\u{1b}[31mthere)"]]);
    let login = "redirects to http://203.0.113.12/login, which answers 200";
    patients.finds("login", &[&[reach, login, "without a redirect"]]);
    let astray = "redirects to https://closed.web.example/.well-known/acme-challenge/";
    patients.finds("astray", &[&[reach, astray, "connection refused"]]);
    patients.finds("back", &[&["OK | reachability", "http-01 works for back.web.example"]]);
    patients.finds("loop", &[&[reach, "no CA follows that many redirects"]]);
    patients.finds("far", &[&["WARNING | reachability", "cannot be tried"]]);
    patients.finds("closed", &[&[reach, "port 80 of 203.0.113.1 cannot be reached"]]);
    assert!(fs::read_dir(&nginx.webroot).unwrap().next().is_none(), "nothing is left behind");
}

#[test]
fn listeners_of_our_own_and_strangers() {
    need!("named", "ip", "unshare", "nsenter", "nginx");
    let Some(network) = network() else { return };
    let records =
        format!("here A {HERE}\nhalf A {HERE}\nhalf AAAA {HERE_IPV6}\nwrong A {WRONG_ROOT}\n");
    let zones = [("web.example", zone(1, &[("ns1", NS[0])], &records))];
    let _server = server(&network, NS[0], &zones);
    let _resolver = resolver(&network, &["web.example"], "");
    let patients = Patients::new(&network);
    let dead = "IPv6 address of half.web.example, 2001:db8::10, is dead: connection refused";
    patients.add("here", "\"here.web.example\"", "");
    let kinds = "[challenge]\ntypes = [\"tls-alpn-01\", \"http-01\"]\nhttp-01-address = ";
    let (tls, http) = ("tls-alpn-01 works for", "http-01 works for");
    patients.add("here", "\"here.web.example\"", &format!("{kinds}\"{HERE}\""));
    patients.finds("here", &[&["OK", tls, "here.web.example"], &["OK", http, "here.web.example"]]);
    patients.add("half", "\"half.web.example\"", &format!("{kinds}\"{HERE}\""));
    let dead = ["CRITICAL", dead, "port 443 answered at 2001:db8::10"];
    patients.finds("half", &[&["OK", tls, HERE], &dead, &["WARNING", "port 80 answered at"]]);
    patients.add(
        "address",
        &format!("\"{HERE}\", \"{HERE_IPV6}\""),
        "[challenge]\ntypes = [\"tls-alpn-01\"]",
    );
    patients.finds("address", &[&["OK", tls, HERE], &["OK", tls, HERE_IPV6]]);
    // A name that leads to another server, whose handshake is not ours.
    let _other =
        Nginx::in_network(&network, |_| format!("server {{ listen {WRONG_ROOT}:443; }}\n"));
    patients.add("wrong", "\"wrong.web.example\"", &format!("{kinds}\"{HERE}\""));
    let stranger = "another server shakes hands for wrong.web.example";
    patients.finds("wrong", &[&["CRITICAL | reachability", stranger]]);
}
