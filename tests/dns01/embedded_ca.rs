//! `drill ca --dns-server`: our own CA asks a resolver on loopback, by TCP.

use super::world::{NS, RESOLVER, World};
use crate::need;
use crate::support::ca::Ca;
use crate::support::named::{Named, Setup, zone};

#[test]
fn the_embedded_ca_sees_what_a_public_one_would() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some(world) = World::with(&[("one", &[NS[0]])]) else { return };
    let zones = [("one.example", zone(1, &[("ns1", NS[0])], ""))];
    let _bind = world.server(NS[0], &zones, "");
    let forward = format!(
        "recursion yes; allow-recursion {{ any; }}; dnssec-validation no; max-cache-ttl 1; \
         max-ncache-ttl 1; forward only; forwarders {{ {RESOLVER}; }};"
    );
    let local = Setup { address: "127.0.0.1", zones: &[], more: "", options: &forward };
    let _local = Named::start(&world.network, &local);
    let behaviour = "challenge_extra = true\nperspectives = 3\n";
    let ca = Ca::asking_in(&world.network, "127.0.0.1:53", behaviour);
    let credentials = world.good_credentials();
    let by_dns = ["--dns", "rfc2136", "--dns-credentials", &credentials, "--challenge"];
    for kind in ["dns-01", "dns-account-01"] {
        let names = ["issue", "-d", "one.example,*.one.example"];
        let _ = world.lets(&ca.agent(), &[&names[..], &by_dns, &[kind]].concat()).exits(0);
        world.assert_clean(NS[0], "one.example");
    }
    assert_eq!(ca.issued(), 2);
}
