//! What to think of what was seen: pure.

pub(crate) mod cell;
pub(crate) mod flaws;
mod staple;
pub(crate) mod traffic;

use std::time::Duration;

/// How far our clock and the CA's may be apart without anybody being wrong.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
