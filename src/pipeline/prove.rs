//! Answering what the CA wants proven.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::acquire::FOR_CLEANING_UP;
use super::solvers::Chosen;
use super::{Cause, Run};
use crate::acme::{AcmeError, Authorization, Order, PATIENCE};
use crate::model::challenge::Challenge;
use crate::model::challenge::ChallengeKind::{self, DnsPersist01};
use crate::model::event::Event;
use crate::model::fault::in_full;
use crate::model::name::Identifier;
use crate::model::proof::{Setback, reason};

/// What is proven by one type.
struct Answers {
    kind: ChallengeKind,
    /// Who presents it; `None` for records that stand already.
    chosen: Option<Chosen>,
    authorizations: Vec<Authorization>,
    /// When it was begun to be presented, by the monotonic clock.
    begun: Duration,
}

impl Answers {
    fn challenges(&self) -> Vec<&Challenge> {
        let of_kind = |one: &'_ &Challenge| one.kind == self.kind;
        self.authorizations.iter().filter_map(|one| one.challenges.iter().find(of_kind)).collect()
    }
}

impl Run<'_> {
    /// Answers every open challenge; takes the answers back whatever comes of it.
    pub(super) async fn prove(&mut self, order: &mut Order, end: Instant) -> Result<(), Cause> {
        let open = order.pending().await?;
        let mut stop = self.hands.stop.clone();
        let mut presented = Vec::new();
        let late = Cause::TooSlow { after: self.longest() };
        let proven = tokio::select! {
            proven = self.answer(order, open, &mut presented) => proven,
            _ = stop.wait_for(|stop| *stop) => Err(Cause::Interrupted),
            () = sleep_until(end) => Err(late),
        };
        self.tell_ended(&presented, &proven);
        let taken_back = async {
            for answers in &presented {
                self.take_back(answers).await;
            }
        };
        if matches!(proven, Err(Cause::Interrupted)) {
            // Who asked to stop does not wait for long; what stays in the DNS is remembered.
            let _ = timeout(FOR_CLEANING_UP, taken_back).await;
        } else {
            taken_back.await;
        }
        proven
    }

    async fn answer(
        &mut self,
        order: &mut Order,
        open: Vec<Authorization>,
        presented: &mut Vec<Answers>,
    ) -> Result<(), Cause> {
        self.present(open, presented).await?;
        let asked = presented.iter().flat_map(|answers| {
            answers.authorizations.iter().map(|one| order.set_ready(one, answers.kind))
        });
        futures_util::future::try_join_all(asked).await?;
        Ok(order.wait_ready(PATIENCE).await?)
    }

    /// Shows an answer for each authorization, before the CA is told of any.
    ///
    /// What cannot be presented by one type is presented by the next: nothing is spent by that.
    async fn present(
        &mut self,
        mut open: Vec<Authorization>,
        presented: &mut Vec<Answers>,
    ) -> Result<(), Cause> {
        while !open.is_empty() {
            for (_, mut answers) in self.choose(std::mem::take(&mut open))? {
                answers.begun = self.hands.clock.monotonic();
                // Known before it is presented: it is to be taken back in any case.
                presented.push(answers);
                let answers = presented.last().expect("it was just put there");
                if let Err(cause) = self.show(answers).await {
                    // Known until it is taken back: this may be cut off as well.
                    self.take_back(answers).await;
                    let answers = presented.pop().expect("it was just put there");
                    open.extend(self.next_type(answers, cause)?);
                }
            }
        }
        Ok(())
    }

    async fn show(&self, answers: &Answers) -> Result<(), Cause> {
        let Some(chosen) = &answers.chosen else {
            return self.ensure_standing(&answers.authorizations).await;
        };
        chosen.solver.present_all(&answers.challenges()).await?;
        if let Some(ports) = &self.authority().validation_ports {
            chosen.announce(ports);
        }
        Ok(())
    }

    /// Leaves a type out that could not be presented; returns what is to be presented by another.
    fn next_type(&mut self, failed: Answers, cause: Cause) -> Result<Vec<Authorization>, Cause> {
        let error = in_full(&cause);
        for authorization in &failed.authorizations {
            self.tell_challenge(&failed, &authorization.identifier, Some(error.clone()));
        }
        let setback = |authorization: &Authorization| {
            Setback::unspent(Some(authorization.identifier.clone()), failed.kind, error.clone())
        };
        let setbacks: Vec<Setback> = failed.authorizations.iter().map(setback).collect();
        let told = reason(&setbacks, self.wanted.identifiers.len() > 1);
        if !self.rule_out(setbacks) {
            return Err(cause);
        }
        self.notice(format!("{told}; trying another challenge type"));
        Ok(failed.authorizations)
    }

    /// Tells what the CA made of each challenge that was presented, as far as that is known.
    fn tell_ended(&self, presented: &[Answers], proven: &Result<(), Cause>) {
        for answers in presented {
            for Authorization { identifier, .. } in &answers.authorizations {
                match proven {
                    Ok(()) => self.tell_challenge(answers, identifier, None),
                    Err(cause) => {
                        if let Some(why) = said_of(cause, identifier) {
                            self.tell_challenge(answers, identifier, Some(why));
                        }
                    }
                }
            }
        }
    }

    fn tell_challenge(&self, answers: &Answers, identifier: &Identifier, failed: Option<String>) {
        let took = self.hands.clock.monotonic().saturating_sub(answers.begun);
        let (name, identifier, kind) = (self.name.clone(), identifier.clone(), answers.kind);
        self.note(Event::ChallengeEnded { name, identifier, kind, took, failed });
    }

    async fn take_back(&self, answers: &Answers) {
        let Some(chosen) = &answers.chosen else { return };
        if let Err(error) = chosen.solver.clean_up_all(&answers.challenges()).await {
            self.notice(format!("could not clean up after {}: {}", answers.kind, in_full(&error)));
        }
    }

    /// Of each authorization the first type, in the order of this run, that the CA offers and that
    /// may still work.
    fn choose(
        &mut self,
        open: Vec<Authorization>,
    ) -> Result<BTreeMap<ChallengeKind, Answers>, Cause> {
        let mut all = BTreeMap::new();
        for authorization in open {
            let identifier = authorization.identifier.clone();
            let mut offered: Vec<_> = authorization.challenges.iter().map(|one| one.kind).collect();
            if self.usable.contains(&DnsPersist01) && self.can_stand(&authorization) {
                offered.push(DnsPersist01);
            }
            self.offered.insert(identifier.clone(), offered);
            let Some(kind) = self.ways(&identifier).next() else {
                return Err(Cause::NoChallenge { identifier: identifier.to_string() });
            };
            let answers = match all.entry(kind) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(free) => free.insert(self.hands_for(kind)?),
            };
            answers.authorizations.push(authorization);
            self.shown.insert(identifier, kind);
        }
        Ok(all)
    }

    /// Who is to answer challenges of this type; as yet none.
    fn hands_for(&self, kind: ChallengeKind) -> Result<Answers, Cause> {
        let chosen = match kind {
            DnsPersist01 => None,
            _ => {
                let chosen = self.hands.solvers.choose(&self.wanted, kind, &self.looker())?;
                Some(chosen.ok_or(Cause::NoSolver { kind })?)
            }
        };
        let begun = self.hands.clock.monotonic();
        Ok(Answers { kind, chosen, authorizations: Vec::new(), begun })
    }
}

/// Why a challenge was in vain; `None` where the order ended for another reason than that one.
fn said_of(cause: &Cause, identifier: &Identifier) -> Option<String> {
    let Cause::Acme(error) = cause else {
        return matches!(cause, Cause::TooSlow { .. }).then(|| cause.to_string());
    };
    match &**error {
        AcmeError::Unproven { failures } => {
            let of_it = failures.iter().find(|failure| failure.identifier == *identifier);
            of_it.map(|failure| failure.problem.to_string())
        }
        other => Some(in_full(other)),
    }
}
