//! Back to an earlier generation, and held there.

use super::plan::{Why, ask_at};
use super::work::{Done, Wish};
use super::{Agent, Insistence, Trouble};
use crate::certificate::Chain;
use crate::model::event::Event;
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::pipeline::Task;
use crate::probe::revocation::Revocation;
use crate::store::journal::Pin;
use crate::store::lock::Lock;

/// Where to go back to.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// The newest good generation before the live one.
    Earlier,
    Generation(Generation),
    /// What was live in a snapshot, brought back from it should the archive have lost it.
    Snapshot(SnapshotId),
}

impl Agent {
    /// Puts an earlier generation into service, verified, and pins it there.
    pub(crate) async fn put_back(
        &self,
        name: &CertName,
        destination: &Destination,
        force: bool,
    ) -> Done {
        let done = self.go_to(name, destination, force).await;
        self.ended(done.unwrap_or_else(|trouble| self.refused(name, trouble)))
    }

    async fn go_to(
        &self,
        name: &CertName,
        destination: &Destination,
        force: bool,
    ) -> Result<Done, Trouble> {
        let lock = self.store().lock(name)?;
        let mut standing = match destination {
            // Recovery would mend live to another generation first; what is restored decides here.
            Destination::Snapshot(id) => {
                let generation = self.store().restore(id, &lock)?;
                self.decided(name, "restored", format!("restored from snapshot {id}"));
                let text = format!("its settings are again those of snapshot {id}");
                self.hands.sink.note(Event::Noticed { name: name.clone(), text });
                let standing = self.recovered(&lock)?;
                return self.put(&lock, standing, generation, force).await;
            }
            _ => self.recovered(&lock)?,
        };
        let generation = match destination {
            Destination::Generation(generation) => *generation,
            _ => self.earlier(&lock, &mut standing)?,
        };
        self.put(&lock, standing, generation, force).await
    }

    fn earlier(&self, lock: &Lock, standing: &mut super::Standing) -> Result<Generation, Trouble> {
        let (live, _) = standing.live.as_ref().ok_or(Trouble::NothingHeld)?;
        let older = self.store().generations(lock.name())?.into_iter().rev();
        let mut older = older.filter(|g| g < live && !standing.facts.bad.contains(g));
        older.next().ok_or(Trouble::NothingEarlier)
    }

    async fn put(
        &self,
        lock: &Lock,
        mut standing: super::Standing,
        generation: Generation,
        force: bool,
    ) -> Result<Done, Trouble> {
        let name = lock.name().clone();
        if !self.store().generations(&name)?.contains(&generation) {
            return Err(Trouble::NoGeneration { generation });
        }
        let meta = self.store().meta(&name, generation)?;
        let now = self.hands.clock.now();
        let unfit = if standing.facts.bad.contains(&generation) {
            Some("is marked bad".to_owned())
        } else if meta.validity.not_after < now {
            Some(format!("expired at {}", meta.validity.not_after))
        } else {
            self.revoked_at(&name, generation).await.map(|at| format!("was revoked at {at}"))
        };
        let task = if unfit.is_some() { Task::DeployExpired } else { Task::Deploy };
        if let Some(why) = unfit.filter(|_| !force) {
            return Err(Trouble::Unfit { generation, why });
        }
        let Some((settings, _)) = self.settings(&name)? else {
            return Err(Trouble::NoSettings { path: self.store().layout().settings(&name) });
        };
        // Pinned first: a crash after the switch must not let the next `renew` undo it.
        let (pin_before, queue_before) = (standing.facts.pin, standing.facts.deploy_queue.clone());
        let is_newest = standing.newest.as_ref().is_some_and(|(newest, _)| *newest == generation);
        let was_bad = standing.facts.bad.remove(&generation);
        standing.facts.deploy_queue.clear();
        standing.facts.pin =
            (!is_newest).then_some(Pin { generation, until: meta.validity.not_after });
        self.store().save_state(lock, &standing.facts)?;
        // A rollout that is under way stays in the journal until the switch takes its place there.
        let intent_before = standing.facts.intent.take();
        let insistence = Insistence { force, by_hand: true, ..Insistence::default() };
        let (new_settings, agree_terms, may_register) = (None, false, false);
        let mut wish = Wish { name, settings, new_settings, insistence, agree_terms, may_register };
        let mut done =
            self.attempt(lock, &mut wish, &mut standing, task(generation), Why::Forced).await?;
        if done.trouble.is_some() {
            // Who asked for it knows that it failed, and asks again; no later run does.
            standing.facts.pin = pin_before;
            standing.facts.deploy_queue = queue_before;
            if was_bad {
                standing.facts.bad.insert(generation);
            }
            // What is live again has not reached all of its targets yet.
            let live = standing.live.as_ref().map(|(live, _)| *live);
            let unfinished = intent_before.filter(|intent| Some(intent.to) == live);
            standing.facts.intent = standing.facts.intent.take().or(unfinished);
            self.store().save_state(lock, &standing.facts)?;
        } else {
            self.tell_pin(lock.name(), pin_before, standing.facts.pin);
        }
        let ask_at = ask_at(&standing, now);
        let wake = self.settle(lock, &wish.settings, &mut standing, ask_at)?;
        self.store().update_index(lock.name(), wake)?;
        done.standing = standing;
        Ok(done)
    }

    /// Tells what a person made of a pin.
    fn tell_pin(&self, name: &CertName, before: Option<Pin>, now: Option<Pin>) {
        if let Some(Pin { generation, until }) = now {
            let text = format!("pinned at generation {generation} until {until}");
            self.decided(name, "pinned", text);
        } else if let Some(Pin { generation, .. }) = before {
            let text = format!("no longer pinned at generation {generation}");
            self.decided(name, "unpinned", text);
        }
    }

    /// When the CA revoked a generation, as far as its list tells.
    async fn revoked_at(&self, name: &CertName, generation: Generation) -> Option<Timestamp> {
        // What cannot be read is refused for that, later.
        let stored = self.store().read(name, generation).ok()?;
        let chain = Chain::parse(&stored.fullchain).ok()?;
        match self.hands.revocation(&chain).await {
            Revocation::Revoked { at, .. } => Some(at),
            Revocation::Good | Revocation::Unknown(_) => None,
        }
    }

    /// Lets the newest good generation go live again.
    pub(crate) async fn unpin(&self, name: &CertName) -> Done {
        let done = self.let_go(name).await;
        self.ended(done.unwrap_or_else(|trouble| self.refused(name, trouble)))
    }

    async fn let_go(&self, name: &CertName) -> Result<Done, Trouble> {
        let lock = self.store().lock(name)?;
        let mut facts = self.recovered(&lock)?.facts;
        let (pin, halted) = (facts.pin.take(), facts.halted.take());
        facts.rollbacks.clear();
        self.store().save_state(&lock, &facts)?;
        self.tell_pin(name, pin, None);
        if pin.is_none() && halted.is_some() {
            self.decided(name, "unpinned", "deployed again after too many rollbacks".to_owned());
        }
        let Some((settings, _)) = self.settings(name)? else {
            return Err(Trouble::NoSettings { path: self.store().layout().settings(name) });
        };
        let insistence = Insistence { by_hand: true, ..Insistence::default() };
        let name = name.clone();
        let (new_settings, agree_terms, may_register) = (None, false, false);
        let wish = Wish { name, settings, new_settings, insistence, agree_terms, may_register };
        let done = self.work_locked(&lock, wish).await;
        self.after_all(lock.name()).await;
        done
    }
}
