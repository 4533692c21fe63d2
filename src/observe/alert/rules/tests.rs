use std::time::Duration;

use super::*;
use crate::model::generation::Generation;
use crate::model::name::Identifier;
use crate::model::outlook::sample::{now, sample};
use crate::model::outlook::{Held, Waiting};
use crate::model::tally::Place;

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// The only certificate of an outlook in which all is well, as changed.
fn with(change: impl Fn(&mut Prospect)) -> Outlook {
    let mut outlook = sample(1);
    change(&mut outlook.certificates[0]);
    outlook
}

/// Rules and severities, in the order of keys.
fn found(outlook: &Outlook) -> Vec<(Rule, Severity)> {
    judge(outlook).holding.iter().map(|one| (one.rule, one.severity)).collect()
}

fn fails(one: &mut Prospect, failures: u32) {
    let failing = sample(2).certificates.remove(1);
    (one.failures, one.last_failure) = (failures, failing.last_failure);
}

#[test]
fn all_states_of_the_sample() {
    use Severity::{Critical, Warning};
    let judged = judge(&sample(8));
    let told: Vec<_> = judged.holding.iter().map(|one| (one.key(), one.severity)).collect();
    let expected = [
        ("failing/host-2.example", Critical),
        ("runway/host-4.example", Critical),
        ("unreadable/host-7.example", Critical),
        ("failing/host-1.example", Warning),
        ("not_deployed/host-6.example", Warning),
        ("rolled_back/host-4.example", Warning),
    ];
    let expected = expected.map(|(key, severity)| (key.to_owned(), severity));
    assert_eq!(told, expected);
    assert_eq!(judged.unknown, BTreeSet::from(["host-7.example".to_owned()]));
    assert!(judged.holding.iter().all(|one| !one.hint.is_empty() && !one.text.is_empty()));
    assert_eq!(judge(&Outlook::default()), Judgement::default());
}

#[test]
fn one_failure_is_a_hiccup_unless_few_attempts_are_left() {
    let table = [
        (0, Some(30), false, None),
        (1, Some(30), false, None),
        (1, None, false, None),
        (1, Some(4), false, Some(Severity::Warning)),
        (2, Some(30), false, Some(Severity::Warning)),
        (1, Some(30), true, Some(Severity::Critical)),
        (9, Some(0), true, Some(Severity::Critical)),
    ];
    for (failures, left, at_risk, severity) in table {
        let outlook = with(|one| {
            fails(one, failures);
            (one.attempts_left, one.at_risk) = (left, at_risk);
        });
        let expected: Vec<_> = severity.map(|is| (Rule::Failing, is)).into_iter().collect();
        assert_eq!(found(&outlook), expected, "{failures} {left:?} {at_risk}");
    }
}

#[test]
fn runway_is_judged_by_time_and_share() {
    use Severity::{Critical, Warning};
    let table = [
        (90 * 24, 73, None),
        (90 * 24, 71, Some(Warning)),
        (90 * 24, 25, Some(Warning)),
        (90 * 24, 23, Some(Critical)),
        (160, 73, None),
        (160, 71, Some(Warning)),
        (160, 23, Some(Critical)),
        (24, 12, None),
        (24, 10, Some(Warning)),
        (24, 3, Some(Critical)),
        (24, 0, Some(Critical)),
    ];
    for (life, left, severity) in table {
        let outlook = with(|one| {
            let live = one.live.as_mut().unwrap();
            live.validity.not_after = now().plus(hours(left));
            live.validity.not_before = live.validity.not_after.minus(hours(life));
        });
        let expected: Vec<_> = severity.map(|is| (Rule::Runway, is)).into_iter().collect();
        assert_eq!(found(&outlook), expected, "{left} of {life}");
    }
    let expired = with(|one| {
        one.live.as_mut().unwrap().validity.not_after = now().minus(hours(1));
    });
    assert!(judge(&expired).holding[0].title.contains("EXPIRED"));
}

#[test]
fn rollbacks_worsen_to_a_halt() {
    let halted = with(|one| {
        one.rollbacks = vec![now().minus(hours(2)); 3];
        one.halted_since = Some(now().minus(hours(1)));
    });
    assert_eq!(found(&halted), [(Rule::RolledBack, Severity::Critical)]);
    let told = &judge(&sample(5)).holding;
    let told = told.iter().find(|one| one.rule == Rule::RolledBack).unwrap();
    assert!(told.text.contains("generation 3: clients refuse it"), "{}", told.text);
}

#[test]
fn a_queue_is_told_of_when_it_is_old() {
    let waits = |age: u64| {
        with(|one| {
            let generation = Generation::new(4).unwrap();
            let live = one.live.clone().unwrap();
            let mut validity = live.validity;
            validity.not_before = now().minus(hours(age));
            one.generations.push(Held { generation, validity, ..live });
            one.queue = vec![Waiting {
                target: "nginx".to_owned(),
                generation,
                attempts: 1,
                next_at: now(),
            }];
        })
    };
    assert_eq!(found(&waits(1)), []);
    assert_eq!(found(&waits(3)), [(Rule::NotDeployed, Severity::Warning)]);
}

#[test]
fn what_is_seen_counts_only_of_what_is_live() {
    let seen = |generation: u32| {
        with(|one| {
            let place = Place {
                at: now(),
                generation: Generation::new(generation).unwrap(),
                serves: false,
                problem: Some("expired\u{1b}[2J".to_owned()),
                took: None,
                took_before: None,
            };
            one.observed.places.insert("a:443".to_owned(), place);
        })
    };
    assert_eq!(found(&seen(2)), []);
    assert_eq!(found(&seen(3)), [(Rule::ServedWrong, Severity::Critical)]);
    assert!(judge(&seen(3)).holding[0].text.contains("expired\\u{1b}"));
}

#[test]
fn revoked_by_us_or_by_the_ca() {
    let by_us = with(|one| {
        one.live.as_mut().unwrap().fate = Some(("revoked".to_owned(), "keyCompromise".to_owned()));
    });
    let by_ca = |at: Timestamp, state: &str| {
        with(|one| one.observed.revocation = Some((at, state.to_owned())))
    };
    assert_eq!(found(&by_us), [(Rule::Revoked, Severity::Critical)]);
    assert_eq!(found(&by_ca(now(), "revoked")), [(Rule::Revoked, Severity::Critical)]);
    assert_eq!(found(&by_ca(now(), "good")), []);
    assert_eq!(found(&by_ca(now().minus(hours(500)), "revoked")), [], "of one before it");
}

#[test]
fn paused_names_come_with_their_page() {
    let mut outlook = sample(1);
    outlook.paused = vec![PausedName {
        ca: "letsencrypt".to_owned(),
        identifier: Identifier::parse("host-0.example").unwrap(),
        page: "https://ca.example/unpause?jwt=a.b.c".to_owned(),
    }];
    let [told] = &judge(&outlook).holding[..] else { panic!() };
    assert_eq!(told.key(), "paused/letsencrypt/host-0.example");
    assert_eq!(told.certificate.as_deref(), Some("host-0.example"));
    assert_eq!(told.link.as_deref(), Some("https://ca.example/unpause?jwt=a.b.c"));
    assert!(told.hint.contains("https://ca.example/unpause?jwt=a.b.c"));
}

#[test]
fn silence_is_told() {
    let mut outlook = sample(1);
    outlook.runs.last_good = Some(now().minus(hours(7)));
    let [told] = &judge(&outlook).holding[..] else { panic!() };
    assert_eq!((told.rule, told.severity), (Rule::Silence, Severity::Critical));
    assert!(told.title.contains("7 h"), "{}", told.title);
}

#[test]
fn what_a_ca_says_is_bounded() {
    let outlook = with(|one| {
        fails(one, 3);
        one.last_failure.as_mut().unwrap().message = "x\n".repeat(100_000);
    });
    assert!(judge(&outlook).holding[0].text.len() < 1000);
}
