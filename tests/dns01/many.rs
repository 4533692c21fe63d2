//! A hundred names in one order.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::world::{NS, World};
use crate::need;
use crate::support::named::zone;

const ZONES: [&str; 4] = ["z1", "z2", "z3", "z4"];

#[test]
fn a_hundred_wildcards_over_four_zones() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let delegations = ZONES.map(|zone| (zone, &NS[..1]));
    let Some(world) = World::with(&delegations) else { return };
    let names = ZONES.map(|zone| format!("{zone}.example"));
    let zones: Vec<(&str, String)> =
        names.iter().map(|name| (name.as_str(), zone(1, &[("ns1", NS[0])], ""))).collect();
    let more = format!("statistics-channels {{ inet {} port 8053 allow {{ any; }}; }};", NS[0]);
    let _bind = world.server(NS[0], &zones, &more);
    let all = (0..25).flat_map(|n| ZONES.map(|zone| format!("*.n{n}.{zone}.example")));
    let all: Vec<String> = all.collect();
    let began = Instant::now();
    world.issues(&all.join(","), &world.good_credentials()).exits(0);
    let took = began.elapsed();
    let mut curl = Command::new("curl");
    curl.args(["-s", &format!("http://{}:8053/json/v1/server", NS[0])]);
    let said = world.network.command(&curl).output().unwrap().stdout;
    let said: Value = serde_json::from_slice(&said).unwrap();
    let (updates, questions) = (&said["opcodes"]["UPDATE"], &said["opcodes"]["QUERY"]);
    println!("100 names over 4 zones: {took:?}, {updates} updates, {questions} questions");
    // Each zone is tried without a change and with a record of no meaning, written, and cleaned up.
    assert!(updates.as_u64().unwrap() <= 20, "{updates}");
    assert_eq!(world.pebble.orders(), 1);
    for name in names {
        world.assert_clean(NS[0], &name);
    }
}
