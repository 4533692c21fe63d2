//! What to think of a new certificate by what real clients made of it.

use std::time::Duration;

use crate::model::traffic::Counters;

impl Counters {
    fn failures(&self) -> u64 {
        self.failed.saturating_add(self.refused)
    }

    /// So many per handshake that was either this or complete.
    ///
    /// Other failures do not dilute it: more of one never makes less of another.
    fn share(&self, events: u64) -> f64 {
        events as f64 / events.saturating_add(self.completed).max(1) as f64
    }

    /// The mean in seconds, once there are enough to speak of one.
    fn latency(&self) -> Option<f64> {
        let enough = self.timed >= LEAST_LATENCIES;
        enough.then(|| self.took.as_secs_f64() / self.timed as f64)
    }
}

/// By how much the new certificate may do worse than the old.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Thresholds {
    /// Share of handshakes that fail, but for the OCSP response.
    pub(crate) handshake_failures: f64,
    /// Share of handshakes in which the client refuses the certificate.
    pub(crate) verification_errors: f64,
    /// Share of handshakes in which the client refuses the stapled OCSP response.
    pub(crate) ocsp_failures: f64,
    /// Latency is worse when the mean has grown by this *and* by `latency_share`: a tenth of a
    /// millisecond is noise, and so are 50 ms where a handshake takes seconds.
    pub(crate) latency: Duration,
    pub(crate) latency_share: f64,
    /// How many completed handshakes a good verdict needs.
    pub(crate) sample: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            handshake_failures: 0.01,
            verification_errors: 0.001,
            ocsp_failures: 0.05,
            latency: Duration::from_millis(50),
            latency_share: 0.10,
            sample: 300,
        }
    }
}

/// What follows from the traffic for the deploy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TrafficVerdict {
    Good {
        seen: u64,
    },
    /// One that condemns is a reason never to serve this certificate again: clients said that it is
    /// the certificate. That handshakes are slow or break off may be anybody's doing.
    Bad {
        why: String,
        condemns: bool,
    },
    /// Too few handshakes to call it good: fewer than were wanted, or too few to make nothing of the
    /// one or two that failed.
    Inconclusive {
        seen: u64,
        wanted: u64,
    },
}

/// Fewer events than this prove nothing, whatever share they are.
const LEAST_EVENTS: u64 = 3;
/// Fewer latencies than this have no mean worth comparing.
const LEAST_LATENCIES: u64 = 30;

/// Judges the new certificate by the old one's fate in the same traffic.
pub(crate) fn judge_traffic(
    old: &Counters,
    new: &Counters,
    thresholds: &Thresholds,
) -> TrafficVerdict {
    // Refusals are failures, too: what says more comes first.
    type Events = fn(&Counters) -> u64;
    let rates: [(_, Events, _, _); 3] = [
        ("clients refuse the certificate", |it| it.refused, thresholds.verification_errors, true),
        ("clients refuse the OCSP response", |it| it.ocsp_refused, thresholds.ocsp_failures, false),
        ("handshakes fail", Counters::failures, thresholds.handshake_failures, false),
    ];
    let mut suspicious = false;
    for (what, events, threshold, condemns) in rates {
        let seen = events(new);
        let (before, now) = (old.share(events(old)), new.share(seen));
        if now <= before + threshold {
            continue;
        }
        suspicious = true;
        if seen >= LEAST_EVENTS {
            let (before, now) = (before * 100.0, now * 100.0);
            let why = format!("{what}: {now:.2} % ({seen}), {before:.2} % with the previous one");
            return TrafficVerdict::Bad { why, condemns };
        }
    }
    if let Some((before, now)) = old.latency().zip(new.latency())
        && now > before + thresholds.latency.as_secs_f64()
        && now > before * (1.0 + thresholds.latency_share)
    {
        let (before, now) = (before * 1000.0, now * 1000.0);
        let why = format!("handshakes take {now:.0} ms, {before:.0} ms with the previous one");
        return TrafficVerdict::Bad { why, condemns: false };
    }
    match (new.completed, thresholds.sample) {
        (seen, wanted) if seen >= wanted && !suspicious => TrafficVerdict::Good { seen },
        (seen, wanted) => TrafficVerdict::Inconclusive { seen, wanted },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counters(completed: u64, failed: u64, refused: u64, ocsp_refused: u64) -> Counters {
        Counters { completed, failed, refused, ocsp_refused, ..Counters::default() }
    }

    fn verdict(old: &Counters, new: &Counters) -> TrafficVerdict {
        judge_traffic(old, new, &Thresholds::default())
    }

    fn word(verdict: &TrafficVerdict) -> &'static str {
        match verdict {
            TrafficVerdict::Good { .. } => "good",
            TrafficVerdict::Bad { condemns: false, .. } => "bad",
            TrafficVerdict::Bad { condemns: true, .. } => "condemned",
            TrafficVerdict::Inconclusive { .. } => "inconclusive",
        }
    }

    #[test]
    fn rates_are_judged_against_the_previous_certificate() {
        let clean = counters(10_000, 0, 0, 0);
        let table = [
            (clean, counters(0, 0, 0, 0), "inconclusive"),
            (clean, counters(299, 0, 0, 0), "inconclusive"),
            (clean, counters(300, 0, 0, 0), "good"),
            // Two of few prove nothing; three of few do.
            (clean, counters(10, 2, 0, 0), "inconclusive"),
            (clean, counters(0, 0, 2, 0), "inconclusive"),
            (clean, counters(10, 3, 0, 0), "bad"),
            (clean, counters(0, 0, 3, 0), "condemned"),
            (clean, counters(1000, 10, 0, 0), "good"),
            (clean, counters(1000, 11, 0, 0), "bad"),
            (clean, counters(2997, 0, 3, 0), "good"),
            (clean, counters(2000, 0, 3, 0), "condemned"),
            (clean, counters(1000, 0, 0, 5), "good"),
            (clean, counters(100, 0, 0, 6), "bad"),
            // Where one in ten failed before, one in ten may fail now.
            (counters(900, 100, 0, 0), counters(900, 100, 0, 0), "good"),
            (counters(900, 100, 0, 0), counters(880, 120, 0, 0), "bad"),
            (counters(990, 0, 10, 0), counters(990, 0, 10, 0), "good"),
            // Nothing to compare with is compared with perfection.
            (counters(0, 0, 0, 0), counters(1000, 50, 0, 0), "bad"),
        ];
        for (old, new, wanted) in table {
            let verdict = verdict(&old, &new);
            assert_eq!(word(&verdict), wanted, "{old:?} {new:?}: {verdict:?}");
        }
        let bad = verdict(&clean, &counters(2000, 0, 3, 0));
        let why = "clients refuse the certificate: 0.15 % (3), 0.00 % with the previous one";
        assert_eq!(bad, TrafficVerdict::Bad { why: why.to_owned(), condemns: true });
    }

    #[test]
    fn latency_is_worse_only_by_both_measures() {
        let taking = |count, each| Counters {
            completed: 300,
            timed: count,
            took: Duration::from_millis(each) * u32::try_from(count).unwrap(),
            ..Counters::default()
        };
        let table = [
            ((30, 1), (30, 51), "good"),
            ((30, 1), (30, 52), "bad"),
            ((30, 1), (29, 500), "good"),
            ((29, 1), (300, 500), "good"),
            ((30, 1000), (30, 1100), "good"),
            ((30, 1000), (30, 1101), "bad"),
            ((30, 100), (30, 140), "good"),
        ];
        for ((old_count, old), (new_count, new), wanted) in table {
            let verdict = verdict(&taking(old_count, old), &taking(new_count, new));
            assert_eq!(word(&verdict), wanted, "{old} ms, {new} ms: {verdict:?}");
        }
    }

    fn any_counters() -> impl Strategy<Value = Counters> {
        let count = || prop_oneof![0..10_u64, 0..5000_u64, Just(u64::MAX)];
        (count(), count(), count(), count(), count(), 0..10_000_u64).prop_map(
            |(completed, failed, refused, ocsp_refused, timed, seconds)| Counters {
                completed,
                failed,
                refused,
                ocsp_refused,
                timed,
                took: Duration::from_secs(seconds),
            },
        )
    }

    proptest! {
        #[test]
        fn more_errors_never_make_it_better(
            old in any_counters(),
            new in any_counters(),
            more in (0..50_u64, 0..50_u64, 0..50_u64),
        ) {
            let worse = Counters {
                failed: new.failed.saturating_add(more.0),
                refused: new.refused.saturating_add(more.1),
                ocsp_refused: new.ocsp_refused.saturating_add(more.2),
                ..new
            };
            let (first, then) = (verdict(&old, &new), verdict(&old, &worse));
            let is_bad = |verdict: &_| matches!(verdict, TrafficVerdict::Bad { .. });
            prop_assert!(!is_bad(&first) || is_bad(&then), "{first:?} {then:?}");
            prop_assert!(word(&then) != "good" || word(&first) == "good", "{first:?} {then:?}");
        }

        #[test]
        fn good_is_never_said_of_a_small_sample(old in any_counters(), new in any_counters()) {
            let verdict = verdict(&old, &new);
            if let TrafficVerdict::Good { seen } = verdict {
                prop_assert!(seen >= 300);
            }
        }
    }
}
