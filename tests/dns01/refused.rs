//! What cannot work is known before an order is opened.

use super::world::{NS, World};
use crate::need;
use crate::support::named::{KEY, Named, Setup, zone};

/// A name, the TSIG key, the server that is given, and what is said then.
type Case =
    (&'static str, (&'static str, &'static str), Option<&'static str>, &'static [&'static str]);

fn cases() -> Vec<Case> {
    let wrong = "d3JvbmcgYnV0IGp1c3QgYXMgbG9uZyBhcyB0aGUgcmlnaHQ=";
    let first = Some(NS[0]);
    vec![
        ("one.example", (KEY.0, wrong), None, &["does not accept the credentials", "BADSIG"]),
        ("one.example", ("other", KEY.1), None, &["does not accept the credentials", "BADKEY"]),
        ("still.example", KEY, None, &["refuses to change the zone still.example", "REFUSED"]),
        (
            "broken.example",
            KEY,
            None,
            &[
                "cannot find the zone to be written for _acme-challenge.broken.example",
                "no name server of the zone broken.example answers for it",
                "ns1.broken.example (203.0.113.3) says REFUSED",
            ],
        ),
        (
            "loop.one.example",
            KEY,
            None,
            &[
                "its aliases (CNAME) lead nowhere: _acme-challenge.loop.one.example -> a.one.example -> \
             b.one.example -> a.one.example",
                "correct the CNAME of a.one.example",
            ],
        ),
        ("odd.one.example", KEY, None, &["_acme-challenge.odd.one.example cannot be written"]),
        ("nowhere.example", KEY, first, &["has no zone example"]),
        (
            "a.nowhere",
            KEY,
            first,
            &["the top-level domain of _acme-challenge.a.nowhere does not exist"],
        ),
        ("one.example", KEY, Some(NS[3]), &["cannot be reached", NS[3]]),
    ]
}

#[test]
fn what_cannot_work_costs_no_order() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let delegations: [(&str, &[&str]); 3] =
        [("one", &[NS[0]]), ("still", &[NS[1]]), ("broken", &[NS[2]])];
    let Some(world) = World::with(&delegations) else { return };
    let own = |records| zone(1, &[("ns1", NS[0])], records);
    let records = "_acme-challenge.loop CNAME a.one.example.\na CNAME b\nb CNAME a\n\
                   _acme-challenge.odd CNAME a\\032b.one.example.";
    let _bind = world.server(NS[0], &[("one.example", own(records))], "");
    let fixed = [("still.example", zone(1, &[("ns1", NS[1])], ""))];
    let setup = Setup { address: NS[1], zones: &fixed, more: "", options: "recursion no;" };
    let _still = Named::start(&world.network, &setup);
    let _lame = world.server(NS[2], &[], "");
    for (name, key, server, said) in cases() {
        let ran = world.issues(name, &world.credentials(key, server));
        println!("{name}: exit {}: {}", ran.code, ran.stderr);
        assert_ne!(ran.code, 0, "{name}");
        let _ = ran.says(said);
        assert_eq!(world.pebble.orders(), 0, "{name} cost an order");
    }
    world.assert_clean(NS[0], "one.example");
}
