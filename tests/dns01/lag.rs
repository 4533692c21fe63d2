//! Name servers that are late, lame or mute.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::world::{NS, World};
use crate::need;
use crate::support::named::{Named, Setup, zone};
use crate::support::wait_for;

/// How far the second server is behind.
const BEHIND: Duration = Duration::from_secs(20);

/// A zone with two servers, of which only the first takes updates, and tells nobody.
fn apart() -> Option<(World, [Named; 2])> {
    let world = World::with(&[("lag", &[NS[0], NS[1]])])?;
    let servers = [("ns1", NS[0]), ("ns2", NS[1])];
    let server = |address| world.server(address, &[("lag.example", zone(5, &servers, ""))], "");
    let servers = [server(NS[0]), server(NS[1])];
    Some((world, servers))
}

#[test]
fn a_server_that_lags_is_named_and_waited_for_as_long_as_needed() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some(world) = World::with(&[("lag", &[NS[0], NS[1]])]) else { return };
    let servers = [("ns1", NS[0]), ("ns2", NS[1])];
    let _primary = world.server(NS[0], &[("lag.example", zone(5, &servers, ""))], "");
    // It learns of changes only when it is told, which the primary does not do.
    let more = format!(
        "zone \"lag.example\" {{ type secondary; file \"lag\"; primaries {{ {}; }}; allow-notify {{ any; }}; }};",
        NS[0]
    );
    let options = "recursion no; notify no;";
    let setup = Setup { address: NS[1], zones: &[], more: &more, options };
    let _secondary = Named::start(&world.network, &setup);
    let second = format!("@{}", NS[1]);
    wait_for("the first transfer", || world.dig(&["SOA", "lag.example", &second]).contains(" 5 "));
    let credentials = world.good_credentials();
    let began = Instant::now();
    let agent = world.spawn(
        "lag.example,*.lag.example",
        &["--dns", "rfc2136", "--dns-credentials", &credentials],
    );
    sleep(BEHIND);
    assert_eq!(world.pebble.log().matches("Pulled a task").count(), 0, "the CA was told too early");
    let caught_up = Instant::now();
    world.dig(&["+opcode=notify", "SOA", "lag.example", &second]);
    let lag = "ns2.lag.example (203.0.113.2): serial 5, others have";
    agent.ends().exits(0).says(&[lag]);
    println!(
        "two servers, one {BEHIND:?} behind: issued {:?} after it was told of the change, {:?} in all",
        caught_up.elapsed(),
        began.elapsed()
    );
    assert_eq!(world.pebble.orders(), 1);
    world.assert_clean(NS[0], "lag.example");
}

/// Nothing is said to the CA when the patience is over; what is missing is named.
#[test]
fn a_server_that_never_catches_up_costs_no_authorization() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some((world, _servers)) = apart() else { return };
    let credentials = world.good_credentials();
    let args = ["--dns", "rfc2136", "--dns-credentials", &credentials];
    let args = [&args[..], &["--dns-propagation-timeout", "4s"]].concat();
    let ran = world.run("lag.example", &args).exits(3);
    let _ = ran.says(&["after 4 s the record _acme-challenge.lag.example is not shown by \
         ns2.lag.example (203.0.113.2): serial 5, others have"]);
    assert_eq!(world.pebble.log().matches("Pulled a task").count(), 0, "the CA was told");
    world.assert_clean(NS[0], "lag.example");
}

#[test]
fn servers_that_are_lame_or_mute_are_named_and_do_not_hold_for_ever() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some(world) = World::with(&[("lame", &[NS[0], NS[1], NS[2]])]) else { return };
    let servers = [("ns1", NS[0]), ("ns2", NS[1]), ("ns3", NS[2])];
    let _good = world.server(NS[0], &[("lame.example", zone(1, &servers, ""))], "");
    let _lame = world.server(NS[1], &[], "");
    let began = Instant::now();
    let ran = world.issues("lame.example", &world.good_credentials()).exits(0);
    println!("one good server, one lame, one mute: {:?}", began.elapsed());
    let _ = ran.says(&[
        "lame.example shows what was written, but for",
        "ns2.lame.example (203.0.113.2) does not answer for the zone: REFUSED",
        "ns3.lame.example (203.0.113.3) gives no answer",
    ]);
    world.assert_clean(NS[0], "lame.example");
}

#[test]
fn a_run_that_is_stopped_takes_its_records_back() {
    need!("pebble", "named", "dig", "ip", "unshare", "nsenter", "curl");
    let Some((world, _servers)) = apart() else { return };
    let credentials = world.good_credentials();
    let args = ["--dns", "rfc2136", "--dns-credentials", &credentials];
    let agent = world.spawn("lag.example", &args);
    let first = format!("@{}", NS[0]);
    let shown = || world.dig(&["TXT", "_acme-challenge.lag.example", &first]);
    wait_for("the record", || shown().contains('"'));
    agent.signal(Signal::SIGTERM);
    agent.ends().exits(3);
    world.assert_clean(NS[0], "lag.example");
}
