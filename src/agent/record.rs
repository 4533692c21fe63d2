//! What is written down when a run has ended, for the next one.

use super::plan::{Standing, runway};
use super::work::{Done, Ended};
use super::{Agent, Trouble};
use crate::config::cert::CertSettings;
use crate::model::fault::Fault;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::time::Timestamp;
use crate::pipeline::{Cause, Outcome, Task};
use crate::schedule::backoff;
use crate::store::journal::{LastFailure, QueuedDeploy, State as Facts};
use crate::store::lock::Lock;

impl Agent {
    /// Writes down how a run ended, for the next one; of an order with the identifiers it was for.
    pub(super) fn record(
        &self,
        lock: &Lock,
        standing: &mut Standing,
        settings: &CertSettings,
        outcome: Outcome,
        (task, identifiers): (Task, &[Identifier]),
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
                facts.last_success = Some(now);
                self.note_success(&name, &mut facts, settings, now)?;
            }
            // Nobody's failure: it goes on where it was.
            Some(Cause::Interrupted) => {}
            Some(cause) if ended == Ended::Retry || cause.condemns() => {
                note_failure(&mut facts, cause, identifiers, standing, now);
            }
            // Issued without some of the names, it must not be ordered again at once for theirs.
            Some(_) if task.generation().is_none() => put_off_left_out(&mut facts, now),
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

    /// A success ends all failures, but for that of names that were left out: they are tried again.
    fn note_success(
        &self,
        name: &CertName,
        facts: &mut Facts,
        settings: &CertSettings,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let newest = self.newest_good(name, facts)?;
        let certified = newest.map(|(_, meta)| meta.identifiers).unwrap_or_default();
        facts
            .bad_names
            .retain(|bad| settings.identifiers.contains(bad) && !certified.contains(bad));
        if facts.bad_names.is_empty() {
            facts.failures = 0;
            facts.last_failure = None;
        }
        put_off_left_out(facts, now);
        Ok(())
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

/// Plans when names that were left out are tried again.
fn put_off_left_out(facts: &mut Facts, now: Timestamp) {
    if let Some(failure) = facts.last_failure.as_mut().filter(|_| !facts.bad_names.is_empty()) {
        failure.retry_at = now.plus(backoff::LONGEST);
    }
}

/// Counts a failure, and plans the next attempt.
fn note_failure(
    facts: &mut Facts,
    cause: &Cause,
    identifiers: &[Identifier],
    standing: &Standing,
    now: Timestamp,
) {
    // What was not even tried is no failure.
    if !matches!(cause, Cause::Limited { .. }) {
        facts.failures = facts.failures.saturating_add(1);
    }
    let blamed = cause.blamed();
    if !blamed.is_empty() {
        // What was left out this time has not become any better.
        facts.bad_names.retain(|bad| !identifiers.contains(bad));
        facts.bad_names.extend(blamed);
    }
    let runway = runway(standing, now);
    let asked = match cause.fault() {
        Fault::WaitUntil(until) => Some(until),
        Fault::Passing | Fault::Permanent => None,
    };
    let retry_at = backoff::retry_at(facts.failures, asked, runway, now);
    facts.last_failure = Some(LastFailure { at: now, message: cause.to_string(), retry_at });
}
