//! Before anything is asked of a CA: can this end well?

use super::{Cause, Run};
use crate::model::challenge::ChallengeKind;
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
        let mut first_failure = None;
        // After a failure another type comes first: it may be why.
        for kind in rotated(self.wanted.challenges, self.pressure.failures) {
            match self.try_solver(kind).await {
                Ok(()) => self.usable.push(kind),
                Err(cause) => {
                    first_failure.get_or_insert(cause);
                }
            }
        }
        let provable = |identifier| self.usable.iter().any(|kind| kind.proves(identifier));
        match first_failure {
            Some(cause) if !self.wanted.identifiers.iter().all(provable) => Err(cause),
            _ => Ok(()),
        }
    }

    async fn try_solver(&self, kind: ChallengeKind) -> Result<(), Cause> {
        let any_port = self.authority().takes_any_port();
        let chosen = self.hands.solvers.choose(&self.wanted, kind, any_port)?;
        Ok(chosen.ok_or(Cause::NoSolver { kind })?.solver.precheck().await?)
    }
}
