//! The system's clock, the only place that asks what time it is; and what a CA made of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    correction: Mutex<Correction>,
}

#[derive(Clone, Copy, Default)]
struct Correction {
    /// Seconds to add to our clock.
    by: i64,
    /// The CA's clock turned out to be the wrong one.
    is_final: bool,
}

impl Corrected {
    pub(super) fn new(ours: Arc<dyn Clock>) -> Self {
        Self { ours, correction: Mutex::default() }
    }

    /// Goes by the CA's clock from now on where `judge` finds that what is shown deviates from it,
    /// unless that was found to be wrong.
    ///
    /// Of many that find so at once it is corrected by the first only.
    pub(super) fn correct(
        &self,
        judge: impl FnOnce(Timestamp) -> Option<Deviation>,
    ) -> Option<Deviation> {
        let mut correction = self.correction();
        let now = self.by(*correction);
        let deviation = judge(now).filter(|_| !correction.is_final)?;
        let right = deviation.corrected(now).unix();
        correction.by = correction.by.saturating_add(right.saturating_sub(now.unix()));
        Some(deviation)
    }

    /// Goes by our own clock again, whatever CAs say. Says whether it went by another.
    pub(super) fn take_back(&self) -> bool {
        let final_one = Correction { by: 0, is_final: true };
        std::mem::replace(&mut *self.correction(), final_one).by != 0
    }

    /// Whether it had to be set right.
    pub(super) fn is_wrong(&self) -> bool {
        self.correction().by != 0
    }

    /// What this host's clock will show at that time: whoever comes next begins with it.
    pub(super) fn shown(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_unix(at.unix().saturating_sub(self.correction().by))
    }

    fn by(&self, correction: Correction) -> Timestamp {
        Timestamp::from_unix(self.ours.now().unix().saturating_add(correction.by))
    }

    fn correction(&self) -> MutexGuard<'_, Correction> {
        self.correction.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Corrected {
    fn now(&self) -> Timestamp {
        let correction = *self.correction();
        self.by(correction)
    }

    fn monotonic(&self) -> Duration {
        self.ours.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// A clock that stands.
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            at(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    /// As all certificates of a pass do when the CA has answered.
    #[test]
    fn many_correct_it_no_further_than_one() {
        for theirs in [86_400, -86_400] {
            let (clock, start) = (Corrected::new(Arc::new(Stopped)), Barrier::new(8));
            let judge = |ours| Deviation::of(ours, at(theirs), at(-900_000));
            let correct = || {
                start.wait();
                clock.correct(judge).is_some()
            };
            let corrected = thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|_| scope.spawn(correct)).collect();
                all.into_iter().map(|one| one.join().unwrap()).filter(|is| *is).count()
            });
            assert_eq!((corrected, clock.now()), (1, at(theirs)));
            assert!(clock.take_back() && !clock.take_back());
            assert_eq!((clock.correct(judge), clock.now()), (None, at(0)), "for good");
        }
    }
}
