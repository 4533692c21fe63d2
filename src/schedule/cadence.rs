//! Whether `renew` is called often enough for a certificate, and whether it still is.

use std::fmt;
use std::time::Duration;

use crate::model::time::{Timestamp, Validity, Window, in_words};

/// Fewer runs tell nothing of how often they come.
const TELLING: usize = 3;
/// So many attempts are to fit between the planned instant and the end of what is served.
const ATTEMPTS: u64 = 10;
/// Runs may fail to appear for this many times their spacing …
const MISSED: u32 = 3;
/// … and for this long, before anybody is told.
const SHORTEST_SILENCE: Duration = Duration::from_secs(3600);
/// None may be good for this many times their spacing …
const NONE_GOOD: u32 = 4;
/// … and for this long, before it is as bad as can be.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// How far apart runs are: the median of the gaps between them; `runs` are in order.
///
/// `None` while there are too few to tell.
pub(crate) fn spacing(runs: &[Timestamp]) -> Option<Duration> {
    if runs.len() < TELLING {
        return None;
    }
    let mut gaps: Vec<Duration> = runs.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    gaps.sort_unstable();
    Some(gaps[gaps.len() / 2])
}

/// Why runs this far apart do not do for a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TooCoarse {
    /// They may jump over the window in which the CA forgives its limits.
    Window { spacing: Duration, width: Duration },
    /// Too few attempts fit into the time between the planned instant and expiry.
    Runway { spacing: Duration, attempts: u64 },
}

impl fmt::Display for TooCoarse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Window { spacing, .. } | Self::Runway { spacing, .. }) = self;
        write!(f, "the timer ran every {}, ", in_words(*spacing))?;
        match self {
            Self::Window { width, .. } => {
                write!(f, "this certificate's window is {}", in_words(*width))
            }
            Self::Runway { attempts, .. } => {
                write!(f, "so only {attempts} attempts fit between its renewal and its expiry")
            }
        }
    }
}

/// Judges whether runs this far apart do for a certificate that is to be renewed at `planned`, in
/// `window` where the CA gave one.
pub(crate) fn too_coarse(
    spacing: Duration,
    planned: Timestamp,
    window: Option<Window>,
    validity: Validity,
) -> Option<TooCoarse> {
    if let Some(width) = window.map(Window::width).filter(|width| *width < spacing) {
        return Some(TooCoarse::Window { spacing, width });
    }
    let runway = validity.not_after.since(planned).as_secs();
    let attempts = runway.checked_div(spacing.as_secs())?;
    (attempts < ATTEMPTS).then_some(TooCoarse::Runway { spacing, attempts })
}

/// How long no run may be good before somebody has to look, unless the settings say so: a quarter
/// of a day, and longer where runs are that far apart that a few may fail; `runs` are in order.
pub(crate) fn patience(runs: &[Timestamp]) -> Duration {
    let of_runs = spacing(runs).unwrap_or_default().saturating_mul(NONE_GOOD);
    of_runs.max(SHORTEST_PATIENCE)
}

/// How long nothing ran, where that is longer than is usual; `runs` are in order.
pub(crate) fn silence(runs: &[Timestamp], now: Timestamp) -> Option<Duration> {
    let allowed = spacing(runs)?.saturating_mul(MISSED).max(SHORTEST_SILENCE);
    runs.last().map(|last| now.since(*last)).filter(|silent| *silent > allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3600;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000).plus(Duration::from_secs(hours * HOUR))
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * HOUR)
    }

    #[test]
    fn the_spacing_is_the_median_of_the_gaps() {
        let table: [(&[u64], Option<u64>); 6] = [
            (&[], None),
            (&[1, 2], None),
            (&[0, 24, 48], Some(24)),
            // By hand in between, and a night without power.
            (&[0, 24, 24, 48, 72, 96], Some(24)),
            (&[0, 1, 2, 12, 13, 14], Some(1)),
            (&[5, 5, 5], Some(0)),
        ];
        for (runs, expected) in table {
            let runs: Vec<_> = runs.iter().copied().map(at).collect();
            assert_eq!(spacing(&runs), expected.map(hours), "{runs:?}");
        }
    }

    #[test]
    fn what_does_for_one_certificate_does_not_for_another() {
        let short = Validity { not_before: at(0), not_after: at(160) };
        let long = Validity { not_before: at(0), not_after: at(90 * 24) };
        let window = |from: u64, width: u64| {
            let from = at(from);
            Window::new(from, from.plus(Duration::from_secs(width)))
        };
        let narrow = window(78, 11_520);
        let table = [
            (
                24,
                80,
                narrow,
                short,
                "the timer ran every 1 d, this certificate's window is 3 h 12 min",
            ),
            (
                24,
                80,
                None,
                short,
                "the timer ran every 1 d, so only 3 attempts fit between its renewal and its expiry",
            ),
            (3, 80, narrow, short, ""),
            (
                9,
                80,
                None,
                short,
                "the timer ran every 9 h, so only 8 attempts fit between its renewal and its expiry",
            ),
            (8, 80, None, short, ""),
            (24, 60 * 24, window(60 * 24, 43 * HOUR), long, ""),
            (0, 80, narrow, short, ""),
        ];
        for (spacing, planned, window, validity, says) in table {
            let judged = too_coarse(hours(spacing), at(planned), window, validity);
            assert_eq!(judged.map(|coarse| coarse.to_string()).unwrap_or_default(), says);
        }
    }

    #[test]
    fn silence_is_three_runs_missed_and_an_hour_at_least() {
        let daily = [at(0), at(24), at(48)];
        let busy = [at(48); 4];
        let table: [(&[Timestamp], u64, Option<u64>); 6] = [
            (&daily, 120, None),
            (&daily, 121, Some(73)),
            (&busy, 49, None),
            (&busy, 50, Some(2)),
            (&daily[..2], 1000, None),
            (&daily, 40, None),
        ];
        for (runs, now, expected) in table {
            assert_eq!(silence(runs, at(now)), expected.map(hours), "{now}");
        }
    }

    #[test]
    fn patience_is_four_runs_and_six_hours_at_least() {
        let (hourly, daily) = ([at(0), at(1), at(2)], [at(0), at(24), at(48)]);
        let table: [(&[Timestamp], u64); 4] =
            [(&[], 6), (&hourly, 6), (&daily, 96), (&daily[..2], 6)];
        for (runs, expected) in table {
            assert_eq!(patience(runs), hours(expected), "{runs:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_often_enough_stays_so_when_it_comes_more_often(
            spacing in 1u64..1000, less in 0u64..1000, planned in 0u64..200, width in 1u64..50,
        ) {
            let validity = Validity { not_before: at(0), not_after: at(200) };
            let window = Window::new(at(planned), at(planned + width));
            let judge = |spacing| too_coarse(hours(spacing), at(planned), window, validity);
            if judge(spacing).is_none() {
                prop_assert_eq!(judge(spacing.saturating_sub(less)), None);
            }
        }
    }
}
