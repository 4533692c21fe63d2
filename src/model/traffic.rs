//! What a server counted of the handshakes with its clients.

use std::time::Duration;

/// The handshakes of one certificate since it was first served.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counters {
    pub(crate) completed: u64,
    /// Ended for a reason the certificate does not have.
    pub(crate) failed: u64,
    /// Ended by the client with an alert about the certificate, as in `unknown_ca`.
    pub(crate) refused: u64,
    /// Ended by the client with an alert about the stapled OCSP response.
    pub(crate) ocsp_refused: u64,
    /// How many of them were timed, and how long those took in all.
    pub(crate) timed: u64,
    pub(crate) took: Duration,
}

/// A server that serves two certificates at once, side by side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) old: Counters,
    pub(crate) new: Counters,
}

impl Counters {
    /// What two servers counted, together.
    fn and(self, other: Self) -> Self {
        Self {
            completed: self.completed.saturating_add(other.completed),
            failed: self.failed.saturating_add(other.failed),
            refused: self.refused.saturating_add(other.refused),
            ocsp_refused: self.ocsp_refused.saturating_add(other.ocsp_refused),
            timed: self.timed.saturating_add(other.timed),
            took: self.took.saturating_add(other.took),
        }
    }
}

impl Traffic {
    /// What two servers counted, together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { old: self.old.and(other.old), new: self.new.and(other.new) }
    }
}

/// The part of the new handshakes that get the new certificate, in percent from 1 to 100.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Share(u8);

impl Share {
    pub(crate) const ALL: Self = Self(100);

    pub(crate) fn new(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    pub(crate) fn percent(self) -> u8 {
        self.0
    }
}
