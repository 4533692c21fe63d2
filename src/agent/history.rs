//! What was done, written down for good, and judged whether it still is what was written.

use super::audit::Findings;
use super::{Agent, Trouble};
use crate::model::event::Event;
use crate::model::finding::{Finding, Severity};
use crate::model::history::Deed;
use crate::model::time::Timestamp;
use crate::store::history::HistoryFault;

/// What to do about a history that was changed.
const LOOK: &str = "look who could write there; each new head also went to the log, and a copy can \
                    be compared. Moving the directory away begins a new history";

impl Agent {
    /// Adds to the history what of these events belongs there, and tells its new head.
    ///
    /// Blocks for a sync of the disk where there is something to write, and else does nothing.
    pub(crate) fn write_history(&self, events: &[(Timestamp, Event)]) -> Result<(), Trouble> {
        let deeds: Vec<Deed> =
            events.iter().filter_map(|(at, event)| Deed::of(*at, event)).collect();
        let head = self.store().write_history(&deeds)?;
        if let Some((last, head)) = deeds.last().zip(head) {
            let (name, seq, hash) = (last.name.clone(), head.seq, head.hash);
            self.hands.sink.note(Event::Recorded { name, seq, hash });
        }
        Ok(())
    }

    /// Whether the history holds together; nothing where there is none.
    pub(crate) fn audit_history(&self) -> Vec<Finding> {
        let mut findings = Findings::about("history");
        match self.store().verify_history() {
            Ok(None) => {}
            Ok(Some(head)) => {
                let text = format!("{} records hold together, the last is {}", head.seq, head.hash);
                findings.add(Severity::Ok, "history", text);
            }
            Err(fault) => {
                findings.add(Severity::Critical, "history", fault.to_string());
                if matches!(fault, HistoryFault::Broken { .. }) {
                    findings.hint(LOOK);
                }
            }
        }
        findings.found
    }
}
