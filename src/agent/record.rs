//! What is written down when a run has ended, for the next one.

use std::time::Duration;

use super::plan::{Standing, runway};
use super::work::Done;
use super::{Agent, Trouble};
use crate::config::cert::CertSettings;
use crate::model::ended::Ended;
use crate::model::fault::Fault;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::time::Timestamp;
use crate::pipeline::{Cause, Outcome, Task};
use crate::schedule::backoff;
use crate::store::journal::{Fate, FateKind, LastFailure, QueuedDeploy, State as Facts};
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
        let undone = match &outcome {
            Outcome::RolledBack(generation, _)
            | Outcome::NeedsOperator(generation, _)
            | Outcome::NotDeployed(generation, _) => Some(*generation),
            _ => None,
        };
        let (ended, cause) = self.take_down(lock, &mut facts, standing, outcome, task)?;
        let condemned = undone.is_some_and(|generation| facts.bad.contains(&generation));
        match &cause {
            None if ended == Ended::Soaking => {}
            None => {
                facts.last_success = Some(now);
                self.note_success(&name, &mut facts, settings, now)?;
            }
            // Nobody's failure: it goes on where it was.
            Some(Cause::Interrupted) => {}
            Some(cause) if ended == Ended::Retry || condemned => {
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

    /// Notes what an outcome means for the generations there are; how it ended, and why.
    fn take_down(
        &self,
        lock: &Lock,
        facts: &mut Facts,
        standing: &Standing,
        outcome: Outcome,
        task: Task,
    ) -> Result<(Ended, Option<Cause>), Trouble> {
        let deployed = if task.generation().is_some() { Ended::Deployed } else { Ended::Renewed };
        Ok(match outcome {
            Outcome::Renewed(generation) => {
                facts.deploy_queue.retain(|queued| queued.generation > generation);
                facts.fates.remove(&generation);
                // A pin that ran out holds nothing any more; recovery must not go back to it.
                facts.pin = facts.pin.filter(|pin| pin.generation == generation);
                (deployed, None)
            }
            Outcome::Stocked => (Ended::Stocked, None),
            Outcome::Paused => (Ended::Soaking, None),
            Outcome::Untouched(cause) => (Ended::Retry, Some(cause)),
            Outcome::NotDeployed(generation, cause) => {
                // It stays live, so the switch is over; only putting it to use goes on.
                if facts.intent.take_if(|intent| intent.to == generation).is_some() {
                    facts.confirmed = self.store().live(lock.name())?;
                }
                if matches!(cause, Cause::Revoked { .. }) {
                    // Nothing to go back to, and nothing to go on with: another is wanted.
                    facts.bad.insert(generation);
                } else {
                    self.queue(facts, standing, generation, &cause);
                }
                (Ended::NotDeployed, Some(cause))
            }
            Outcome::RolledBack(generation, cause) => {
                self.not_taken(facts, standing, generation, &cause);
                (Ended::RolledBack, Some(cause))
            }
            Outcome::NeedsOperator(generation, cause) => {
                self.not_taken(facts, standing, generation, &cause);
                let live = self.store().live(lock.name())?.filter(|live| *live != generation);
                if let Some(live) = live.filter(|_| facts.bad.contains(&generation)) {
                    // It is live again, and a target may not have heard of that.
                    self.queue(facts, standing, live, &cause);
                }
                (Ended::NeedsOperator, Some(cause))
            }
        })
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
    /// an earlier one that the operator wanted back. Where it happens again and again, that is all.
    fn not_taken(
        &self,
        facts: &mut Facts,
        standing: &Standing,
        generation: Generation,
        cause: &Cause,
    ) {
        let now = self.hands.clock.now();
        let revoked = matches!(cause, Cause::Revoked { .. });
        let kind = if revoked { FateKind::Revoked } else { FateKind::RolledBack };
        facts.befell(generation, Fate { at: now, kind, why: cause.to_string() });
        if !cause.is_the_disks() {
            facts.rollbacks.retain(|at| now < at.plus(A_DAY));
            facts.rollbacks.push(now);
        }
        if facts.rollbacks.len() > MOST_ROLLBACKS {
            facts.halted.get_or_insert(now);
        }
        if facts.bad.contains(&generation) {
            return;
        }
        if standing.newest.as_ref().is_none_or(|(newest, _)| generation >= *newest) {
            self.queue(facts, standing, generation, cause);
        }
    }

    /// Puts a generation that a target did not take into the deploy queue.
    fn queue(&self, facts: &mut Facts, standing: &Standing, generation: Generation, cause: &Cause) {
        let now = self.hands.clock.now();
        let before = facts.deploy_queue.iter().find(|queued| queued.generation == generation);
        let attempts = before.map_or(0, |queued| queued.attempts).saturating_add(1);
        let next_at = now.plus(backoff::wait(attempts, runway(standing, now)));
        // Only the newest is ever put to use.
        facts.deploy_queue.retain(|queued| queued.generation > generation);
        let target = cause.target().unwrap_or_default();
        facts.deploy_queue.push(QueuedDeploy { target, generation, attempts, next_at });
    }
}

/// More rollbacks than this of one certificate in a day, and it is deployed no more.
const MOST_ROLLBACKS: usize = 3;
const A_DAY: Duration = Duration::from_secs(24 * 3600);

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
