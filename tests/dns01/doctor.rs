//! What `doctor` says of those who edit the DNS: found as a run finds them, nothing changed.

use std::fs;

use serde_json::Value;

use super::world::{NS, World};
use crate::need;
use crate::support::named::{KEY, Named, Setup, zone};

const WRONG: &str = "d3JvbmcgYnV0IGp1c3QgYXMgbG9uZyBhcyB0aGUgcmlnaHQ=";

/// Severity, message and hint of what is found about the DNS for a certificate, as lines.
fn findings(world: &World, name: &str) -> Vec<String> {
    let ran = world.lets(&world.agent, &["--json", "doctor", name]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let all = document["findings"].as_array().unwrap().iter();
    let about = all.filter(|one| one["subject"] == name && one["reason"] == "dns");
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    about.map(|one| ["severity", "message", "hint"].map(|key| text(one, key)).join(" | ")).collect()
}

/// Writes the settings of a certificate for Pebble.
fn wanted(world: &World, name: &str, identifier: &str, kind: &str, credentials: &str) {
    let pebble = &world.pebble;
    let text = format!(
        "identifiers = [{identifier:?}]\nca = [{:?}]\nca-root = {:?}\n[challenge]\n\
         types = [{kind:?}]\ndns = [\"rfc2136\"]\ndns-credentials = {credentials:?}\n",
        pebble.directory, pebble.tls_root
    );
    fs::create_dir_all(world.agent.path("certificates")).unwrap();
    fs::write(world.agent.path(&format!("certificates/{name}.toml")), text).unwrap();
}

/// Credentials with another secret.
fn bad(world: &World) -> String {
    let file = world.file("bad", &format!("key = '{}'\nsecret = '{WRONG}'\n", KEY.0));
    file.to_str().unwrap().to_owned()
}

#[test]
fn credentials_are_tried_where_a_run_would_write() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let delegations: [(&str, &[&str]); 3] =
        [("one", &[NS[0]]), ("cut", &[NS[1]]), ("broken", &[NS[2]])];
    let Some(world) = World::with(&delegations) else { return };
    let zones =
        [("one.example", zone(1, &[("ns1", NS[0])], "_acme-challenge.far CNAME _x.cut.example."))];
    let _one = world.server(NS[0], &zones, "");
    let cut = [("cut.example", zone(1, &[("ns1", NS[1])], ""))];
    let cut = Setup { address: NS[1], zones: &cut, more: "", options: "recursion no;" };
    // Takes updates of nobody.
    let _cut = Named::start(&world.network, &cut);
    let _lame = world.server(NS[2], &[], "");
    let good = world.good_credentials();
    let bad = bad(&world);
    let table = [
        ("good", "*.one.example", &*good, "OK | rfc2136 lets us see to the zone one.example | "),
        (
            "bad",
            "one.example",
            &bad,
            "CRITICAL | rfc2136 at ns1.one.example does not accept the credentials: its key acme \
             has another secret (BADSIG) | correct the credentials",
        ),
        (
            "far",
            "far.one.example",
            &good,
            "CRITICAL | rfc2136 at ns1.cut.example refuses to change the zone cut.example",
        ),
        (
            "lame",
            "broken.example",
            &good,
            "WARNING | cannot find the zone to be written for _acme-challenge.broken.example: no \
             name server of the zone broken.example answers for it: ns1.broken.example \
             (203.0.113.3) says REFUSED | serve the zone broken.example there",
        ),
    ];
    for (name, identifier, credentials, expected) in table {
        wanted(&world, name, identifier, "dns-01", credentials);
        let found = findings(&world, name);
        println!("{found:?}");
        assert!(found.iter().any(|one| one.starts_with(expected)), "{name}: {found:#?}");
    }
    world.assert_clean(NS[0], "one.example");
}

/// Which record dns-account-01 needs nobody knows before there is an account; then doctor and run do.
#[test]
fn an_account_says_which_record_is_needed() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some(world) = World::with(&[("one", &[NS[0]])]) else { return };
    let _one = world.server(NS[0], &[("one.example", zone(1, &[("ns1", NS[0])], ""))], "");
    let (good, bad) = (world.good_credentials(), bad(&world));
    wanted(&world, "account", "one.example", "dns-account-01", &bad);
    let found = findings(&world, "account");
    assert!(!found.iter().any(|one| one.contains("rfc2136")), "{found:?}");
    let root = world.pebble.tls_root.to_str().unwrap();
    let ca = ["--server", &world.pebble.directory, "--ca-root", root, "--agree-tos"];
    let register = [&["account", "register"], &ca[..]].concat();
    let _ = world.lets(&world.agent, &register).exits(0);
    let found = findings(&world, "account");
    let is_told = |one: &String| one.contains("does not accept the credentials");
    assert!(found.iter().any(is_told), "{found:?}");

    let refused = world.lets(&world.agent, &["renew", "account"]);
    println!("{}", refused.stderr);
    assert_ne!(refused.code, 0);
    let _ = refused.says(&["does not accept the credentials"]);
    assert_eq!(world.pebble.orders(), 0);
    wanted(&world, "account", "one.example", "dns-account-01", &good);
    let _ = world.lets(&world.agent, &["renew", "account"]).exits(0);
    world.assert_clean(NS[0], "one.example");
}
