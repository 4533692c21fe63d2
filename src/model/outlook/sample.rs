//! Outlooks to try things on: every state a certificate can be in, over and over.

use super::*;
use crate::model::tally::{Counted, Errors, Handshakes, Place, Taken};

const HOUR: u64 = 3600;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000)
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * HOUR)
}

/// `count` certificates of 160 hours, each with three generations behind it, in states that take turns:
/// well, failing, at risk, being rolled out, rolled back, pinned, waiting for a target, unreadable.
pub(crate) fn sample(count: usize) -> Outlook {
    let now = now();
    let certificates: Vec<Prospect> = (0..count).map(|place| prospect(place, now)).collect();
    let mut tally = Tally { since: now.minus(hours(1000)), ..Tally::default() };
    tally.ended.insert("renewed".to_owned(), 41);
    tally.ended.insert("retry".to_owned(), 2);
    tally.errors.insert(
        "rateLimited".to_owned(),
        Errors {
            count: 2,
            last_at: now.minus(hours(3)),
            last_name: "host-1.example".to_owned(),
            last_message: "too many <b>certificates</b> already issued".to_owned(),
        },
    );
    tally.phases.entry("acquire".to_owned()).or_default().add(Duration::from_millis(412));
    tally.challenges.entry("http-01".to_owned()).or_default().failed = 1;
    Outlook {
        at: now,
        host: "host.example".to_owned(),
        runs: RunsSeen {
            last: Some(now.minus(Duration::from_secs(600))),
            last_good: Some(now.minus(Duration::from_secs(600))),
            patience: hours(6),
        },
        certificates,
        allowances: vec![Allowance {
            ca: "letsencrypt".to_owned(),
            limit: "exact_set".to_owned(),
            of: "host-0.example".to_owned(),
            left: 3,
            tokens: 5,
            per: hours(168),
        }],
        paused: Vec::new(),
        tally,
    }
}

fn prospect(place: usize, now: Timestamp) -> Prospect {
    let host = format!("host-{place}.example");
    let mut one = Prospect::of(CertName::parse(&host).unwrap());
    if place % 8 == 7 {
        one.unreadable = Some("state is damaged".to_owned());
        return one;
    }
    one.identifiers = vec![Identifier::parse(&host).unwrap()];
    one.ca = Some("letsencrypt".to_owned());
    one.profile = Some("shortlived".to_owned());
    let begun = now.minus(hours(20 + (place as u64 % 5) * 10));
    let held = |number: u32, not_before: Timestamp| Held {
        generation: Generation::new(number).unwrap(),
        validity: Validity { not_before, not_after: not_before.plus(hours(160)) },
        fingerprint: format!("{number:064x}"),
        fate: None,
    };
    one.generations =
        (0..3).map(|age| held(3 - age, begun.minus(hours(80 * u64::from(age))))).rev().collect();
    one.live = one.generations.last().cloned();
    let planned = begun.plus(hours(80));
    one.next = Some(Planned {
        at: planned,
        source: "ari".to_owned(),
        reason: "the CA suggests it".to_owned(),
    });
    one.advice = Window::new(planned.minus(hours(1)), planned.plus(hours(2))).map(|window| {
        let (fetched_at, poll_at) = (now.minus(hours(2)), now.plus(hours(4)));
        Advised { window, fetched_at, poll_at, explanation_url: None }
    });
    one.last_safe_attempt = Some(begun.plus(hours(159)));
    one.attempts_left = Some(30);
    one.observed.targets.insert(
        "nginx".to_owned(),
        Taken { at: begun, generation: Generation::new(3).unwrap(), lag: 1.5 },
    );
    one.observed.places.insert(
        format!("{host} at 127.0.0.1:443"),
        Place {
            at: begun,
            generation: Generation::new(3).unwrap(),
            serves: true,
            problem: None,
            took: Some(0.004),
            took_before: Some(0.005),
        },
    );
    trouble(&mut one, place, now);
    one
}

fn trouble(one: &mut Prospect, place: usize, now: Timestamp) {
    match place % 8 {
        1 | 2 => {
            one.failures = 3;
            one.last_failure = Some(Failed {
                at: now.minus(hours(3)),
                message: "too many <b>certificates</b> already issued".to_owned(),
                retry_at: now.plus(hours(1)),
            });
            one.at_risk = place % 8 == 2;
        }
        3 => {
            let (from, to) = (Generation::new(2), Generation::new(3).unwrap());
            let steps = vec![(vec!["api".to_owned()], 5), (vec!["nginx".to_owned()], 100)];
            let text = "step 1 of 2 (api at 5 %) is watched".to_owned();
            one.rollout = Some(RollingOut {
                from,
                to,
                steps,
                step: 0,
                soak_until: Some(now.plus(hours(1))),
                waits_for_approval: false,
                back: None,
                text,
            });
            let counted =
                |completed, failed| Counted { completed, failed, refused: 0, mean: Some(0.002) };
            let (old, new) = (counted(950, 1), counted(50, 2));
            one.observed.handshakes = Some(Handshakes { at: now, old, new });
        }
        4 => {
            one.rollbacks = vec![now.minus(hours(5))];
            let last = one.generations.last_mut().expect("there are three");
            last.fate = Some(("rolled_back".to_owned(), "clients refuse it".to_owned()));
            one.live = Some(one.generations[1].clone());
        }
        5 => one.pinned_until = Some(now.plus(hours(50))),
        6 => {
            one.queue = vec![Waiting {
                target: "haproxy".to_owned(),
                generation: Generation::new(3).unwrap(),
                attempts: 2,
                next_at: now.plus(hours(1)),
            }];
        }
        _ => {}
    }
}
