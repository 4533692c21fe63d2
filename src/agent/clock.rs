//! The system's clock: the only place that asks what time it is.

use std::time::{Duration, Instant};

use crate::model::time::{Clock, Timestamp};

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
