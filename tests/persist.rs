//! Records that stay (dns-persist-01) and those of one account (dns-account-01), in a network of
//! their own: a real BIND answers the agent, and the CA.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::json::Schema;
use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::named::{KEY, Named, Setup, zone};
use crate::support::network::Network;
use crate::support::pebble::{Pebble, Settings};
use crate::support::{script, tools};

const ZONE: &str = "persist.example";
const RECORD: &str = "_validation-persist.persist.example";
/// Name server, and what resolves for agent and CA.
const FIRST: &str = "127.0.0.1";
const SECOND: &str = "203.0.113.2";

fn network() -> Option<Network> {
    Network::with(&[SECOND], FIRST)
}

/// A server of the zone with these records, at one of its addresses.
fn serve(network: &Network, address: &str, servers: &[(&str, &str)], records: &str) -> Named {
    let zones = [(ZONE, zone(1, servers, records))];
    Named::start(network, &Setup { address, zones: &zones, more: "", options: "" })
}

/// The only server of the zone.
fn dns(network: &Network, records: &str) -> Named {
    serve(network, FIRST, &[("ns1", FIRST)], records)
}

/// An agent and the CA it uses.
struct Customer<'a> {
    network: &'a Network,
    agent: Agent,
    ca: [String; 4],
}

impl<'a> Customer<'a> {
    fn of(network: &'a Network, directory: &str, tls_root: &Path) -> Self {
        let root = tls_root.to_str().unwrap();
        let ca = ["--server", directory, "--ca-root", root].map(str::to_owned);
        Self { network, agent: Agent::new(), ca }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.network.command(&self.agent.command(args));
        Ran::of(command.output().unwrap())
    }

    /// Runs a verb that takes the flags of a CA.
    fn at_ca(&self, args: &[&str]) -> Ran {
        self.run(
            &args.iter().copied().chain(self.ca.iter().map(String::as_str)).collect::<Vec<_>>(),
        )
    }

    fn issue(&self, more: &[&str]) -> Ran {
        self.at_ca(&[&["issue", "--agree-tos"], more].concat())
    }

    fn issue_wildcard(&self) -> Ran {
        let names = format!("{ZONE},*.{ZONE}");
        self.issue(&["-d", &names, "--challenge", "dns-persist-01"])
    }

    /// The line that `account dns-record` prints for a name.
    fn record(&self, name: &str, more: &[&str]) -> String {
        let ran = self.at_ca(&[&["account", "dns-record", name], more].concat()).exits(0);
        let lines: Vec<&str> = ran.stdout.lines().collect();
        let [comment, line] = lines.as_slice() else { panic!("{ran:?}") };
        assert!(comment.starts_with("; ") && comment.contains("account https://"), "{comment}");
        (*line).to_owned()
    }

    /// What `check` or `doctor` says of the record: severities and messages.
    fn watched(&self, verb: &str) -> BTreeSet<String> {
        let ran = self.run(&["--json", verb, ZONE]);
        let document: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        let findings = document["findings"].as_array().unwrap().iter();
        let about = findings.filter(|one| one["reason"] == "record");
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let found: BTreeSet<String> =
            about.map(|one| text(one, "severity") + " " + &text(one, "message")).collect();
        assert!(!found.is_empty(), "{verb}: {ran:?}");
        found
    }

    #[track_caller]
    fn finds(&self, parts: &[&str]) {
        for verb in ["check", "doctor"] {
            let found = self.watched(verb);
            let is_there = found.iter().any(|one| parts.iter().all(|part| one.contains(part)));
            assert!(is_there, "{verb}: {parts:?} not in {found:#?}");
        }
    }
}

#[test]
fn a_record_stands_for_a_name_and_its_wildcard() {
    need!("named", "pebble", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    let pebble = Pebble::start_in(&network, FIRST, &Settings::default());
    let customer = Customer::of(&network, &pebble.directory, &pebble.tls_root);

    // There is no account yet, so only the challenge tells what must stand there.
    let server = dns(&network, "");
    let ran = customer.issue_wildcard().exits(2);
    let line = customer.record(&format!("*.{ZONE}"), &[]);
    let _ = ran.says(&[RECORD, "does not exist", "set the record", &line]);
    assert!(line.ends_with("; policy=wildcard\""), "{line}");
    assert_eq!(pebble.orders(), 1);

    let foreign = line.replace("accounturi=https://", "accounturi=https://other.");
    let narrow = line.replace("; policy=wildcard", "");
    let over = line.replace("; policy=wildcard", "; policy=wildcard; persistUntil=1700000000");
    let broken = line.replace("; policy=wildcard", ";");
    let mut server = Some(server);
    for (record, why) in [
        (&foreign, &["is for the account https://other.127", ", not for https://127"][..]),
        (&narrow, &["lacks policy=wildcard"]),
        (&over, &["was good until 2023-11-14T22:13:20Z"]),
        (&broken, &["is malformed"]),
    ] {
        drop(server.take());
        server = Some(dns(&network, record));
        let _ = customer.issue_wildcard().exits(2).says(why).says(&[&line]);
    }
    assert_eq!(pebble.orders(), 1, "nothing was asked of the CA in vain");

    // One of several will do, and the order from the beginning is still of use.
    drop(server.take());
    let server = dns(&network, &format!("{foreign}\n{line}\n{narrow}"));
    let _ = customer.issue_wildcard().exits(0);
    assert_eq!(pebble.orders(), 1);
    customer.finds(&["OK ", RECORD, "lets ", &format!("issue for *.{ZONE}")]);
    let _ = customer.run(&["renew", "--force"]).exits(0);

    drop(server);
    let day = chrono::Utc::now() + chrono::Days::new(5);
    let until = customer.record(ZONE, &["--until", &day.format("%Y-%m-%d").to_string()]);
    assert!(until.contains("; policy=wildcard; persistUntil="), "{until}");
    let server = dns(&network, &until);
    customer.finds(&["WARNING ", "is good only until", "before the renewal after the next"]);
    drop(server);
    let server = dns(&network, &foreign);
    customer.finds(&["CRITICAL ", "is for the account https://other.127", ", not for https://127"]);
    drop(server);

    let both = [("ns1", FIRST), ("ns2", SECOND)];
    let _servers = [serve(&network, FIRST, &both, &line), serve(&network, SECOND, &both, "")];
    let behind = "does not exist, going by ns2.persist.example (203.0.113.2)";
    customer.finds(&["CRITICAL ", RECORD, behind]);
    let _ = customer.run(&["renew", "--force"]).exits(3).says(&[behind]);
}

#[test]
fn an_account_is_hidden_in_a_hash() {
    need!("named", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    for (draft, is_hashed) in [("00", false), ("01", false), ("02", true)] {
        let told = format!("dns_server = \"{FIRST}:53\"\ndns_persist = \"{draft}\"\n");
        let ca = Ca::behaving_in(&network, &told);
        let customer = Customer::of(&network, &ca.directory, &ca.tls_root);
        let _ = customer.at_ca(&["account", "register", "--agree-tos"]).exits(0);
        let line = customer.record(&format!("*.{ZONE}"), &[]);
        assert_eq!(line.contains("/sha-256/"), is_hashed, "{draft}: {line}");
        let document = customer.at_ca(&["--json", "account", "dns-record", ZONE]).exits(0).stdout;
        let document: Value = serde_json::from_str(&document).unwrap();
        Schema::new().holds(&document);
        assert_eq!(document["records"][0]["name"], RECORD);

        let _server = dns(&network, &line);
        let _ = customer.issue_wildcard().exits(0);
        customer.finds(&["OK ", RECORD]);
        // What was made with the former key stays good.
        let _ = customer.at_ca(&["account", "rotate-key"]).exits(0);
        assert_eq!(customer.record(ZONE, &[]) == line, !is_hashed, "{draft}");
        customer.finds(&["OK ", RECORD]);
        let _ = customer.run(&["renew", "--force"]).exits(0);
    }
}

#[test]
fn what_dns_record_refuses() {
    let ca = Ca::start();
    let agent = ca.agent();
    let flags = ["--server", &ca.directory, "--ca-root", ca.tls_root.to_str().unwrap()];
    let run = |args: &[&str]| agent.run(&[args, &flags].concat());
    let _ = run(&["account", "dns-record"]).exits(2).says(&["NAME"]);
    let _ = run(&["account", "dns-record", "a.example"]).exits(2).says(&["account register"]);
    let _ = run(&["account", "register", "--agree-tos"]).exits(0);
    let _ = run(&["account", "show", "a.example"]).exits(2).says(&["only `account dns-record`"]);
    let _ = run(&["account", "dns-record", "192.0.2.1"]).exits(2).says(&["is no DNS name"]);
    for (until, why) in [("2020-01-01", "is over"), ("soon", "is no date")] {
        let ran = run(&["account", "dns-record", "a.example", "--until", until]).exits(2);
        let _ = ran.says(&[why]);
    }
}

#[test]
fn accounts_have_records_of_their_own() {
    need!("named", "nsupdate", "pebble", "ip", "unshare", "nsenter");
    let Some(network) = network() else { return };
    let pebble = Pebble::start_in(&network, FIRST, &Settings::default());
    let customer = Customer::of(&network, &pebble.directory, &pebble.tls_root);
    let zones = [(ZONE, zone(1, &[("ns1", FIRST)], ""))];
    let setup = Setup { address: FIRST, zones: &zones, more: "", options: "" };
    let _server = Named::dynamic(&network, &setup);
    let (program, log) = (customer.agent.path("dns.sh"), customer.agent.path("dns.log"));
    let nsupdate = tools::find("nsupdate").unwrap();
    script(
        &program,
        &format!(
            "echo \"$1 $2\" >>{}\ncase $1 in add) verb=add ttl=1;; remove) verb=delete ttl=;; esac\n\
             printf 'server {FIRST}\\nzone {ZONE}\\nupdate %s %s. %s TXT \"%s\"\\nsend\\n' \
             $verb \"$2\" \"$ttl\" \"$3\" | {} -y hmac-sha256:{}:{}",
            log.display(),
            nsupdate.display(),
            KEY.0,
            KEY.1
        ),
    );
    let names = format!("{ZONE},*.{ZONE}");
    let provider = format!("exec:{}", program.display());
    let more = ["-d", &names, "--challenge", "dns-account-01", "--dns", &provider];
    let _ = customer.issue(&more).exits(0);
    let said = fs::read_to_string(&log).unwrap();
    let calls: BTreeSet<&str> = said.lines().collect();
    let rest = format!("._acme-challenge.{ZONE}");
    for call in &calls {
        let (_, owner) = call.split_once(' ').unwrap();
        let label = owner.strip_suffix(&rest).unwrap_or_else(|| panic!("{said}"));
        assert!(label.starts_with('_') && label.len() == 17, "{said}");
    }
    assert_eq!((calls.len(), said.lines().count()), (2, 4), "added and removed, for both: {said}");
}
