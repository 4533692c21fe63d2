//! Before anything is asked of a CA: can this end well?

use tokio::time::timeout;

use super::acquire::FOR_CLEANING_UP;
use super::selftest::cause_of;
use super::solvers::Looker;
use super::{Cause, Run};
use crate::challenge::Solver;
use crate::model::challenge::ChallengeKind;
use crate::model::fault::in_full;
use crate::model::name::Identifier;
use crate::model::proof::Setback;
use crate::pipeline::hooks;
use crate::pipeline::machine::{Precheck, State};
use crate::schedule::ladder::rotated;
use crate::store::journal::Intent;
use crate::store::layout::HookKind;

impl Run<'_> {
    pub(super) async fn precheck(&mut self, at: Precheck) -> State<Cause> {
        if let Some(intent) = self.facts.intent.clone() {
            return self.take_up(at, intent);
        }
        match (self.ready_to_deploy(), self.task.generation()) {
            (Err(cause), _) => State::untouched(cause),
            (Ok(()), Some(generation)) => at.held(generation),
            (Ok(()), None) => match self.ready_to_order().await {
                Ok(()) => at.passed(),
                Err(cause) => State::untouched(cause),
            },
        }
    }

    /// Goes on with what an earlier run had begun, the way it was going.
    fn take_up(&mut self, at: Precheck, intent: Intent) -> State<Cause> {
        let Intent { to, from, snapshot, rollout } = intent;
        let (back, soaks) = (rollout.back.clone(), rollout.soak_until.is_some());
        let progress = match self.resume_rollout(rollout) {
            Ok(progress) => progress,
            Err(cause) => return State::untouched(cause),
        };
        match (back, from) {
            (Some(message), Some(from)) => at.turned_back(to, from, Cause::Earlier { message }),
            (None, Some(from)) if self.facts.bad.contains(&to) => {
                at.turned_back(to, from, Cause::FoundBad { generation: to })
            }
            _ if soaks => at.soaking(to, snapshot, from, progress),
            _ => at.interrupted(to, snapshot, from, progress),
        }
    }

    /// Hooks that may not be run are found before anything is switched.
    fn ready_to_deploy(&self) -> Result<(), Cause> {
        let layout = self.hands.store.layout();
        hooks::of(layout, HookKind::Deploy, self.wanted.deploy_hooks)?;
        Ok(())
    }

    /// Everything the order needs from this host, tried before the CA hears of it.
    ///
    /// One challenge type that works will do; those that do not are left out of this run.
    async fn ready_to_order(&mut self) -> Result<(), Cause> {
        if *self.hands.stop.borrow() {
            return Err(Cause::Interrupted);
        }
        let mut failed: Vec<(ChallengeKind, Cause)> = Vec::new();
        // After a failure another type comes first: it may be why.
        for kind in rotated(self.wanted.challenges, self.pressure.failures) {
            match self.unless_stopped(self.try_solver(kind)).await {
                Ok(()) => self.usable.push(kind),
                Err(cause) => failed.push((kind, cause)),
            }
        }
        let unusable = |(challenge, cause): &(ChallengeKind, Cause)| {
            Setback::unspent(None, *challenge, in_full(cause))
        };
        self.setbacks.extend(failed.iter().map(unusable));
        failed.extend(self.try_out(self.wanted.identifiers).await);
        if *self.hands.stop.borrow() {
            return Err(Cause::Interrupted);
        }
        let is_provable = |identifier| self.ways(identifier).next().is_some();
        if self.wanted.identifiers.iter().all(is_provable) || failed.is_empty() {
            return Ok(());
        }
        let (_, first) = failed.swap_remove(0);
        Err(first)
    }

    /// Tries out the type that each of these names would be proven by; the next one where it would
    /// fail.
    pub(super) async fn try_out(&mut self, names: &[Identifier]) -> Vec<(ChallengeKind, Cause)> {
        let mut failed = Vec::new();
        for kind in self.usable.clone() {
            let comes_first = |one: &&Identifier| self.ways(one).next() == Some(kind);
            let names: Vec<Identifier> = names.iter().filter(comes_first).cloned().collect();
            if names.is_empty() || kind == ChallengeKind::DnsPersist01 {
                continue;
            }
            let chosen = self.hands.solvers.choose(&self.wanted, kind, &self.looker());
            let Ok(Some(chosen)) = chosen else { continue };
            let (setbacks, cause) = if kind.is_dns() {
                match self.rehearse(&*chosen.solver, &names).await {
                    Ok(()) => continue,
                    Err(cause) => (setbacks_of(kind, &names, &in_full(&cause)), Some(cause)),
                }
            } else {
                let setbacks = self.self_test(kind, &*chosen.solver, &names).await;
                let cause = cause_of(kind, &setbacks);
                (setbacks, cause)
            };
            failed.extend(cause.map(|cause| (kind, cause)));
            self.setbacks.extend(setbacks);
        }
        failed
    }

    /// Writes, sees and removes a record, where there is reason to.
    async fn rehearse(&self, solver: &dyn Solver, names: &[Identifier]) -> Result<(), Cause> {
        if !self.is_first_or_failing() {
            return Ok(());
        }
        let rehearsed = self.unless_stopped(async { Ok(solver.rehearse(names).await?) }).await;
        if matches!(rehearsed, Err(Cause::Interrupted)) {
            // What stays in the DNS is remembered, and removed by the next run.
            let _ = timeout(FOR_CLEANING_UP, solver.end_rehearsal()).await;
        }
        rehearsed
    }

    /// Name servers and providers may take minutes: a request to stop does not wait for them.
    async fn unless_stopped(
        &self,
        work: impl Future<Output = Result<(), Cause>>,
    ) -> Result<(), Cause> {
        let mut stop = self.hands.stop.clone();
        tokio::select! {
            done = work => done,
            _ = stop.wait_for(|stop| *stop) => Err(Cause::Interrupted),
        }
    }

    pub(super) fn looker(&self) -> Looker {
        self.authority().looker(&self.hands.store)
    }

    async fn try_solver(&self, kind: ChallengeKind) -> Result<(), Cause> {
        if kind == ChallengeKind::DnsPersist01 {
            return self.foresee_standing().await;
        }
        let chosen = self.hands.solvers.choose(&self.wanted, kind, &self.looker())?;
        Ok(chosen.ok_or(Cause::NoSolver { kind })?.solver.precheck(self.wanted.identifiers).await?)
    }
}

fn setbacks_of(challenge: ChallengeKind, names: &[Identifier], error: &str) -> Vec<Setback> {
    let setback =
        |name: &Identifier| Setback::unspent(Some(name.clone()), challenge, error.to_owned());
    names.iter().map(setback).collect()
}
