//! One pass over what is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;

use super::plan::{Insistence, ask_at, wake};
use super::work::{Done, Wish};
use super::{Agent, Trouble, certificates, exists};
use crate::model::event::Event;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::store::index::IndexRead;

/// What one pass is to look at, and how hard.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// Empty for all that are due.
    pub(crate) names: Vec<CertName>,
    pub(crate) force: bool,
    pub(crate) jobs: usize,
}

/// What a pass looked at, and when each wants to be looked at next: told to the index in one go,
/// because a pass over a thousand must not write the whole index a thousand times.
#[derive(Default)]
pub(super) struct LookedAt(Mutex<Vec<(CertName, Timestamp)>>);

impl LookedAt {
    pub(super) fn note(&self, name: &CertName, wake: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), wake));
    }

    fn take(&self) -> Vec<(CertName, Timestamp)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Agent {
    /// Renews what is due, several at a time. One certificate's trouble is no other's.
    ///
    /// Must be called within a tokio runtime; each certificate is a task of its own.
    pub(crate) async fn renew(self: &Arc<Self>, names: Vec<CertName>, pass: &Pass) -> Vec<Done> {
        let began = self.hands.clock.now();
        let jobs = names.into_iter().map(|name| {
            let (agent, pass, task_name) = (Arc::clone(self), pass.clone(), name.clone());
            async move {
                let task = tokio::spawn(async move { agent.renew_one(task_name, &pass).await });
                task.await.unwrap_or_else(|_| Done::failed(name, Trouble::Crashed))
            }
        });
        let mut done: Vec<Done> =
            futures_util::stream::iter(jobs).buffer_unordered(pass.jobs).collect().await;
        done.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(first) = done.first() {
            self.after_all(&first.name).await;
            if let Err(error) = self.store().update_due(began, &self.looked_at.take()) {
                let text = format!("they will be looked at once more: {error}");
                self.hands.sink.note(Event::Noticed { name: first.name.clone(), text });
            }
        }
        done
    }

    async fn renew_one(&self, name: CertName, pass: &Pass) -> Done {
        let settings = match self.settings(&name) {
            Ok(Some((settings, _))) => settings,
            Ok(None) => {
                let path = self.store().layout().settings(&name);
                return Done::failed(name, Trouble::NoSettings { path });
            }
            Err(trouble) => return Done::failed(name, trouble),
        };
        let by_hand = !pass.names.is_empty();
        let insistence = Insistence { force: pass.force, by_hand, changed: false };
        let (new_settings, agree_terms, may_register) = (None, false, true);
        self.work(Wish { name, settings, new_settings, insistence, agree_terms, may_register })
            .await
    }

    /// The certificates a pass is to look at.
    pub(crate) fn candidates(&self, pass: &Pass) -> Result<Vec<CertName>, Trouble> {
        if !pass.names.is_empty() {
            return Ok(pass.names.clone());
        }
        let store = self.store();
        let now = self.hands.clock.now();
        match store.due_from_index(now)? {
            _ if pass.force => Ok(certificates(store)?),
            IndexRead::Fresh { due, .. } => {
                Ok(due.into_iter().filter(|name| exists(store, name)).collect())
            }
            IndexRead::Stale(stamp) => {
                let names = certificates(store)?.into_iter();
                let wake = |name: CertName| (name.clone(), Some(self.wake_of(&name, now)));
                let wakes: Vec<_> = names.map(wake).collect();
                store.rebuild_index(&stamp, &wakes)?;
                let due = wakes.into_iter().filter(|(_, wake)| wake.is_some_and(|at| at <= now));
                Ok(due.map(|(name, _)| name).collect())
            }
        }
    }

    /// When a certificate wants to be looked at; at once where that cannot be told.
    ///
    /// At once is a second ago: so it is told from what other runs note from now on.
    fn wake_of(&self, name: &CertName, now: Timestamp) -> Timestamp {
        let at_once = now.minus(Duration::from_secs(1));
        let (Ok(Some((settings, _))), Ok(standing)) = (self.settings(name), self.standing(name))
        else {
            return at_once;
        };
        let seed = self.seed(&standing);
        let wake = wake(&standing, &settings, &seed, ask_at(&standing, now), now);
        if wake <= now { at_once } else { wake }
    }
}
