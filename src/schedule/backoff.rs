//! How long to wait after a failure.

use std::time::Duration;

use crate::model::time::{Timestamp, Validity};

const SHORTEST: Duration = Duration::from_secs(60);
/// Also how often what was left out is tried again.
pub(crate) const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// At least this many further attempts must fit into what is left of the certificate's life.
const ATTEMPTS_LEFT: u32 = 10;
/// More attempts than this are not told apart.
const COUNTED: u32 = 1000;

/// The wait before the next attempt: ten times longer after each failure, never zero, and never so
/// long that fewer than ten attempts fit into `runway`, the time until what is served expires.
///
/// ```text
/// failures 1, 2, 3 …  ->  1 min, 10 min, 100 min, 6 h
/// ```
pub(crate) fn wait(failures: u32, runway: Duration) -> Duration {
    let step = SHORTEST.saturating_mul(10u32.saturating_pow(failures.saturating_sub(1)));
    step.min(LONGEST).min(runway / ATTEMPTS_LEFT).max(SHORTEST)
}

/// How many more attempts come before `runway` is over, should all of them fail.
pub(crate) fn attempts(failures: u32, runway: Duration) -> u32 {
    let (mut failed, mut left) = (failures, runway);
    while failed - failures < COUNTED {
        let wait = wait(failed, left);
        if wait >= left || failed == u32::MAX {
            break;
        }
        left -= wait;
        failed += 1;
    }
    failed - failures
}

/// Nobody counts on an attempt taking less: a record in the DNS alone may need so long to be seen.
const ATTEMPT: Duration = Duration::from_secs(10 * 60);
/// An attempt is given so many times what the last one `took`.
const SPARE: u32 = 2;

/// The last instant at which an attempt still comes in time, should it succeed: its end is to lie
/// before that of what is served.
///
/// An attempt is thought to take no more than a twentieth of the life, for of a very short one
/// nothing would be left otherwise.
pub(crate) fn last_safe(validity: Validity, took: Option<Duration>) -> Timestamp {
    let needed = took.map_or(ATTEMPT, |took| took.saturating_mul(SPARE).max(ATTEMPT));
    validity.not_after.minus(needed.min(validity.lifetime() / 20))
}

/// When to try again after `failures` in a row, where the CA asked to wait until `asked`.
///
/// What the CA asks for is obeyed for a tenth of `runway` and no longer.
pub(crate) fn retry_at(
    failures: u32,
    asked: Option<Timestamp>,
    runway: Duration,
    now: Timestamp,
) -> Timestamp {
    let spaced = now.plus(wait(failures, runway));
    asked.map_or(spaced, |asked| asked.min(now.plus(runway / ATTEMPTS_LEFT)).max(spaced))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn grows_and_is_clamped() {
        let table = [
            (0, 90 * DAY, 60),
            (1, 90 * DAY, 60),
            (2, 90 * DAY, 600),
            (3, 90 * DAY, 6000),
            (4, 90 * DAY, 21_600),
            (63, 90 * DAY, 21_600),
            (64, 90 * DAY, 21_600),
            (10_000, 90 * DAY, 21_600),
            (u32::MAX, 90 * DAY, 21_600),
            (u32::MAX, DAY, 8_640),
            (u32::MAX, Duration::ZERO, 60),
        ];
        for (failures, runway, seconds) in table {
            assert_eq!(wait(failures, runway).as_secs(), seconds, "{failures} {runway:?}");
        }
    }

    #[test]
    fn a_six_day_certificate_has_enough_attempts() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert!(attempts(0, hours(80)) > 30, "{}", attempts(0, hours(80)));
        assert!(attempts(3, hours(16)) > 20, "{}", attempts(3, hours(16)));
        assert_eq!(attempts(5, Duration::ZERO), 0);
        assert_eq!(attempts(u32::MAX, hours(80)), 0, "counting ends");
        assert_eq!(attempts(0, Duration::MAX), COUNTED);
    }

    #[test]
    fn what_a_ca_asks_for_is_obeyed_for_a_tenth_of_the_runway() {
        let now = Timestamp::from_unix(1_800_000_000);
        let hour = 3600;
        // failures, asked for, runway -> waits
        let table = [
            (1, None, 80 * hour, 60),
            (4, None, 80 * hour, 6 * hour),
            (1, Some(-hour), 80 * hour, 60),
            (1, Some(0), 80 * hour, 60),
            (1, Some(hour), 80 * hour, hour),
            (4, Some(hour), 80 * hour, 6 * hour),
            (1, Some(34 * hour), 80 * hour, 8 * hour),
            (1, Some(10 * 365 * 24 * hour), 20 * hour, 2 * hour),
            (u32::MAX, Some(i64::MAX / 2), 0, 60),
        ];
        for (failures, asked, runway, waits) in table {
            let asked = asked.map(|asked| Timestamp::from_unix(now.unix().saturating_add(asked)));
            let runway = Duration::from_secs(u64::try_from(runway).unwrap());
            let at = retry_at(failures, asked, runway, now);
            assert_eq!(at.unix() - now.unix(), waits, "{failures} {asked:?} {runway:?}");
        }
    }

    #[test]
    fn an_attempt_is_to_end_before_what_is_served() {
        let minute = Duration::from_secs(60);
        // life, took -> minutes before its end
        let table = [
            (160 * 60, None, 10),
            (160 * 60, Some(0), 10),
            (160 * 60, Some(5), 10),
            (160 * 60, Some(6), 12),
            (160 * 60, Some(600), 480),
            (90 * 24 * 60, Some(600), 1200),
            (100, None, 5),
            (20, Some(1), 1),
        ];
        for (life, took, before) in table {
            let not_before = Timestamp::from_unix(1_800_000_000);
            let not_after = not_before.plus(minute * life).minus(Duration::from_secs(1));
            let last =
                last_safe(Validity { not_before, not_after }, took.map(|took| minute * took));
            assert_eq!(not_after.since(last), minute * before, "{life} {took:?}");
        }
    }

    proptest! {
        /// Whatever is asked for, ten attempts fit into what is left.
        #[test]
        fn ten_more_attempts_fit(failures: u32, asked: i64, runway in 600u64..10_000_000) {
            let (now, runway) = (Timestamp::from_unix(1_800_000_000), Duration::from_secs(runway));
            let at = retry_at(failures, Some(Timestamp::from_unix(asked)), runway, now);
            prop_assert!(at >= now.plus(SHORTEST));
            prop_assert!(at.since(now) * 10 <= runway);
        }

        #[test]
        fn never_zero_and_never_past_the_runway(failures in any::<u32>(), runway in 600u64..10_000_000) {
            let wait = wait(failures, Duration::from_secs(runway));
            prop_assert!(wait >= SHORTEST && wait <= LONGEST);
            prop_assert!(wait.as_secs() * 10 <= runway.max(600));
            prop_assert!(failures > 1_000_000 || attempts(failures, Duration::from_secs(runway)) >= 9);
        }
    }
}
