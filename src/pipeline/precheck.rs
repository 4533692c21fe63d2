//! Before anything is asked of a CA: can this end well?

use super::{Cause, Run, Task};
use crate::pipeline::machine::{Precheck, State};

impl Run<'_> {
    pub(super) async fn precheck(&mut self, at: Precheck) -> State<Cause> {
        if let Some(intent) = self.facts.intent.clone() {
            self.notice(format!(
                "going on with the interrupted switch to generation {}",
                intent.to
            ));
            return at.interrupted(intent.to, intent.snapshot, intent.from);
        }
        if let Task::Deploy(generation) = self.task {
            return at.held(generation);
        }
        match self.ready_to_order().await {
            Ok(()) => at.passed(),
            Err(cause) => State::untouched(cause),
        }
    }

    /// Everything the order needs from this host, tried before the CA hears of it.
    async fn ready_to_order(&self) -> Result<(), Cause> {
        for kind in self.wanted.challenges {
            let any_port = self.authority.takes_any_port();
            match self.hands.solvers.choose(&self.wanted, *kind, any_port)? {
                Some(chosen) => chosen.solver.precheck().await?,
                None => return Err(Cause::NoSolver { kind: *kind }),
            }
        }
        Ok(())
    }
}
