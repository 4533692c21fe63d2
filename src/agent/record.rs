//! What is written down when a run has ended, for the next one.

use std::time::Duration;

use super::plan::Standing;
use super::work::{Done, Ended};
use super::{Agent, Trouble};
use crate::model::fault::Fault;
use crate::model::generation::Generation;
use crate::model::time::Timestamp;
use crate::pipeline::{Cause, Outcome, Task};
use crate::schedule::backoff;
use crate::store::journal::{LastFailure, QueuedDeploy, State as Facts};
use crate::store::lock::Lock;

impl Agent {
    /// Writes down how a run ended, for the next one.
    pub(super) fn record(
        &self,
        lock: &Lock,
        standing: &mut Standing,
        outcome: Outcome,
        task: Task,
    ) -> Result<Done, Trouble> {
        let name = lock.name().clone();
        let now = self.hands.clock.now();
        let mut facts = self.store().state(&name)?.0;
        facts.last_run = Some(now);
        let deployed = if task.generation().is_some() { Ended::Deployed } else { Ended::Renewed };
        let (ended, cause) = match outcome {
            Outcome::Renewed(generation) => {
                facts.deploy_queue.retain(|queued| queued.generation > generation);
                // A pin that ran out holds nothing any more; recovery must not go back to it.
                facts.pin = facts.pin.filter(|pin| pin.generation == generation);
                (deployed, None)
            }
            Outcome::Stocked => (Ended::Stocked, None),
            Outcome::Untouched(cause) => (Ended::Retry, Some(cause)),
            Outcome::NotDeployed(generation, cause) => {
                // It stays live, so the switch is over; only putting it to use goes on.
                if facts.intent.take_if(|intent| intent.to == generation).is_some() {
                    facts.confirmed = self.store().live(&name)?;
                }
                self.queue(&mut facts, standing, generation, now);
                (Ended::NotDeployed, Some(cause))
            }
            Outcome::RolledBack(generation, cause) => {
                self.not_taken(&mut facts, standing, generation, &cause);
                (Ended::RolledBack, Some(cause))
            }
            Outcome::NeedsOperator(generation, cause) => {
                self.not_taken(&mut facts, standing, generation, &cause);
                (Ended::NeedsOperator, Some(cause))
            }
        };
        match &cause {
            None => {
                facts.failures = 0;
                facts.last_failure = None;
                facts.last_success = Some(now);
            }
            // Nobody's failure: it goes on where it was.
            Some(Cause::Interrupted) => {}
            Some(cause) if ended == Ended::Retry || cause.condemns() => {
                facts.failures = facts.failures.saturating_add(1);
                let retry_at = retry_at(cause, facts.failures, standing, now);
                facts.last_failure =
                    Some(LastFailure { at: now, message: cause.to_string(), retry_at });
            }
            // The deploy queue remembers it; a server that did not take it blocks no order.
            Some(_) => {}
        }
        if let Err(error) = self.store().save_state(lock, &facts) {
            // Of two failures of the disk the first is the one to tell.
            let first = cause.filter(|cause| matches!(cause, Cause::Store(_)));
            return Err(first.unwrap_or_else(|| error.into()).into());
        }
        *standing = self.standing_with(&name, facts, self.store().live(&name)?)?;
        let permanent = matches!(cause.as_ref().map(Cause::fault), Some(Fault::Permanent));
        let ended = if ended == Ended::Retry && permanent { Ended::Failed } else { ended };
        Ok(Done { trouble: cause.map(Trouble::Cause), ..Done::new(name, ended) })
    }

    /// Keeps a generation for another attempt, unless it was the certificate that was at fault, or
    /// an earlier one that the operator wanted back.
    fn not_taken(
        &self,
        facts: &mut Facts,
        standing: &Standing,
        generation: Generation,
        cause: &Cause,
    ) {
        if cause.condemns() {
            return;
        }
        facts.bad.remove(&generation);
        if standing.newest.as_ref().is_none_or(|(newest, _)| generation >= *newest) {
            self.queue(facts, standing, generation, self.hands.clock.now());
        }
    }

    /// Puts a generation that a target did not take into the deploy queue.
    fn queue(
        &self,
        facts: &mut Facts,
        standing: &Standing,
        generation: Generation,
        now: Timestamp,
    ) {
        let before = facts.deploy_queue.iter().find(|queued| queued.generation == generation);
        let attempts = before.map_or(0, |queued| queued.attempts).saturating_add(1);
        let next_at = now.plus(backoff::wait(attempts, runway(standing, now)));
        facts.deploy_queue.retain(|queued| queued.generation != generation);
        let target = "hooks".to_owned();
        facts.deploy_queue.push(QueuedDeploy { target, generation, attempts, next_at });
    }
}

/// The time until what is served expires; none where nothing is.
fn runway(standing: &Standing, now: Timestamp) -> Duration {
    standing.live.as_ref().map_or(Duration::ZERO, |(_, meta)| meta.validity.not_after.since(now))
}

fn retry_at(cause: &Cause, failures: u32, standing: &Standing, now: Timestamp) -> Timestamp {
    let spaced = now.plus(backoff::wait(failures, runway(standing, now)));
    match cause.fault() {
        Fault::WaitUntil(until) => until.max(spaced),
        Fault::Passing | Fault::Permanent => spaced,
    }
}
