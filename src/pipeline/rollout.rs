//! Where a rollout begins: which targets, in which steps, and whether they can take it at all.

use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Run};
use crate::certificate::Fingerprint;
use crate::deploy::hook::HookTarget;
use crate::deploy::{Delivery, Target};
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::pipeline::hooks;
use crate::pipeline::machine::{Progress, Snapshot, State};
use crate::schedule::rollout::{self, Place, Step};
use crate::schedule::window::last_twentieth;
use crate::store::Store;
use crate::store::archive::Meta;
use crate::store::journal::Rollout;
use crate::store::layout::HookKind;

impl Run<'_> {
    /// Everything that could refuse the generation is asked before there is anything to undo.
    pub(super) async fn snapshot(&mut self, at: Snapshot) -> State<Cause> {
        let generation = at.generation();
        let previous = match self.prepare_rollout(generation).await {
            Ok(previous) => previous,
            Err(cause @ Cause::Target(_)) => return at.refused(cause),
            Err(cause) => return State::untouched(cause),
        };
        let reason = format!("before generation {generation}");
        let store = &self.hands.store;
        match store.take_snapshot(&[self.lock], &reason, self.hands.clock.now()) {
            Ok(id) => at.taken(id, previous, self.rollout.steps.len()),
            Err(error) => State::untouched(error.into()),
        }
    }

    /// Plans the rollout, and looks at what is served before it. Returns what is live now.
    async fn prepare_rollout(&mut self, to: Generation) -> Result<Option<Generation>, Cause> {
        let now = self.hands.clock.now();
        let live = self.hands.store.live(self.name)?;
        let (targets, delivery) = (self.targets()?, self.delivery(to)?);
        // By what has expired, is revoked or damaged nobody is served: no target may hold up the
        // others with that.
        let good = live.filter(|live| *live != to && self.is_better(*live).is_ok());
        if good.is_some() {
            for target in &targets {
                target.stage(&delivery).await?;
            }
        }
        // Nobody waits on the way back.
        let old = good.filter(|good| *good < to);
        let old = old.map(|old| self.hands.store.meta(self.name, old)).transpose()?;
        // Nor where there is hardly any time to wait.
        let old = old.filter(|old| now < last_twentieth(old.validity));
        let left = old.as_ref().map(|old| remaining(old, now));
        self.rollout = Rollout {
            steps: rollout::steps(&self.places_of(&targets), self.wanted.rollout, left),
            deadline: Some(rollout::deadline(self.wanted.rollout, left, now)),
            before: self.baseline(&targets, &delivery).await,
            ..Rollout::default()
        };
        Ok(live)
    }

    fn places_of(&self, targets: &[Arc<dyn Target>]) -> Vec<Place> {
        let is_own = |label: &str| self.wanted.targets.iter().any(|wanted| wanted.label() == label);
        let place = |target: &Arc<dyn Target>| Place {
            label: target.label().to_owned(),
            splits: target.splits(),
            last: !is_own(target.label()),
        };
        targets.iter().map(place).collect()
    }

    /// The targets of the settings, then the deploy hooks, the directory's first.
    pub(super) fn targets(&self) -> Result<Vec<Arc<dyn Target>>, Cause> {
        let layout = self.hands.store.layout();
        let hooks = hooks::of(layout, HookKind::Deploy, self.wanted.deploy_hooks)?;
        let hooks = hooks.into_iter().map(|hook| {
            let label = hook.label();
            Arc::new(HookTarget::new(hook, label)) as Arc<dyn Target>
        });
        Ok(self.wanted.targets.iter().cloned().chain(hooks).collect())
    }

    pub(super) fn delivery(&self, generation: Generation) -> Result<Delivery, Cause> {
        delivery(&self.hands.store, self.name, generation)
    }

    /// Takes up a rollout where an earlier run left it.
    pub(super) fn resume_rollout(&mut self, rollout: Rollout) -> Result<Progress, Cause> {
        self.rollout = rollout;
        if self.rollout.steps.is_empty() {
            // Begun by a version that knew of no steps.
            let places = self.places_of(&self.targets()?);
            self.rollout.steps = rollout::steps(&places, &rollout::Settings::default(), None);
        }
        self.take_in_new_targets()?;
        let begun = self.rollout.steps.iter().take(self.rollout.at + 1);
        self.touched = begun.flat_map(|step| step.targets.iter().cloned()).collect();
        Ok(Progress { step: self.rollout.at, steps: self.rollout.steps.len() })
    }

    /// What the settings name since the rollout was planned comes after everything else.
    fn take_in_new_targets(&mut self) -> Result<(), Cause> {
        let rollout = &self.rollout;
        let planned = |label: &String| rollout.steps.iter().any(|it| it.targets.contains(label));
        let targets = self.targets()?.into_iter().map(|target| target.label().to_owned());
        let new: Vec<String> = targets.filter(|label| !planned(label)).collect();
        if new.is_empty() || rollout.back.is_some() {
            return Ok(());
        }
        self.journal(|rollout| rollout.steps.push(Step::of(new.clone(), 100, Duration::ZERO)))
    }

    /// The step a rollout is at.
    pub(super) fn step(&self, at: Progress) -> Result<Step, Cause> {
        self.rollout.steps.get(at.step).cloned().ok_or(Cause::Interrupted)
    }

    /// Journals how far it has come, here and on the disk.
    pub(super) fn journal(&mut self, change: impl Fn(&mut Rollout)) -> Result<(), Cause> {
        change(&mut self.rollout);
        self.hands.store.progress(self.lock, change)?;
        self.reload_facts()
    }
}

/// What targets are told of a generation.
pub(crate) fn delivery(
    store: &Store,
    name: &CertName,
    generation: Generation,
) -> Result<Delivery, Cause> {
    let (meta, layout) = (store.meta(name, generation)?, store.layout());
    let fingerprint = Fingerprint::parse(&meta.fingerprint);
    Ok(Delivery {
        name: name.clone(),
        identifiers: meta.identifiers,
        proof: meta.proof,
        generation,
        fingerprint: fingerprint.ok_or(Cause::Inconsistent { generation })?,
        live_dir: layout.live(name),
        archive_dir: layout.generation(name, generation),
    })
}

/// What a certificate has left.
fn remaining(meta: &Meta, now: Timestamp) -> Duration {
    let until = meta.validity.not_after;
    if until > now { until.since(now) } else { Duration::ZERO }
}
