//! Whether trying again can help: the one thing the machine and the schedule ask of an error.

use super::time::Timestamp;

/// What an error says about a next attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Asking the same thing again gives the same answer until somebody changes something.
    Permanent,
    /// May well go away by itself.
    Passing,
    /// The other side said when to come back.
    WaitUntil(Timestamp),
}
