//! What it is there for: wildcards, delegations, other people's programs.

use super::world::{NS, World};
use crate::need;
use crate::support::knot::Knot;
use crate::support::named::zone;
use crate::support::tools::openssl;

/// Through BIND, and by an alias through Knot; a name beyond ASCII, and zones cut where nobody
/// expects it.
#[test]
fn a_wildcard_with_its_base_and_names_delegated_elsewhere() {
    need!("pebble", "named", "knotd", "dig", "ip", "unshare", "nsenter", "curl", "openssl");
    let delegations: [(&str, &[&str]); 3] =
        [("one", &[NS[0]]), ("knot", &[NS[1]]), ("cut", &[NS[0]])];
    let Some(world) = World::with(&delegations) else { return };
    let records = "_acme-challenge.alias.far CNAME step.cut.example.\n\
                   _acme-challenge.part.far NS ns1.knot.example.";
    let own = |records| zone(1, &[("ns1", NS[0])], records);
    let zones =
        [("one.example", own(records)), ("cut.example", own("step CNAME _x.knot.example."))];
    let _bind = world.server(NS[0], &zones, "");
    let knot = |records| zone(1, &[("ns1", NS[1])], records);
    let zones = [
        ("knot.example", knot("")),
        ("_acme-challenge.part.far.one.example", zone(1, &[("ns1.knot.example.", "")], "")),
    ];
    let zones =
        zones.map(|(name, text)| (name, text.replace("SOA ns1 ", "SOA ns1.knot.example. ")));
    let _knot = Knot::start(&world.network, NS[1], &zones, "");
    let names = "one.example,*.one.example,alias.far.one.example,part.far.one.example,\
                 bücher.far.one.example";
    world.issues(names, &world.good_credentials()).exits(0);
    assert_eq!(world.pebble.orders(), 1);
    let leaf = world.agent.path("live/one.example/cert.pem");
    let names = openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in"], &leaf);
    for name in ["DNS:*.one.example", "DNS:one.example", "DNS:xn--bcher-kva.far.one.example"] {
        assert!(names.contains(name), "{names}");
    }
    world.assert_clean(NS[0], "one.example");
    let left = world.dig(&["TXT", "_x.knot.example", &format!("@{}", NS[1])]);
    assert_eq!(left, "");
}

/// Whatever a wildcard answers, only the value of the challenge counts; values of others stay.
#[test]
fn records_of_others_mislead_nobody_and_stay() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some(world) = World::with(&[("one", &[NS[0]])]) else { return };
    let records = "* TXT \"answers everything\"\n_acme-challenge TXT \"of somebody else\"";
    let zones = [("one.example", zone(1, &[("ns1", NS[0])], records))];
    let _bind = world.server(NS[0], &zones, "");
    world.issues("one.example,a.one.example", &world.good_credentials()).exits(0);
    let at = format!("@{}", NS[0]);
    let own = world.dig(&["TXT", "_acme-challenge.one.example", &at]);
    assert_eq!(own, "\"of somebody else\"");
    let wild = world.dig(&["TXT", "_acme-challenge.a.one.example", &at]);
    assert_eq!(wild, "\"answers everything\"");
}
