//! The system's clock, the only place that asks what time it is; and what a CA made of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::model::time::{Clock, Timestamp};
use crate::schedule::bearings::Deviation;

#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[allow(clippy::disallowed_methods)] // the one home of the present
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one home of the present
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(chrono::Utc::now().timestamp())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that was set right by a CA's, where they disagree by much.
pub(super) struct Corrected {
    ours: Arc<dyn Clock>,
    /// Seconds to add to it.
    by: AtomicI64,
    /// The CA's clock turned out to be the wrong one.
    is_final: AtomicBool,
}

impl Corrected {
    pub(super) fn new(ours: Arc<dyn Clock>) -> Self {
        Self { ours, by: AtomicI64::new(0), is_final: AtomicBool::new(false) }
    }

    /// Goes by the CA's clock from now on, unless that was found to be wrong. Says which it is.
    pub(super) fn correct(&self, deviation: Deviation) -> bool {
        if self.is_final.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.now();
        self.by.fetch_add(deviation.corrected(now).unix() - now.unix(), Ordering::Relaxed);
        true
    }

    /// Goes by our own clock again, whatever CAs say. Says whether it went by another.
    pub(super) fn take_back(&self) -> bool {
        self.is_final.store(true, Ordering::Relaxed);
        self.by.swap(0, Ordering::Relaxed) != 0
    }

    /// Whether it had to be set right.
    pub(super) fn is_wrong(&self) -> bool {
        self.by.load(Ordering::Relaxed) != 0
    }

    /// What this host's clock will show at that time: whoever comes next begins with it.
    pub(super) fn shown(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_unix(at.unix().saturating_sub(self.by.load(Ordering::Relaxed)))
    }
}

impl Clock for Corrected {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.ours.now().unix().saturating_add(self.by.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.ours.monotonic()
    }
}
