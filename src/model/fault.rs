//! Whether trying again can help: the one thing the machine and the schedule ask of an error.

use std::error::Error;
use std::iter::successors;

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

/// The text of an error and of everything beneath it, in a line.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
