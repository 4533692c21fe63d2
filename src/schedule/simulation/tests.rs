//! What must hold in every simulated life.

use proptest::prelude::*;

use super::ours::Ours;
use super::peers::{ACME_SH, Peer};
use super::table::{self, CADENCES, Keeper, Row, SHORTLIVED};
use super::*;
use crate::schedule::limits::Limits;

const BEGIN: &str = "<!-- a year in a test -->\n";
const END: &str = "<!-- /a year in a test -->";

#[test]
#[expect(clippy::print_stdout, reason = "the table is to be seen")]
fn a_year_in_a_test() {
    let rows = table::rows();
    rows.iter().filter(|row| matches!(row.line.keeper, Keeper::Ours(_))).for_each(holds);
    let table = table::markdown(&rows);
    println!("{table}");
    let readme = include_str!("../../../README.md");
    let shown = readme.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let shown = shown.expect("README.md has the two marks").0;
    assert!(shown == table, "README.md is stale: put this between its two marks\n\n{table}");
}

/// Never too late, never too often.
fn holds(row: &Row) {
    let Row { certificate, line, calm, rough, fleet, .. } = row;
    let what = format!("{certificate}, {}", line.runs);
    assert_eq!(calm.needless + rough.needless + fleet.needless, 0, "{what}: a chance was missed");
    assert_eq!(calm.refused + rough.refused, 0, "{what}: a bucket was overdrawn");
    assert_eq!(calm.expired + fleet.expired, 0, "{what}");
    if matches!(line.keeper, Keeper::Ours(2)) {
        assert_eq!(rough.expired, 0, "{what}: the second CA was there");
        assert!(rough.by_ca[0] > rough.by_ca[1], "{what}: the first one is the wanted one");
    }
    if ["resident", "every 30 min", "hourly"].contains(&line.runs) {
        assert_eq!(calm.exempt, calm.renewals, "{what}: outside the window");
        assert_eq!(fleet.refused, 0, "{what}: what is exempt is not refused");
        assert!(row.attempts() >= 10, "{what}: {}", row.attempts());
    }
}

/// A client of ours with so many CAs in its list.
fn ours(cas: usize, seed: u64) -> Ours {
    Ours::new(&[Limits::LETS_ENCRYPT, Limits::UNKNOWN][..cas], seed)
}

#[test]
fn a_crash_loop_stays_within_the_budget() {
    let mut world = World::new(vec![Ca::boulder(SHORTLIVED)], 1);
    let mut client = ours(1, 1);
    client.look(&mut world, start());
    let due = client.planned(&world, start());
    world.killing = Some((due, due.plus(DAY * 30)));
    let before = world.cas[0].taken;
    for minute in 0..200 {
        client.look(&mut world, due.plus(MINUTE * minute));
    }
    // Five at once, less the one that is kept for an emergency.
    assert_eq!(world.cas[0].taken - before, 4);
    let end = world.held.unwrap().validity.not_after;
    let mut now = due.plus(MINUTE * 200);
    while now < end {
        client.look(&mut world, now);
        now = now.plus(MINUTE);
    }
    assert_eq!(world.cas[0].taken - before, 7, "one each 33.6 h, and the one that was kept");
    assert_eq!(world.cas[0].refused, 0);
}

#[test]
fn without_ari_a_short_lived_one_is_renewed_at_half_its_life() {
    for (_, cadence) in CADENCES {
        let world = World::new(vec![Ca::plain(SHORTLIVED)], 1);
        let year = Life::new(ours(1, 1), world, cadence, Script::Calm).live();
        let slack = match cadence {
            Cadence::Resident => MINUTE * 2,
            Cadence::Timer { every, delay, .. } => every + delay,
        };
        assert!(year.oldest <= HOUR * 80 + slack + MINUTE, "{:?} {cadence:?}", year.oldest);
        assert!(year.worst.unwrap() > HOUR * 55, "{year:?}");
    }
    let world = World::new(vec![Ca::plain(SHORTLIVED)], 1);
    let year = Life::new(Peer::new(ACME_SH), world, ACME_SH.cadence, Script::Calm).live();
    assert_eq!(year.expired, year.renewals + 1, "29 days after it was made: {year:?}");
}

#[test]
fn the_second_ca_steps_in_and_the_first_one_comes_back() {
    let mut world = World::new(vec![Ca::boulder(SHORTLIVED), Ca::plain(SHORTLIVED)], 1);
    let mut client = ours(2, 1);
    let mut now = start();
    let mut issuers: Vec<(u32, usize)> = Vec::new();
    while issuers.len() < 4 {
        let wake = client.look(&mut world, now);
        let held = world.held.unwrap();
        if issuers.last().is_none_or(|(serial, _)| *serial != held.serial) {
            issuers.push((held.serial, held.ca));
            if held.serial == 1 {
                let due = client.planned(&world, now);
                world.cas[0].outages.push((due, due.plus(DAY * 3)));
            }
        }
        now = wake.max(now.plus(MINUTE));
    }
    assert_eq!(issuers.iter().map(|(_, ca)| *ca).collect::<Vec<_>>(), [0, 1, 0, 0]);
}

fn outages() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0u64..24 * 60, 1u64..24 * 6), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever goes out when: a CA of the list that answers for a tenth of the runway and two
    /// turns of the timer is enough.
    #[test]
    fn no_certificate_expires_while_a_ca_answers(
        first in outages(), second in outages(), cas in 1usize..3, cadence in 0usize..4, seed: u64,
    ) {
        let cadence = CADENCES[cadence].1;
        let mut world = World::new(vec![Ca::boulder(SHORTLIVED), Ca::plain(SHORTLIVED)], seed);
        world.cas.truncate(cas);
        let hours = |h: u64| HOUR * u32::try_from(h).unwrap();
        for (ca, outages) in world.cas.iter_mut().zip([first, second]) {
            let spans = outages.iter().map(|(from, long)| {
                // Not before there is a certificate.
                let from = start().plus(DAY + hours(*from));
                (from, from.plus(hours(*long)))
            });
            ca.outages = spans.collect();
        }
        world.suffices = Some(match cadence {
            Cadence::Resident => HOUR * 9,
            Cadence::Timer { every, .. } => HOUR * 9 + every * 2,
        });
        world.counts_runs = false;
        let year = Life::new(ours(cas, seed), world, cadence, Script::Calm).live();
        prop_assert_eq!(year.needless, 0);
        prop_assert_eq!(year.refused, 0);
    }
}
