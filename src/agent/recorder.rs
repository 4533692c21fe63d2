//! Keeps what happens in a run until it is counted and written down.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Agent, exists};
use crate::model::event::{Event, Sink};
use crate::model::time::{Clock, Timestamp};
use crate::store::StoreError;

/// Passes events on, and keeps them with their times.
pub(super) struct Recorder {
    next: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Vec<(Timestamp, Event)>>,
}

impl Recorder {
    pub(super) fn new(next: Arc<dyn Sink>, clock: Arc<dyn Clock>) -> Self {
        Self { next, clock, kept: Mutex::default() }
    }

    /// What happened since this was last asked.
    pub(super) fn take(&self) -> Vec<(Timestamp, Event)> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Recorder {
    fn note(&self, event: Event) {
        let at = self.clock.now();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push((at, event.clone()));
        self.next.note(event);
    }
}

impl Agent {
    /// Counts what a run kept.
    pub(super) fn count_run(&self, kept: &[(Timestamp, Event)]) -> Result<(), StoreError> {
        let store = self.store();
        store.count(self.hands.clock.now(), kept, |name| exists(store, name))
    }
}
