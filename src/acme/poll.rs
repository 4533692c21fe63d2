//! When to look again: soon, then less often, as late as the CA asks, and once more at the very end.

use std::time::Duration;

/// How long validation, and then issuance, may take by default.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

const SOONEST: Duration = Duration::from_millis(5);
const SLOWEST: Duration = Duration::from_secs(5);
const GROWTH: f64 = 1.6;

/// From then on the CA's Retry-After counts. CAs that are done in milliseconds ask for seconds, too.
const HEED_AFTER: Duration = Duration::from_secs(1);

/// The waits before each look at something that is not ready yet. The last look is at the deadline.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    own: Duration,
    asked: Duration,
    elapsed: Duration,
    patience: Duration,
    over: bool,
}

impl Looks {
    /// Begins no sooner than one round trip takes.
    pub(super) fn new(patience: Duration, round_trip: Duration) -> Self {
        let own = round_trip.clamp(SOONEST, SLOWEST);
        Self { own, asked: Duration::ZERO, elapsed: Duration::ZERO, patience, over: false }
    }

    /// Takes note of what the last look cost and what the CA asked for.
    pub(super) fn heed(&mut self, elapsed: Duration, retry_after: Option<Duration>) {
        self.elapsed = elapsed;
        self.asked = retry_after.unwrap_or_default();
    }
}

impl Iterator for Looks {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.over {
            return None;
        }
        let heeded = if self.elapsed >= HEED_AFTER { self.asked } else { Duration::ZERO };
        let wait = self.own.max(heeded);
        self.own = self.own.mul_f64(GROWTH).min(SLOWEST);
        let left = self.patience.saturating_sub(self.elapsed);
        self.over = wait >= left;
        Some(wait.min(left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Walks the looks with answers that cost nothing; returns the instants of the looks.
    fn instants(patience: u64, trip: u64, retry_after: Option<u64>) -> Vec<u64> {
        let mut looks = Looks::new(ms(patience), ms(trip));
        let mut at = Duration::ZERO;
        let mut seen = Vec::new();
        while let Some(wait) = looks.next() {
            at += wait;
            seen.push(u64::try_from(at.as_millis()).unwrap());
            looks.heed(at, retry_after.map(ms));
        }
        seen
    }

    #[test]
    fn looks_follow_the_policy() {
        let table: [(u64, u64, Option<u64>, &[u64]); 5] = [
            (100, 0, None, &[5, 13, 25, 46, 79, 100]),
            (1000, 200, None, &[200, 520, 1000]),
            (10_000, 500, Some(3000), &[500, 1300, 4300, 7300, 10_000]),
            (10_000, 500, Some(86_400_000), &[500, 1300, 10_000]),
            (0, 20, None, &[0]),
        ];
        for (patience, trip, retry_after, expected) in table {
            assert_eq!(instants(patience, trip, retry_after), expected, "{patience} {trip}");
        }
    }

    #[test]
    fn slow_answers_do_not_stretch_the_deadline() {
        let mut looks = Looks::new(ms(90_000), ms(5));
        looks.next();
        looks.heed(ms(95_000), None);
        assert_eq!((looks.next(), looks.next()), (Some(Duration::ZERO), None));
    }

    proptest! {
        #[test]
        fn there_is_always_a_last_look_and_never_a_storm(
            patience in 0u64..200_000, trip in 0u64..20_000, ask in proptest::option::of(0u64..90_000_000),
        ) {
            let seen = instants(patience, trip, ask);
            prop_assert_eq!(*seen.last().unwrap(), patience);
            prop_assert!(seen.len() < 80);
        }
    }
}
