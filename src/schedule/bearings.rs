//! Which clock to believe, ours or the CA's. Pure.

use std::fmt;
use std::time::Duration;

use crate::model::time::{Timestamp, in_words};

/// Clocks closer than this agree.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How far our clock is from the CA's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Deviation {
    ours: Timestamp,
    theirs: Timestamp,
}

impl Deviation {
    /// The difference that must be reckoned with; `None` where the clocks agree.
    ///
    /// `known_past` is an instant that is over for certain, as when what is held was issued: a CA
    /// whose clock says it is yet to come is the one that is wrong.
    pub(crate) fn of(ours: Timestamp, theirs: Timestamp, known_past: Timestamp) -> Option<Self> {
        let apart = ours.since(theirs).max(theirs.since(ours));
        let believable = theirs.plus(TOLERANCE) >= known_past;
        (apart > TOLERANCE && believable).then_some(Self { ours, theirs })
    }

    /// What time it is by the CA's clock when ours shows `ours`.
    pub(crate) fn corrected(self, ours: Timestamp) -> Timestamp {
        match self.theirs < self.ours {
            true => ours.minus(self.ours.since(self.theirs)),
            false => ours.plus(self.theirs.since(self.ours)),
        }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (apart, how) = match self.theirs < self.ours {
            true => (self.ours.since(self.theirs), "ahead of"),
            false => (self.theirs.since(self.ours), "behind"),
        };
        write!(f, "this host's clock is {} {how} the CA's", in_words(apart))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    #[test]
    fn the_ca_is_believed_unless_it_says_what_cannot_be() {
        const YEAR: i64 = 365 * 86_400;
        // ours, theirs, known past -> what is decided by when ours shows 10 s more
        let table = [
            (0, 0, -100, None),
            (300, 0, -100, None),
            (301, 0, -100, Some(10)),
            (-301, 0, -1000, Some(10)),
            (10 * YEAR, 0, -100, Some(10)),
            (-30 * YEAR, 0, -100, Some(10)),
            (0, -10 * YEAR, -100, None),
            (0, 10 * YEAR, -100, Some(10 * YEAR + 10)),
        ];
        for (ours, theirs, past, decided) in table {
            let deviation = Deviation::of(at(ours), at(theirs), at(past));
            let corrected = deviation.map(|d| d.corrected(at(ours + 10)));
            assert_eq!(corrected, decided.map(at), "{ours} {theirs} {past}");
        }
    }

    #[test]
    fn it_is_said_in_words() {
        let said =
            |ours, theirs| Deviation::of(at(ours), at(theirs), at(-86_400)).unwrap().to_string();
        assert_eq!(said(7200, 0), "this host's clock is 2 h ahead of the CA's");
        assert_eq!(said(0, 7200), "this host's clock is 2 h behind the CA's");
    }
}
