use std::time::Duration;

use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3600;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn hours(h: u64) -> Duration {
    Duration::from_secs(h * HOUR)
}

/// 160 hours, as in the example of the CA's own formula.
fn shortlived() -> Validity {
    Validity { not_before: at("2026-11-22T00:00:00Z"), not_after: at("2026-11-28T15:59:59Z") }
}

fn advice(start: &str, end: &str, fetched_at: Timestamp) -> Advice {
    let window = Window::new(at(start), at(end)).unwrap();
    Advice { window, fetched_at, poll_at: fetched_at.plus(hours(6)) }
}

fn seed() -> Seed {
    Seed::new(b"fingerprint", b"host")
}

#[test]
fn the_instant_lies_in_the_cas_window() {
    let v = shortlived();
    let advice = advice("2026-11-25T06:23:59Z", "2026-11-25T09:35:59Z", v.not_before);
    let Due::At(instant, Reason::Ari(window)) =
        due(v, Some(advice), History::default(), &seed(), v.not_before)
    else {
        panic!("not scheduled by ARI");
    };
    assert!(window.contains(instant));
    let polled_since = Advice { fetched_at: instant, poll_at: instant.plus(hours(6)), ..advice };
    let now_due = due(v, Some(polled_since), History::default(), &seed(), instant);
    assert_eq!(now_due, Due::Now(Reason::Ari(window)));
}

#[test]
fn without_advice_the_lifetime_decides() {
    let ninety = Validity {
        not_before: at("2026-11-22T00:00:00Z"),
        not_after: at("2026-11-22T00:00:00Z").plus(hours(90 * 24)),
    };
    for (validity, earliest, latest) in [(shortlived(), 76, 80), (ninety, 1390, 1440)] {
        let plan = due(validity, None, History::default(), &seed(), validity.not_before);
        let Due::At(instant, Reason::Lifetime) = plan else { panic!("{plan:?}") };
        let after = instant.since(validity.not_before);
        assert!(hours(earliest) <= after && after <= hours(latest), "{after:?}");
    }
}

#[test]
fn unusable_advice_counts_as_none() {
    let v = shortlived();
    for (start, end) in [
        ("2026-11-28T16:00:00Z", "2026-11-29T00:00:00Z"),
        ("9998-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    ] {
        let advice = advice(start, end, v.not_before);
        let plan = due(v, Some(advice), History::default(), &seed(), v.not_before);
        assert!(matches!(plan, Due::At(_, Reason::Lifetime)), "{plan:?}");
    }
}

#[test]
fn a_window_in_the_past_is_an_emergency() {
    let v = shortlived();
    let now = v.not_before.plus(hours(10));
    let advice = advice("2026-11-22T08:00:00Z", "2026-11-22T08:30:00Z", now);
    let plan = due(v, Some(advice), History::default(), &seed(), now);
    assert!(matches!(plan, Due::Now(Reason::Emergency(_))), "{plan:?}");
}

#[test]
fn advice_never_overrides_the_last_twentieth() {
    let v = shortlived();
    let advice = advice("2026-11-28T15:00:00Z", "2026-11-28T15:59:00Z", v.not_before);
    let plan = due(v, Some(advice), History::default(), &seed(), v.not_before);
    assert_eq!(plan, Due::At(v.not_after.minus(hours(8)), Reason::LastTwentieth));
}

#[test]
fn stale_advice_only_brings_the_instant_forward() {
    let v = shortlived();
    let late = advice("2026-11-27T00:00:00Z", "2026-11-27T01:00:00Z", v.not_before);
    let fresh = due(v, Some(late), History::default(), &seed(), v.not_before.plus(hours(12)));
    assert!(matches!(fresh, Due::At(_, Reason::Ari(_))), "{fresh:?}");
    let stale = due(v, Some(late), History::default(), &seed(), v.not_before.plus(hours(13)));
    assert!(matches!(stale, Due::At(_, Reason::Lifetime)), "{stale:?}");
}

#[test]
fn failures_hold_back_but_not_for_ever() {
    let v = shortlived();
    let now = v.not_before.plus(hours(100));
    let until = now.plus(hours(1));
    let history = History { failures: 3, retry_at: Some(until) };
    assert_eq!(
        due(v, None, history, &seed(), now),
        Due::Blocked(until, Reason::Retry { failures: 3 })
    );
    assert!(matches!(due(v, None, history, &seed(), until), Due::Now(Reason::Lifetime)));
}

#[test]
fn polling_ends_with_the_certificate() {
    let v = shortlived();
    assert!(poll_is_due(v, None, v.not_before));
    assert!(!poll_is_due(v, Some(v.not_before.plus(hours(1))), v.not_before));
    assert!(poll_is_due(v, Some(v.not_before), v.not_before));
    assert!(!poll_is_due(v, None, v.not_after.plus(hours(1))));
}

prop_compose! {
    fn any_case()(
        life in 3600u64..40_000_000, start in 0u64..50_000_000, width in 1u64..5_000_000,
        host in any::<u64>(), with_ari in any::<bool>(), fetched in 0u64..40_000_000,
    ) -> (Validity, Option<Advice>, Seed) {
        let from = Timestamp::from_unix(1_800_000_000);
        let after = |s: u64| from.plus(Duration::from_secs(s));
        let validity = Validity { not_before: from, not_after: after(life) };
        let window = Window::new(after(start), after(start + width)).unwrap();
        let fetched_at = after(fetched.min(life));
        let advice = Advice { window, fetched_at, poll_at: fetched_at.plus(hours(6)) };
        (validity, with_ari.then_some(advice), Seed::new(b"x", &host.to_be_bytes()))
    }
}

proptest! {
    /// Always before expiry, and inside the window whenever the window was followed.
    #[test]
    fn the_instant_is_in_time((validity, advice, seed) in any_case(), now in 0u64..40_000_000) {
        let now = validity.not_before.plus(Duration::from_secs(now));
        if let Due::At(instant, reason) = due(validity, advice, History::default(), &seed, now) {
            prop_assert!(instant <= validity.not_after);
            prop_assert!(instant > now);
            if let Reason::Ari(window) = reason {
                prop_assert!(window.contains(instant));
            }
        }
    }

    /// A timer that ticks twice in a window always meets it when what it was given for is due.
    #[test]
    fn a_timer_as_fine_as_half_a_window_never_misses_it(
        host: u64, phase in 0u64..5760, every in 1u64..=5760,
    ) {
        // The window of a 160-hour certificate is 3.2 h.
        let v = shortlived();
        let advice = advice("2026-11-25T06:23:59Z", "2026-11-25T09:35:59Z", v.not_before);
        let seed = Seed::new(b"x", &host.to_be_bytes());
        let ticks = (0..).map(|n| advice.window.start().plus(Duration::from_secs(phase % every + n * every)));
        let polled = |at: Timestamp| Advice { fetched_at: at, poll_at: at.plus(hours(6)), ..advice };
        let mut due_at = ticks.filter(|at| {
            matches!(due(v, Some(polled(*at)), History::default(), &seed, *at), Due::Now(_))
        });
        prop_assert!(advice.window.contains(due_at.next().unwrap()));
    }

    /// Once due, it stays due while time passes and nothing else changes.
    #[test]
    fn due_never_moves_later((validity, advice, seed) in any_case(), now in 0u64..40_000_000, later in 0u64..40_000_000) {
        let now = validity.not_before.plus(Duration::from_secs(now));
        let first = due(validity, advice, History::default(), &seed, now);
        let second = due(validity, advice, History::default(), &seed, now.plus(Duration::from_secs(later)));
        match (first, second) {
            (Due::Now(_), other) => prop_assert!(matches!(other, Due::Now(_))),
            (Due::At(a, _), Due::At(b, _)) => prop_assert!(b <= a),
            _ => {}
        }
    }
}
