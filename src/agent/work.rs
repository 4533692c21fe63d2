//! One certificate, from its lock to its next instant.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::plan::{
    Insistence, Plan, Standing, Why, approve, is_past, is_undeployed, left_out, lift_halt, plan,
    runway, wake,
};
use super::{Agent, Trouble};
use crate::config::cert::CertSettings;
use crate::model::ended::Ended;
use crate::model::event::{Event, Failing, Phase};
use crate::model::fault::in_full;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::time::Timestamp;
use crate::pipeline::{Cause, Task};
use crate::schedule::{Due, Exemption, backoff};
use crate::store::StoreError;
use crate::store::archive::Meta;
use crate::store::index::Wake;
use crate::store::journal::NextRenewal;
use crate::store::lock::Lock;
use crate::store::recover::LiveRecovery;

/// What is wanted of one certificate in this run.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) name: CertName,
    pub(crate) settings: CertSettings,
    /// The settings file to write once there is a certificate.
    pub(crate) new_settings: Option<String>,
    pub(crate) insistence: Insistence,
    pub(crate) agree_terms: bool,
    /// Whether an account may be created for it.
    pub(crate) may_register: bool,
}

/// What was done for one certificate, and where it stands.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) name: CertName,
    pub(crate) ended: Ended,
    pub(crate) why: Option<Why>,
    pub(crate) trouble: Option<Trouble>,
    /// Whether there were new settings that were not kept, because nothing came of them.
    pub(crate) unkept: bool,
    pub(crate) standing: Standing,
    /// Whether `standing` says how things are; not where the store cannot be read.
    pub(crate) is_readable: bool,
    pub(crate) phases: Vec<(Phase, Duration)>,
    pub(crate) ari_exempt: Option<Exemption>,
    /// The wanted names that what is live had to be issued without.
    pub(crate) left_out: Vec<Identifier>,
    /// Until when the settings want nothing deployed.
    pub(crate) frozen_until: Option<Timestamp>,
}

impl Done {
    pub(super) fn new(name: CertName, ended: Ended) -> Self {
        let (standing, phases) = (Standing::default(), Vec::new());
        let (why, trouble, ari_exempt) = (None, None, None);
        let (unkept, is_readable, left_out, frozen_until) = (false, true, Vec::new(), None);
        Self {
            name,
            ended,
            why,
            trouble,
            unkept,
            standing,
            is_readable,
            phases,
            ari_exempt,
            left_out,
            frozen_until,
        }
    }

    /// How many more attempts come before what is served expires, should all of them fail.
    pub(crate) fn attempts_left(&self, now: Timestamp) -> Option<u32> {
        let retry_at = self.standing.facts.last_failure.as_ref()?.retry_at.max(now);
        let runway = runway(&self.standing, retry_at);
        Some(backoff::attempts(self.standing.facts.failures, runway).saturating_add(1))
    }

    /// What nobody asked to be held back is told of until somebody has looked at it.
    pub(super) fn or_halted(self, standing: &Standing) -> Self {
        match standing.facts.halted {
            Some(since) if is_undeployed(standing) => {
                let trouble = Some(Trouble::Halted { since });
                Self { ended: Ended::NotDeployed, trouble, ..self }
            }
            _ => self,
        }
    }

    /// A certificate whose part ended before anything was looked at.
    pub(crate) fn failed(name: CertName, trouble: Trouble) -> Self {
        let ended = match &trouble {
            Trouble::Cause(Cause::Store(StoreError::Locked { .. })) => Ended::Locked,
            Trouble::Cause(Cause::Interrupted) => Ended::Retry,
            _ => Ended::Failed,
        };
        Self { trouble: Some(trouble), ..Self::new(name, ended) }
    }
}

impl Agent {
    /// Does for a certificate what is to be done now. Whatever happens is told in the result.
    pub(crate) async fn work(&self, wish: Wish) -> Done {
        let name = wish.name.clone();
        if *self.hands.stop.borrow() {
            return self.ended(self.refused(&name, Cause::Interrupted.into()));
        }
        let lock = match self.store().lock(&name) {
            Ok(lock) => lock,
            Err(error) => return self.ended(self.refused(&name, error.into())),
        };
        let done = match self.work_locked(&lock, wish).await {
            Ok(done) => done,
            Err(trouble) => self.refused(&name, trouble),
        };
        self.leave_no_trace(lock, &done);
        self.ended(done)
    }

    /// Tells how a certificate's part of the run ended; what goes back is what was given.
    pub(super) fn ended(&self, done: Done) -> Done {
        let failing = done.trouble.as_ref();
        let failing = failing.map(|it| Failing { kind: it.kind(), message: in_full(it) });
        let (name, ended) = (done.name.clone(), done.ended);
        self.hands.sink.note(Event::RunEnded { name, ended, failing });
        done
    }

    /// The same for one whose task died.
    pub(super) fn crashed(&self, name: CertName) -> Done {
        self.ended(Done::failed(name, Trouble::Crashed))
    }

    /// A first `issue` that failed for good leaves nothing behind: nobody wants the certificate yet.
    fn leave_no_trace(&self, lock: Lock, done: &Done) {
        if done.trouble.is_some() && self.is_nothing_yet(&done.name) {
            // What could not be removed is removed by the next attempt.
            let _ = self.store().forget(lock);
        }
    }

    /// Whether there certainly is nothing of a certificate that anybody could miss.
    ///
    /// Looked up anew: what could not be read may well be there.
    fn is_nothing_yet(&self, name: &CertName) -> bool {
        let layout = self.store().layout();
        let absent = |path: PathBuf| matches!(path.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound);
        let begun = self.store().state(name).map_or(true, |(facts, _)| facts.order.is_some());
        let held = self.store().generations(name).map_or(true, |held| !held.is_empty());
        absent(layout.settings(name)) && absent(layout.live(name)) && !begun && !held
    }

    /// A certificate that could not be worked on, with how it stands.
    pub(crate) fn refused(&self, name: &CertName, trouble: Trouble) -> Done {
        let done = Done::failed(name.clone(), trouble);
        match self.standing(name) {
            Ok(standing) => Done { standing, ..done },
            Err(_) => Done { is_readable: false, ..done },
        }
    }

    /// [`Self::work`] for the only certificate of a run, with the post hooks at its end.
    ///
    /// Must be called within a tokio runtime: a crash of the work ends no more than its task.
    pub(crate) async fn work_alone(self: &Arc<Self>, wish: Wish) -> Done {
        let (agent, name) = (Arc::clone(self), wish.name.clone());
        let task = tokio::spawn(async move { agent.work(wish).await });
        let done = task.await.unwrap_or_else(|_| self.crashed(name));
        self.after_all(&done.name).await;
        self.finish_leftovers().await;
        done
    }

    pub(super) async fn work_locked(&self, lock: &Lock, mut wish: Wish) -> Result<Done, Trouble> {
        let (mut standing, mut ask_at) = self.advised(lock, &wish).await?;
        let newest_before = standing.newest.as_ref().map(|(newest, _)| *newest);
        let mut done = match self.rollout_before(&wish, &standing)? {
            Some(mut before) => self.act(lock, &mut before, &mut standing).await?,
            None => self.act(lock, &mut wish, &mut standing).await?,
        };
        let goes_on = done.ended == Ended::Soaking;
        if goes_on && wish.new_settings.is_some() {
            (done.trouble, done.unkept) = (Some(Trouble::RollingOut), true);
        }
        if done.why == Some(Why::Interrupted) && done.trouble.is_none() && !goes_on {
            // That was left from before; what is wanted now comes after it.
            let next = self.act(lock, &mut wish, &mut standing).await?;
            done = if next.ended == Ended::NotDue { done } else { next };
        }
        if standing.newest.as_ref().map(|(newest, _)| *newest) != newest_before {
            ask_at = self.poll_ari(lock.name(), &mut standing, &wish.settings).await;
        }
        let kept = if done.unkept { self.settings(lock.name())? } else { None };
        let settings = kept.map_or(wish.settings, |(settings, _)| settings);
        let wake = self.settle(lock, &settings, &mut standing, ask_at);
        match wake.and_then(|wake| self.look_again(lock, wish.insistence, wake)) {
            // Of two failures the first is the one to tell.
            Err(trouble) if done.trouble.is_none() => return Err(trouble),
            _ => {}
        }
        done.left_out = left_out(&settings, &standing);
        let now = self.hands.clock.now();
        done.frozen_until = settings.rollout.freeze_until.filter(|until| now < *until);
        done.standing = standing;
        Ok(done)
    }

    /// The wish to go on with a rollout under the settings it was begun under, where there are others
    /// now that are not kept yet.
    fn rollout_before(&self, wish: &Wish, standing: &Standing) -> Result<Option<Wish>, Trouble> {
        if standing.facts.intent.is_none() || wish.new_settings.is_none() {
            return Ok(None);
        }
        let before = self.settings(&wish.name)?.map(|(settings, _)| Wish {
            name: wish.name.clone(),
            settings,
            new_settings: None,
            ..*wish
        });
        Ok(before)
    }

    /// How a certificate stands when the CA was asked for its advice, and when to ask it again.
    ///
    /// Recovery comes first, unless nothing but advice is due: that is so every few hours, on a
    /// cold disk, and reads no key and no chain. Where the advice is to act it comes after it.
    async fn advised(
        &self,
        lock: &Lock,
        wish: &Wish,
    ) -> Result<(Standing, Option<Timestamp>), Trouble> {
        let name = lock.name();
        let waiting = if wish.insistence.is_none() { self.waiting_for_advice(name) } else { None };
        let recovered = waiting.is_none();
        let mut standing = waiting.map_or_else(|| self.recovered(lock), Ok)?;
        let decide = |standing: &Standing| {
            let (now, seed) = (self.hands.clock.now(), self.seed(standing));
            plan(standing, &wish.settings, &seed, wish.insistence, now)
        };
        let mut bearings = Ok(false);
        if is_past(&standing, self.hands.clock.now()) {
            bearings = self.take_bearings(name, &standing, &wish.settings).await;
        }
        let mut ask_at = self.poll_ari(name, &mut standing, &wish.settings).await;
        let orders = matches!(decide(&standing), Plan::Do(Task::Order | Task::Stock, _));
        if orders && matches!(self.take_bearings(name, &standing, &wish.settings).await, Ok(true)) {
            // What was asked at the wrong time counts as not asked.
            ask_at = self.poll_ari(name, &mut standing, &wish.settings).await;
        }
        let plan = decide(&standing);
        match (&plan, bearings) {
            // By a time that is over for certain nothing ever becomes due.
            (Plan::Wait(_), Err(trouble)) => return Err(trouble),
            (_, Err(_)) => {}
            (_, Ok(_)) => self.note_time(&mut standing),
        }
        if !recovered && matches!(plan, Plan::Do(..)) {
            self.save(lock, &mut standing)?;
            standing = self.recovered(lock)?;
        }
        Ok((standing, ask_at))
    }

    /// Notes the CA's time where ours is wrong: a clock that is behind is known by it in the next run
    /// too, and what a clock that was ahead has noted is taken back.
    fn note_time(&self, standing: &mut Standing) {
        let now = self.hands.clock.now();
        if self.clock.is_wrong() || standing.facts.last_run.is_some_and(|ran| ran > now) {
            standing.facts.last_run = Some(now);
            standing.unsaved = true;
        }
    }

    /// Decides what comes next, and does it.
    async fn act(
        &self,
        lock: &Lock,
        wish: &mut Wish,
        standing: &mut Standing,
    ) -> Result<Done, Trouble> {
        if wish.insistence.force && standing.facts.halted.is_some() {
            lift_halt(standing);
        }
        if wish.insistence.approved {
            approve(standing);
        }
        let now = self.hands.clock.now();
        let seed = self.seed(standing);
        match plan(standing, &wish.settings, &seed, wish.insistence, now) {
            Plan::Do(task, why) => {
                self.save(lock, standing)?;
                let done = self.attempt(lock, wish, standing, task, why).await?;
                Ok(Done { why: Some(why), ..done })
            }
            Plan::Wait(due) => {
                self.keep_changed_settings(lock, wish)?;
                let blocked = matches!(due, Due::Blocked(..));
                let ended = if blocked { Ended::Retry } else { Ended::NotDue };
                let done = Done::new(lock.name().clone(), ended);
                Ok(if blocked { done } else { done.or_halted(standing) })
            }
        }
    }

    /// Finishes or undoes what a crash left, tells of it, and says how things stand then.
    pub(super) fn recovered(&self, lock: &Lock) -> Result<Standing, Trouble> {
        let recovery = self.store().recover(lock)?;
        if let Some(repaired) = &recovery.state_repaired {
            let text = format!("its state was rebuilt from archive and live: {}", repaired.why);
            self.hands.sink.note(Event::Noticed { name: lock.name().clone(), text });
        }
        let cut_off = recovery.unfinished.filter(|intent| intent.rollout.soak_until.is_none());
        if let Some(intent) = cut_off {
            let text = format!("going on with the interrupted switch to generation {}", intent.to);
            self.hands.sink.note(Event::Noticed { name: lock.name().clone(), text });
        }
        if recovery.swept > 0 {
            let text = format!("removed {} leftovers of an interrupted run", recovery.swept);
            self.hands.sink.note(Event::Measured { name: lock.name().clone(), text });
        }
        let mut facts = recovery.state;
        let text = match &recovery.live {
            LiveRecovery::Mended { to, why } => {
                self.tell_mended(lock.name(), *to);
                format!("live was mended to generation {to}: {why}")
            }
            LiveRecovery::Lost { why } => {
                // Nothing that is left can be served: another one is ordered.
                facts.bad.extend(self.store().generations(lock.name())?);
                self.store().save_state(lock, &facts)?;
                format!("no good generation is left: {why}")
            }
            LiveRecovery::Absent | LiveRecovery::Intact(_) => String::new(),
        };
        if !text.is_empty() {
            self.hands.sink.note(Event::Noticed { name: lock.name().clone(), text });
        }
        self.standing_with(lock.name(), facts, recovery.live.generation())
    }

    /// Tells what is live again; from what is not known any more.
    fn tell_mended(&self, name: &CertName, to: Generation) {
        if let Ok(Meta { fingerprint, .. }) = self.store().meta(name, to) {
            let (name, from) = (name.clone(), None);
            self.hands.sink.note(Event::Switched { name, from, to, fingerprint });
        }
    }

    /// Plans the next renewal and saves the facts. Returns when to look again, for the index.
    pub(super) fn settle(
        &self,
        lock: &Lock,
        settings: &CertSettings,
        standing: &mut Standing,
        ask_at: Option<Timestamp>,
    ) -> Result<Wake, Trouble> {
        let now = self.hands.clock.now();
        let seed = self.seed(standing);
        let next = match plan(standing, settings, &seed, Insistence::default(), now) {
            Plan::Do(_, Why::Due(reason)) => Some((now, reason)),
            Plan::Do(..) => None,
            Plan::Wait(due) => {
                let (Due::At(at, reason) | Due::Blocked(at, reason)) = due else {
                    unreachable!("what is due now is not waited for")
                };
                Some((at, reason))
            }
        };
        let next = next.map(|(at, reason)| NextRenewal {
            at,
            source: reason.source().to_owned(),
            reason: reason.to_string(),
        });
        if standing.facts.next_renewal != next {
            standing.facts.next_renewal = next;
            standing.unsaved = true;
        }
        self.save(lock, standing)?;
        let wake = wake(standing, settings, &seed, ask_at, now);
        // By the CA's time or by what this host shows then: the clock may be set right meanwhile, and
        // a look too early costs little.
        Ok(Wake { at: wake.at.map(|at| at.min(self.clock.shown(at))), ..wake })
    }

    /// Tells the index when to look again; a pass does it for all it looked at when it ends.
    fn look_again(&self, lock: &Lock, insistence: Insistence, wake: Wake) -> Result<(), Trouble> {
        if insistence.is_none() {
            self.looked_at.note(lock.name(), wake);
            return Ok(());
        }
        Ok(self.store().update_index(lock.name(), wake)?)
    }

    /// Saves the facts if there is anything new in them: every save waits for the disk twice.
    fn save(&self, lock: &Lock, standing: &mut Standing) -> Result<(), Trouble> {
        if standing.unsaved {
            self.store().save_state(lock, &standing.facts)?;
            standing.unsaved = false;
        }
        Ok(())
    }

    /// Settings that need no new certificate are kept at once.
    fn keep_changed_settings(&self, lock: &Lock, wish: &mut Wish) -> Result<(), Trouble> {
        if let Some(text) = wish.new_settings.take() {
            self.store().write_settings(lock, text.as_bytes())?;
        }
        Ok(())
    }
}
