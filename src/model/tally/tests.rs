use proptest::prelude::*;

use super::*;
use crate::model::challenge::ChallengeKind;
use crate::model::event::Phase;
use crate::model::name::Identifier;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + second)
}

fn name() -> CertName {
    CertName::parse("www.example.com").unwrap()
}

fn generation(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn phase_ended(phase: Phase, took: u64) -> Event {
    Event::PhaseEnded { name: name(), phase, took: millis(took) }
}

fn challenge(took: u64, failed: Option<&str>) -> Event {
    Event::ChallengeEnded {
        name: name(),
        identifier: Identifier::parse("www.example.com").unwrap(),
        kind: ChallengeKind::Dns01,
        took: millis(took),
        failed: failed.map(str::to_owned),
    }
}

fn switched(to: u32) -> Event {
    let (name, fingerprint) = (name(), "00".repeat(32));
    Event::Switched { name, from: None, to: generation(to), fingerprint }
}

fn activated(target: &str, number: u32, lag: u64) -> Event {
    let (target, generation, took) = (target.to_owned(), generation(number), millis(3));
    Event::Activated { name: name(), target, generation, took, lag: millis(lag) }
}

fn seen(place: &str, number: u32, problem: Option<&str>) -> Event {
    let (serves, problem) = (problem.is_none(), problem.map(str::to_owned));
    let (place, took, took_before) = (place.to_owned(), Some(millis(4)), None);
    let sighting = Sighting { place, serves, problem, took, took_before };
    Event::Seen { name: name(), generation: generation(number), sighting }
}

fn ended(ended: Ended, failing: Option<(&'static str, &str)>) -> Event {
    let failing = failing.map(|(kind, message)| Failing { kind, message: message.to_owned() });
    Event::RunEnded { name: name(), ended, failing }
}

fn told(events: &[Event]) -> Tally {
    let mut tally = Tally::begun(at(0));
    for (second, event) in (1..).zip(events) {
        tally.note(at(second), event);
    }
    tally
}

#[test]
fn ends_and_errors_are_counted() {
    let long = "x".repeat(5000);
    let tally = told(&[
        ended(Ended::NotDue, None),
        ended(Ended::Retry, Some(("rateLimited", "too many"))),
        ended(Ended::Retry, Some(("rateLimited", &long))),
        ended(Ended::RolledBack, Some(("unseen", "clients do not see it"))),
    ]);
    let counts: Vec<_> = tally.ended.iter().map(|(how, count)| (how.as_str(), *count)).collect();
    assert_eq!(counts, [("not_due", 1), ("retry", 2), ("rolled_back", 1)]);
    let limited = &tally.errors["rateLimited"];
    assert_eq!((limited.count, limited.last_at, &*limited.last_name), (2, at(3), name().as_str()));
    assert_eq!(limited.last_message.len(), 1000, "no text is kept without end");
    assert_eq!(tally.errors["unseen"].count, 1);
}

#[test]
fn phases_are_timed_for_all_and_for_the_last_run_of_each() {
    let begun = || Event::PhaseStarted { name: name(), phase: Phase::Precheck };
    let tally = told(&[
        begun(),
        phase_ended(Phase::Precheck, 2),
        phase_ended(Phase::Acquire, 700),
        begun(),
        phase_ended(Phase::Precheck, 6),
        Event::PhaseStarted { name: name(), phase: Phase::Acquire },
    ]);
    let precheck = &tally.phases["precheck"];
    assert_eq!((precheck.count(), precheck.seconds), (2, 0.008));
    assert_eq!(precheck.counts[..3], [1, 1, 0]);
    assert_eq!(tally.phases["acquire"].counts[5], 1);
    assert_eq!(tally.certificates[&name()].phases, [("precheck".to_owned(), 0.006)]);
}

#[test]
fn challenges_are_counted_by_type_and_the_failed_among_them() {
    let tally = told(&[challenge(10, None), challenge(20, Some("no TXT record"))]);
    let dns = &tally.challenges["dns-01"];
    assert_eq!((dns.failed, dns.took.count(), dns.took.seconds), (1, 2, 0.03));
}

#[test]
fn what_a_whole_rollout_did_not_reach_is_forgotten() {
    let rollout = [
        switched(1),
        activated("nginx", 1, 1500),
        activated("haproxy", 1, 1600),
        seen("a at 192.0.2.1:443", 1, None),
        seen("a at 192.0.2.2:443", 1, None),
        ended(Ended::Renewed, None),
        switched(2),
        activated("nginx", 2, 2500),
        seen("a at 192.0.2.1:443", 2, Some("it was down before")),
    ];
    let under_way = told(&rollout).certificates[&name()].clone();
    assert_eq!((under_way.places.len(), under_way.targets.len()), (2, 2));
    let mut over = told(&rollout);
    over.note(at(50), &ended(Ended::Soaking, None));
    assert_eq!(over.certificates[&name()], under_way, "it goes on in another run");
    over.note(at(60), &ended(Ended::Renewed, None));
    let over = &over.certificates[&name()];
    assert_eq!(over.live, Some(generation(2)));
    let targets: Vec<_> = over.targets.iter().collect();
    let taken = Taken { at: at(8), generation: generation(2), lag: 2.5 };
    assert_eq!(targets, [(&"nginx".to_owned(), &taken)]);
    let place = &over.places["a at 192.0.2.1:443"];
    assert_eq!((over.places.len(), place.serves, place.took), (1, false, Some(0.004)));
}

#[test]
fn handshakes_and_revocation_are_those_seen_last() {
    let traffic = |completed| {
        let (timed, took) = (4, millis(10));
        let new = Counters { completed, ocsp_refused: 1, refused: 2, timed, took, failed: 3 };
        Event::Counted { name: name(), traffic: Traffic { old: Counters::default(), new } }
    };
    let revocation = |state| Event::RevocationSeen { name: name(), state };
    let tally = told(&[traffic(5), revocation("unknown"), traffic(9), revocation("good")]);
    let observed = &tally.certificates[&name()];
    assert_eq!(observed.revocation, Some((at(4), "good".to_owned())));
    // A rollout of what its CA had revoked is undone: that was not said of what is live again.
    let tally = told(&[switched(2), revocation("revoked"), switched(1)]);
    assert_eq!(tally.certificates[&name()].revocation, None);
    let Handshakes { at: when, old, new } = observed.handshakes.clone().unwrap();
    assert_eq!((when, old.all(), old.mean), (at(3), 0, None));
    assert_eq!(new, Counted { completed: 9, failed: 3, refused: 3, mean: Some(0.0025) });
}

#[test]
fn what_is_only_told_is_not_counted() {
    let text = || "text".to_owned();
    let told_only = [
        Event::Noticed { name: name(), text: text() },
        Event::Measured { name: name(), text: text() },
        Event::Decided { name: name(), what: "pinned", text: text() },
    ]
    .map(|event| (at(0), event));
    assert!(!Tally::concerns(&[]));
    assert!(!Tally::concerns(&told_only));
    assert!(Tally::concerns(&[told_only, [0, 1, 2].map(|_| (at(0), challenge(1, None)))].concat()));
}

#[test]
fn certificates_that_are_gone_are_forgotten() {
    let mut tally = told(&[switched(1), ended(Ended::Renewed, None)]);
    tally.keep(|_| true);
    assert_eq!(tally.certificates.len(), 1);
    tally.keep(|_| false);
    assert!(tally.certificates.is_empty());
    assert_eq!(tally.ended["renewed"], 1, "what was counted stays");
}

fn any_event() -> impl Strategy<Value = Event> {
    let long = 0_u64..2_000_000;
    prop_oneof![
        long.clone().prop_map(|took| phase_ended(Phase::Deploy, took)),
        (long.clone(), any::<bool>()).prop_map(|(took, bad)| challenge(took, bad.then_some("bad"))),
        (1_u32..5).prop_map(switched),
        (1_u32..5, long).prop_map(|(number, lag)| activated("nginx", number, lag)),
        (1_u32..5, "[ab]").prop_map(|(number, place)| seen(&place, number, None)),
        Just(ended(Ended::Renewed, None)),
        "\\PC{0,20}".prop_map(|text| ended(Ended::Retry, Some(("store", &text)))),
    ]
}

fn sums(tally: &Tally) -> Vec<u64> {
    let ended = tally.ended.values().sum();
    let errors = tally.errors.values().map(|errors| errors.count).sum();
    let phases = tally.phases.values().map(Histogram::count).sum();
    let tried = tally.challenges.values().map(|one| one.took.count()).sum();
    let failed = tally.challenges.values().map(|one| one.failed).sum();
    vec![ended, errors, phases, tried, failed]
}

proptest! {
    #[test]
    fn counts_never_go_down(events in prop::collection::vec(any_event(), 0..40)) {
        let mut tally = Tally::begun(at(0));
        for event in &events {
            let before = tally.clone();
            tally.note(at(1), event);
            prop_assert!(sums(&before).iter().zip(sums(&tally)).all(|(before, now)| *before <= now));
            for (kind, errors) in &before.errors {
                prop_assert!(errors.count <= tally.errors[kind].count);
            }
        }
        let ends = events.iter().filter(|event| matches!(event, Event::RunEnded { .. })).count();
        prop_assert_eq!(sums(&tally)[0], ends as u64);
    }

    #[test]
    fn a_histogram_holds_each_span_once(spans in prop::collection::vec(0_u64..2_000_000, 0..50)) {
        let mut histogram = Histogram::default();
        for span in &spans {
            histogram.add(millis(*span));
        }
        prop_assert_eq!(histogram.count(), spans.len() as u64);
        let sum = millis(spans.iter().sum()).as_secs_f64();
        prop_assert!((histogram.seconds - sum).abs() < 1e-6 * (1.0 + spans.len() as f64));
        for (place, bound) in Histogram::BOUNDS.iter().enumerate() {
            let within: u64 = histogram.counts[..=place].iter().sum();
            let wanted = spans.iter().filter(|span| millis(**span).as_secs_f64() <= *bound).count();
            prop_assert_eq!(within, wanted as u64);
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was(events in prop::collection::vec(any_event(), 0..40)) {
        let tally = told(&events);
        let text = serde_json::to_string(&tally).unwrap();
        let read: Tally = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &tally);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
