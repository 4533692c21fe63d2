//! The system's clock, the only place that asks what time it is; and what a CA made of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
}

impl Corrected {
    pub(super) fn new(ours: Arc<dyn Clock>) -> Self {
        Self { ours, by: AtomicI64::new(0) }
    }

    /// Goes by the CA's clock from now on.
    pub(super) fn correct(&self, deviation: Deviation) {
        let now = self.now();
        self.by.fetch_add(deviation.corrected(now).unix() - now.unix(), Ordering::Relaxed);
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
