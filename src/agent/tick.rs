//! One pass over what is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;

use super::plan::{Insistence, ask_at, at_once, left_out, wake};
use super::work::{Done, Wish};
use super::{Agent, Trouble, certificates, exists};
use crate::model::ended::Ended;
use crate::model::event::Event;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::store::index::{IndexRead, Wake};

/// What one pass is to look at, and how hard.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// Empty for all that are due.
    pub(crate) names: Vec<CertName>,
    pub(crate) force: bool,
    /// Rollouts that wait for a person may go on.
    pub(crate) approve: bool,
    pub(crate) jobs: usize,
}

/// The certificates a pass is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    /// To be looked at, the one with the least runway first.
    pub(crate) due: Vec<CertName>,
    /// To be told of: they failed, and their next attempt is not due.
    pub(crate) failing: Vec<CertName>,
}

impl Candidates {
    /// Sorts by what is known of each; what wakes never is neither.
    fn of(mut wakes: Vec<(CertName, Wake)>, now: Timestamp) -> Self {
        wakes.sort_by_key(|(_, wake)| wake.expires);
        let mut found = Self::default();
        for (name, wake) in wakes {
            if wake.at.is_some_and(|at| at <= now) {
                found.due.push(name);
            } else if wake.failing {
                found.failing.push(name);
            }
        }
        found
    }
}

/// What a pass looked at, and when each wants to be looked at next: told to the index in one go,
/// because a pass over a thousand must not write the whole index a thousand times.
#[derive(Default)]
pub(super) struct LookedAt(Mutex<Vec<(CertName, Wake)>>);

impl LookedAt {
    pub(super) fn note(&self, name: &CertName, wake: Wake) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), wake));
    }

    fn take(&self) -> Vec<(CertName, Wake)> {
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
                task.await.unwrap_or_else(|_| self.crashed(name))
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
        // Last, as it may wait for a provider and nothing waits for it.
        self.finish_leftovers().await;
        done
    }

    async fn renew_one(&self, name: CertName, pass: &Pass) -> Done {
        let settings = match self.settings(&name) {
            Ok(Some((settings, _))) => settings,
            Ok(None) => {
                let path = self.store().layout().settings(&name);
                return self.ended(self.refused(&name, Trouble::NoSettings { path }));
            }
            Err(trouble) => return self.ended(self.refused(&name, trouble)),
        };
        let by_hand = !pass.names.is_empty();
        let (force, approved) = (pass.force, pass.approve);
        let insistence = Insistence { force, by_hand, approved, ..Insistence::default() };
        let (new_settings, agree_terms, may_register) = (None, false, true);
        self.work(Wish { name, settings, new_settings, insistence, agree_terms, may_register })
            .await
    }

    /// The certificates a pass is to look at, and those it is to tell of.
    pub(crate) fn candidates(&self, pass: &Pass) -> Result<Candidates, Trouble> {
        if !pass.names.is_empty() {
            return Ok(self.by_runway(pass.names.clone()));
        }
        let store = self.store();
        let now = self.hands.clock.now();
        match store.due_from_index(now)? {
            _ if pass.force => Ok(self.by_runway(certificates(store)?)),
            IndexRead::Fresh { due, failing, .. } => {
                let due = due.into_iter().filter(|name| exists(store, name)).collect();
                Ok(Candidates { due, failing })
            }
            IndexRead::Stale(stamp) => {
                let names = certificates(store)?.into_iter();
                let wakes: Vec<_> =
                    names.map(|name| (name.clone(), self.wake_of(&name, now))).collect();
                store.rebuild_index(&stamp, &wakes)?;
                Ok(Candidates::of(wakes, now))
            }
        }
    }

    /// All of them, the one with the least runway first; where it cannot be told, that is none.
    fn by_runway(&self, mut names: Vec<CertName>) -> Candidates {
        let now = self.hands.clock.now();
        names.sort_by_cached_key(|name| {
            self.standing(name).ok().and_then(|standing| at_once(&standing, now).expires)
        });
        Candidates { due: names, failing: Vec::new() }
    }

    /// Tells of those that failed and wait for their next attempt, without looking any further.
    pub(crate) fn still_failing(&self, names: &[CertName]) -> Vec<Done> {
        let names = names.iter().filter(|name| exists(self.store(), name));
        let told = names.map(|name| match self.standing(name) {
            Ok(standing) => {
                let settings = self.settings(name).ok().flatten();
                let left_out = settings.map(|(settings, _)| left_out(&settings, &standing));
                let left_out = left_out.unwrap_or_default();
                let done = Done::new(name.clone(), Ended::Retry).or_halted(&standing);
                Done { standing, left_out, ..done }
            }
            Err(trouble) => self.refused(name, trouble),
        });
        told.collect()
    }

    /// When a certificate wants to be looked at; at once where that cannot be told.
    ///
    /// At once is a second ago: so it is told from what other runs note from now on.
    fn wake_of(&self, name: &CertName, now: Timestamp) -> Wake {
        let moment_ago = now.minus(Duration::from_secs(1));
        let Ok(standing) = self.standing(name) else {
            return Wake { at: Some(moment_ago), ..Wake::default() };
        };
        let Ok(Some((settings, _))) = self.settings(name) else {
            return at_once(&standing, moment_ago);
        };
        let seed = self.seed(&standing);
        let wake = wake(&standing, &settings, &seed, ask_at(&standing, now), now);
        // When a rollout was looked at last only the index knew.
        let under_way = standing.facts.intent.is_some();
        if under_way || wake.at.is_some_and(|at| at <= now) {
            at_once(&standing, moment_ago)
        } else {
            wake
        }
    }
}
