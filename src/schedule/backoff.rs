//! How long to wait after a failure.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// At least this many further attempts must fit into what is left of the certificate's life.
const ATTEMPTS_LEFT: u32 = 10;

/// The wait before the next attempt: doubling from a minute, never zero, and never so long that
/// fewer than ten attempts fit into `runway`, the time until what is served expires.
///
/// ```text
/// failures 1, 2, 3 …  ->  1 min, 2 min, 4 min … 6 h
/// ```
pub(crate) fn wait(failures: u32, runway: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = SHORTEST.saturating_mul(1 << doublings).min(LONGEST);
    wait.min(runway / ATTEMPTS_LEFT).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grows_and_is_clamped() {
        let day = Duration::from_secs(86_400);
        let table = [
            (0, 90 * day, 60),
            (1, 90 * day, 60),
            (2, 90 * day, 120),
            (5, 90 * day, 960),
            (63, 90 * day, 21_600),
            (64, 90 * day, 21_600),
            (10_000, 90 * day, 21_600),
            (u32::MAX, 90 * day, 21_600),
            (u32::MAX, day, 8_640),
            (u32::MAX, Duration::ZERO, 60),
        ];
        for (failures, runway, seconds) in table {
            assert_eq!(wait(failures, runway).as_secs(), seconds, "{failures} {runway:?}");
        }
    }

    proptest! {
        #[test]
        fn never_zero_and_never_past_the_runway(failures in any::<u32>(), runway in 600u64..10_000_000) {
            let wait = wait(failures, Duration::from_secs(runway));
            prop_assert!(wait >= SHORTEST && wait <= LONGEST);
            prop_assert!(wait.as_secs() * 10 <= runway.max(600));
        }
    }
}
