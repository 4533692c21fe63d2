//! When a challenge type does not work: the next one of the list, in the same run.

use std::collections::BTreeSet;

use super::{Cause, Run};
use crate::acme::{AcmeError, ChallengeFailure};
use crate::model::challenge::ChallengeKind;
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::model::proof::{Proof, Setback, reason};
use crate::schedule::ladder::rotated;

impl Run<'_> {
    /// The types that may prove it still, in the order in which they are tried.
    pub(super) fn ways(&self, identifier: &Identifier) -> impl Iterator<Item = ChallengeKind> {
        let offered = self.offered.get(identifier);
        let is_left = move |kind: &ChallengeKind| {
            let is_out =
                |setback: &Setback| setback.challenge == *kind && setback.concerns(identifier);
            kind.proves(identifier)
                && offered.is_none_or(|offered| offered.contains(kind))
                && !self.setbacks.iter().any(is_out)
        };
        self.usable.iter().copied().filter(is_left)
    }

    /// Leaves types out of this run, if each identifier that loses one has another; says whether.
    ///
    /// Where one has none left the run ends, and its cause tells why.
    pub(super) fn rule_out(&mut self, setbacks: Vec<Setback>) -> bool {
        let lost: BTreeSet<_> = setbacks.iter().filter_map(|one| one.identifier.clone()).collect();
        let before = self.setbacks.len();
        self.setbacks.extend(setbacks);
        let have_others = lost.iter().all(|identifier| self.ways(identifier).next().is_some());
        if !have_others {
            self.setbacks.truncate(before);
        }
        have_others
    }

    /// After a failed order: what the CA did not believe is left out, and another order may follow.
    ///
    /// Each failed validation is noted in the ledger, so that the next order is judged with it. What
    /// comes next is tried out first: so far only the types that came first were.
    ///
    /// # Errors
    /// The cause, with what had failed before it, where no other type can help.
    pub(super) async fn fall_back(&mut self, cause: Cause, may_order: bool) -> Result<(), Cause> {
        let refused = self.refused(&cause);
        let told = reason(&refused, self.wanted.identifiers.len() > 1);
        let lost: Vec<_> = refused.iter().filter_map(|one| one.identifier.clone()).collect();
        if !may_order || refused.is_empty() || !self.rule_out(refused) {
            return Err(cause.after(self.setbacks.clone()));
        }
        self.learn(&cause);
        let foreseen = self.try_out(&lost).await.pop();
        if *self.hands.stop.borrow() {
            return Err(Cause::Interrupted);
        }
        if let Some((kind, foreseen)) = foreseen
            && !lost.iter().all(|identifier| self.ways(identifier).next().is_some())
        {
            let earlier = self.setbacks.iter().filter(|setback| setback.challenge != kind);
            return Err(foreseen.after(earlier.cloned().collect()));
        }
        self.notice(format!("{told}; ordering once more, to prove it by another challenge type"));
        Ok(())
    }

    /// What the CA looked at and did not believe; nothing where another type would change nothing.
    fn refused(&self, cause: &Cause) -> Vec<Setback> {
        let Cause::Acme(error) = cause else { return Vec::new() };
        let AcmeError::Unproven { failures } = &**error else { return Vec::new() };
        if error.fault() == Fault::Permanent {
            return Vec::new();
        }
        let setback = |failure: &ChallengeFailure| {
            let identifier = &failure.identifier;
            // Some CAs do not say which type it was.
            let shown = self.shown.get(identifier).copied();
            let challenge = ChallengeKind::parse(&failure.challenge).or(shown)?;
            Some(Setback {
                identifier: Some(identifier.clone()),
                challenge,
                error: failure.problem.to_string(),
                spent: true,
            })
        };
        let mut setbacks: Vec<Setback> = failures.iter().filter_map(setback).collect();
        // Told type by type.
        setbacks.sort_by_key(|setback| setback.challenge);
        setbacks
    }

    /// How it was proven in this run, and what would have come first.
    pub(super) fn proof(&self) -> Proof {
        let order = rotated(self.wanted.challenges, self.pressure.failures);
        let place = |kind| order.iter().position(|one| *one == kind);
        let came_first = |setback: &&Setback| {
            self.shown.iter().any(|(identifier, kind)| {
                setback.challenge.proves(identifier)
                    && setback.concerns(identifier)
                    && place(setback.challenge) < place(*kind)
            })
        };
        Proof {
            by: self.shown.iter().map(|(name, kind)| (name.to_string(), *kind)).collect(),
            after: self.setbacks.iter().filter(came_first).cloned().collect(),
        }
    }
}
