//! The switch, and the targets that put it to use, step by step.

use std::time::Duration;

use super::{Cause, Run};
use crate::deploy::Told;
use crate::model::event::Event;
use crate::model::generation::Generation;
use crate::model::traffic::Share;
use crate::pipeline::machine::{Deploy, State};

impl Run<'_> {
    pub(super) async fn deploy(&mut self, at: Deploy) -> State<Cause> {
        match self.carry_out(&at).await {
            Ok(()) => at.activated(),
            Err(cause) => at.failed(cause),
        }
    }

    async fn carry_out(&mut self, at: &Deploy) -> Result<(), Cause> {
        let progress = at.progress();
        if progress.is_first() {
            self.switch(at)?;
        } else {
            self.journal(|rollout| {
                rollout.at = progress.step;
                rollout.soak_until = None;
                rollout.approved = false;
            })?;
        }
        self.activate(at).await
    }

    fn switch(&mut self, at: &Deploy) -> Result<(), Cause> {
        let (rollout, before) = (self.rollout.clone(), self.live_now());
        let switched = self.hands.store.switch(self.lock, at.generation(), at.snapshot(), rollout);
        self.reload_facts()?;
        let switched = switched?;
        self.tell_switch(before, at.generation());
        if switched.copied {
            self.notice("this file system has no hard links: live holds copies");
        }
        if switched.in_two_steps {
            self.notice("this file system cannot exchange directories: live was away for a moment");
        }
        Ok(())
    }

    /// What is live, as far as it is whole.
    pub(super) fn live_now(&self) -> Option<Generation> {
        self.hands.store.live(self.name).ok().flatten()
    }

    /// Tells that another generation is live now; nothing where it was before.
    pub(super) fn tell_switch(&self, from: Option<Generation>, to: Generation) {
        if let Some(fingerprint) = self.fingerprint(to).filter(|_| from != Some(to)) {
            self.note(Event::Switched { name: self.name.clone(), from, to, fingerprint });
        }
    }

    fn fingerprint(&self, generation: Generation) -> Option<String> {
        Some(self.hands.store.meta(self.name, generation).ok()?.fingerprint)
    }

    /// Activates the targets of a step. Where there is a way back, the first failure is enough to
    /// take it; where there is none, whoever can take the generation gets it all the same.
    pub(super) async fn activate(&mut self, at: &Deploy) -> Result<(), Cause> {
        let (step, delivery) = (self.step(at.progress())?, self.delivery(at.generation())?);
        let share = Share::new(step.percent).unwrap_or(Share::ALL);
        let targets = self.targets()?;
        let goes_back = at.way_back().is_some_and(|previous| self.is_better(previous).is_ok());
        let mut first_failure: Result<(), Cause> = Ok(());
        for label in &step.targets {
            let Some(target) = targets.iter().find(|target| target.label() == label) else {
                self.notice_stranger(label);
                continue;
            };
            if !self.touched.contains(label) {
                self.touched.push(label.clone());
            }
            let begun = self.hands.clock.monotonic();
            match target.activate(&delivery, share).await {
                Ok(told) => {
                    self.tell_activated(label, at.generation(), begun);
                    self.pass_on(told);
                }
                Err(error) if goes_back => return Err(error.into()),
                Err(error) => first_failure = first_failure.and(Err(error.into())),
            }
        }
        first_failure
    }

    fn tell_activated(&self, target: &str, generation: Generation, begun: Duration) {
        let (store, clock) = (&self.hands.store, &self.hands.clock);
        // It has just been read.
        let Ok(meta) = store.meta(self.name, generation) else { return };
        let (name, target) = (self.name.clone(), target.to_owned());
        let took = clock.monotonic().saturating_sub(begun);
        let lag = clock.now().since(meta.issued_at);
        self.note(Event::Activated { name, target, generation, took, lag });
    }

    /// Tells the operator what a target had to say, if it had.
    pub(super) fn pass_on(&self, told: Told) {
        if !told.output.is_empty() {
            self.notice(told.output);
        }
    }

    pub(super) fn notice_stranger(&self, label: &str) {
        self.notice(format!("{label} is no target any more: it is left as it is"));
    }
}
