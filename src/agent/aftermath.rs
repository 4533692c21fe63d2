//! What follows a run: it is counted and written down, and whoever wants to know is told.
//!
//! Nothing of it changes what the run came to, and none of it may take long: what cannot be done is
//! said, and that is all. Where nobody wants to know, nothing is gathered.

use std::time::Duration;

use super::outlook::Depth;
use super::{Agent, certificates, secrets};
use crate::model::event::Event;
use crate::model::fault::in_full;
use crate::model::time::{Clock, Timestamp};
use crate::observe::heartbeat;

/// How long telling may take; all are told at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What kind of run has come to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ran {
    /// A person gave a command.
    ByHand,
    /// `renew` ran by itself. It was good if nothing served is at risk by what it came to.
    Unattended { good: bool },
}

/// What could not be done, each in a line for the operator.
pub(crate) type Complaints = Vec<String>;

impl Agent {
    /// Counts what happened since this was last called, and writes it down. Asks nobody.
    pub(crate) fn write_down(&self, ran: Ran) -> Complaints {
        let events = self.recorder.take();
        let mut complaints = Complaints::new();
        if !events.is_empty() {
            complaints.extend(self.count(&events));
            complaints.extend(self.keep_history(&events));
        }
        if ran == (Ran::Unattended { good: true }) {
            self.note_good_run();
        }
        complaints
    }

    /// Whether anybody wants to be told how things stand.
    pub(crate) fn has_listeners(&self) -> bool {
        self.wants_outlook() || self.authorities.main().heartbeat().url.is_some()
    }

    /// Tells everybody who wants to know how things stand, after [`Self::write_down`].
    pub(crate) async fn tell(&self, ran: Ran) -> Complaints {
        let mut complaints = Complaints::new();
        let outlook = match self.wants_outlook().then(|| certificates(self.store())) {
            Some(Ok(names)) => Some(self.outlook(&names, Depth::Now)),
            Some(Err(error)) => {
                complaints.push(format!("how things stand is not told: {}", in_full(&error)));
                None
            }
            None => None,
        };
        // Together, so that one who does not answer keeps nobody else from hearing.
        let (metrics, alerts, heartbeat) = tokio::join!(
            in_time("metrics", outlook.as_ref().map(|outlook| self.tell_metrics(outlook))),
            in_time("alerts", outlook.as_ref().map(|outlook| self.tell_alerts(outlook))),
            in_time("the heartbeat", Some(self.tell_heartbeat(ran))),
        );
        complaints.extend([metrics, alerts, heartbeat].into_iter().flatten());
        complaints
    }

    /// Whether anybody wants to be told more than that a run was good.
    fn wants_outlook(&self) -> bool {
        self.sends_metrics() || !self.authorities.main().alerts().is_empty()
    }

    fn count(&self, events: &[(Timestamp, Event)]) -> Option<String> {
        let counted = self.count_run(events);
        counted.err().map(|error| format!("what happened is not counted: {}", in_full(&error)))
    }

    fn keep_history(&self, events: &[(Timestamp, Event)]) -> Option<String> {
        let kept = self.write_history(events);
        kept.err().map(|error| format!("the history is not written: {}", in_full(&error)))
    }

    /// By this host's clock, whatever a CA's shows: by it others look for how long ago that was.
    fn note_good_run(&self) {
        self.store().note_good_run(self.clock.shown(self.clock.now()));
    }

    /// Nobody waits for the commands of a person, and a run that was not good is to be missed.
    async fn tell_heartbeat(&self, ran: Ran) -> Complaints {
        let url = self.authorities.main().heartbeat().url.as_ref();
        let Some(url) = url.filter(|_| ran == (Ran::Unattended { good: true })) else {
            return Complaints::new();
        };
        let told = match secrets::reveal(url).await {
            Ok(url) => heartbeat::ping(url.expose()).await.map_err(|error| in_full(&error)),
            Err(error) => Err(in_full(&error)),
        };
        told.err().map(|why| format!("the heartbeat was not heard: {why}")).into_iter().collect()
    }
}

/// Tells where there is something to tell, and gives up what takes too long.
async fn in_time(what: &str, telling: Option<impl Future<Output = Complaints>>) -> Complaints {
    let Some(telling) = telling else { return Complaints::new() };
    let late = || vec![format!("{what}: given up after {} s", PATIENCE.as_secs())];
    tokio::time::timeout(PATIENCE, telling).await.unwrap_or_else(|_| late())
}
