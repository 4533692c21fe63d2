//! The switch, the hooks that put it to use, the look at what is live, and the way back.

use super::{Cause, Run, hooks};
use crate::model::generation::Generation;
use crate::pipeline::machine::{Deploy, RollBack, State, Verify};
use crate::store::layout::HookKind;

impl Run<'_> {
    pub(super) async fn deploy(&mut self, at: Deploy) -> State<Cause> {
        match self.switch(&at) {
            Err(cause) => at.failed(cause),
            Ok(()) => match self.activate(at.generation()).await {
                Ok(()) => at.activated(),
                Err(cause) => at.failed(cause),
            },
        }
    }

    fn switch(&mut self, at: &Deploy) -> Result<(), Cause> {
        let switched = self.hands.store.switch(self.lock, at.generation(), at.snapshot());
        self.reload_facts()?;
        let switched = switched?;
        if switched.copied {
            self.notice("this file system has no hard links: live holds copies");
        }
        if switched.in_two_steps {
            self.notice("this file system cannot exchange directories: live was away for a moment");
        }
        Ok(())
    }

    /// Runs the deploy hooks, the directory's first, each to its good end.
    async fn activate(&self, generation: Generation) -> Result<(), Cause> {
        let layout = self.hands.store.layout();
        let all = hooks::of(layout, HookKind::Deploy, self.wanted.deploy_hooks)?;
        let renewed = hooks::Renewed {
            name: self.name.clone(),
            live_dir: layout.live(self.name),
            generation,
            meta: self.hands.store.meta(self.name, generation)?,
        };
        for hook in &all {
            let report = hooks::deploy(hook, &renewed).await?;
            if !report.output.is_empty() {
                self.notice(report.output);
            }
        }
        Ok(())
    }

    pub(super) fn verify(&mut self, at: Verify) -> State<Cause> {
        let generation = at.generation();
        match self.look_at_live(generation) {
            Ok(()) => at.seen(),
            Err(cause) => at.failed(cause),
        }
    }

    fn look_at_live(&mut self, generation: Generation) -> Result<(), Cause> {
        if self.hands.store.live(self.name)? != Some(generation) {
            return Err(Cause::NotLive { generation });
        }
        self.hands.store.confirm(self.lock)?;
        self.reload_facts()
    }

    pub(super) async fn roll_back(&mut self, at: RollBack<Cause>) -> State<Cause> {
        let back = match self.hands.store.switch_back(self.lock) {
            Ok(_) => self.activate(at.previous()).await,
            Err(error) => Err(error.into()),
        };
        match back.and(self.reload_facts()) {
            Ok(()) => at.restored(),
            Err(rollback) => at.stuck(|cause| Cause::Stuck {
                cause: Box::new(cause),
                rollback: Box::new(rollback),
            }),
        }
    }
}
