//! Tells those who watch by metrics how things stand.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::aftermath::Complaints;
use super::outlook::Depth;
use super::{Agent, certificates, secrets};
use crate::config::metrics::Otlp;
use crate::model::fault::in_full;
use crate::model::outlook::Outlook;
use crate::observe::{otlp, prometheus};

/// For so long it is not found out again how things stand.
const FRESH: Duration = Duration::from_secs(1);

impl Agent {
    /// Whether metrics go anywhere after a run.
    pub(super) fn sends_metrics(&self) -> bool {
        let metrics = self.authorities.main().metrics();
        metrics.textfile.is_some() || metrics.otlp.is_some()
    }

    /// The textfile and OTLP.
    pub(super) async fn tell_metrics(&self, outlook: &Outlook) -> Complaints {
        let metrics = self.authorities.main().metrics();
        let mut complaints = Complaints::new();
        if let Some(path) = &metrics.textfile {
            let text = prometheus::text(outlook);
            let written = self.store().hand_out(Path::new(path.as_str()), text.as_bytes());
            let why = written.err().map(|why| in_full(&why));
            complaints.extend(why.map(|why| format!("metrics are not told: {why}")));
        }
        if let Some(receiver) = &metrics.otlp {
            let why = send(receiver, outlook).await.err();
            let host = receiver.url.host_str().unwrap_or_default();
            complaints.extend(why.map(|why| format!("metrics are not told to {host}: {why}")));
        }
        complaints
    }
}

async fn send(receiver: &Otlp, outlook: &Outlook) -> Result<(), String> {
    let authorization = match &receiver.authorization {
        Some(source) => {
            Some(secrets::reveal_text(source).await.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let value = authorization.as_ref().map(|secret| secret.trim_end_matches(['\r', '\n']));
    otlp::send(receiver.url.clone(), value, outlook).await.map_err(|error| error.to_string())
}

/// How things stand, for several that ask at any time.
pub(crate) struct Watch {
    /// Whoever reads the store; another one after the settings were read anew.
    reader: Mutex<Arc<Agent>>,
    /// When it was last found out, by the monotonic clock, and what.
    last: tokio::sync::Mutex<Option<(Duration, Arc<Outlook>)>>,
}

impl Watch {
    pub(crate) fn new(reader: Arc<Agent>) -> Arc<Self> {
        Arc::new(Self { reader: Mutex::new(reader), last: tokio::sync::Mutex::default() })
    }

    /// Looks with another agent from now on.
    pub(crate) fn look_with(&self, reader: Arc<Agent>) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = reader;
    }

    /// How things stand, or stood a moment ago; those who ask meanwhile wait for the same answer.
    pub(crate) fn look(self: Arc<Self>) -> BoxFuture<'static, Result<Arc<Outlook>, String>> {
        Box::pin(async move {
            let reader = Arc::clone(&*self.reader.lock().unwrap_or_else(PoisonError::into_inner));
            let mut last = self.last.lock().await;
            let now = reader.hands.clock.monotonic();
            let fresh = last.as_ref().filter(|(at, _)| now.saturating_sub(*at) < FRESH);
            if let Some((_, outlook)) = fresh {
                return Ok(Arc::clone(outlook));
            }
            let found = tokio::task::spawn_blocking(move || {
                let names = certificates(reader.store()).map_err(|error| error.to_string())?;
                Ok::<_, String>(Arc::new(reader.outlook(&names, Depth::Now)))
            });
            let outlook = found.await.map_err(|error| error.to_string())??;
            *last = Some((now, Arc::clone(&outlook)));
            Ok(outlook)
        })
    }
}
