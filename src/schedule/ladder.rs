//! How far to go as the runway shortens. Pure; each step is undone by the next success.

use super::window::renewal_share;
use crate::model::time::{Timestamp, Validity};

/// How pressing a renewal is. Each rung includes those before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Rung {
    /// As the settings say, at the first CA; after a failure with the next challenge type.
    AsWanted,
    /// At every CA of the list.
    AnyCa,
    /// With a longer profile where the CA has one.
    LongerProfile,
    /// And every run says that it is at risk.
    AtRisk,
}

impl Rung {
    /// The rung `now`, for what is served; where nothing is served, nothing is waited for.
    ///
    /// The steps are shares of the time there was when the renewal was planned: a half, three
    /// tenths, a fifth. For a 160-hour certificate these are 40, 24 and 16 hours before its end.
    pub(crate) fn at(served: Option<Validity>, now: Timestamp) -> Self {
        let Some(validity) = served else { return Self::AnyCa };
        let runway = validity.not_after.since(now);
        let whole = validity.lifetime().saturating_sub(renewal_share(validity.lifetime()));
        let below = |tenths: u32| runway < whole / 10 * tenths;
        match () {
            () if below(2) => Self::AtRisk,
            () if below(3) => Self::LongerProfile,
            () if below(5) => Self::AnyCa,
            () => Self::AsWanted,
        }
    }
}

/// The choices in the order of this attempt: after each failure the next of them comes first.
pub(crate) fn rotated<T: Copy>(choices: &[T], failures: u32) -> Vec<T> {
    let mut turned = choices.to_vec();
    if !turned.is_empty() {
        turned.rotate_left(failures as usize % choices.len());
    }
    turned
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: u64 = 3600;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000).plus(Duration::from_secs(hours * HOUR))
    }

    fn living(hours: u64) -> Option<Validity> {
        let not_after = at(hours).minus(Duration::from_secs(1));
        Some(Validity { not_before: at(0), not_after })
    }

    #[test]
    fn each_rung_is_a_share_of_the_planned_runway() {
        let short = [
            (0, Rung::AsWanted),
            (80, Rung::AsWanted),
            (119, Rung::AsWanted),
            (121, Rung::AnyCa),
            (137, Rung::LongerProfile),
            (145, Rung::AtRisk),
            (200, Rung::AtRisk),
        ];
        for (hours, rung) in short {
            assert_eq!(Rung::at(living(160), at(hours)), rung, "{hours} h of 160");
        }
        let long = [
            (60, Rung::AsWanted),
            (74, Rung::AsWanted),
            (76, Rung::AnyCa),
            (82, Rung::LongerProfile),
            (85, Rung::AtRisk),
        ];
        for (days, rung) in long {
            assert_eq!(Rung::at(living(90 * 24), at(days * 24)), rung, "{days} d of 90");
        }
        assert_eq!(Rung::at(None, at(0)), Rung::AnyCa);
    }

    #[test]
    fn every_failure_begins_with_another_choice() {
        let table: [(&[u8], u32, &[u8]); 6] = [
            (&[], 3, &[]),
            (&[1], u32::MAX, &[1]),
            (&[1, 2], 0, &[1, 2]),
            (&[1, 2], 1, &[2, 1]),
            (&[1, 2, 3], 2, &[3, 1, 2]),
            (&[1, 2, 3], 3, &[1, 2, 3]),
        ];
        for (choices, failures, turned) in table {
            assert_eq!(rotated(choices, failures), turned, "{choices:?} {failures}");
        }
    }
}
