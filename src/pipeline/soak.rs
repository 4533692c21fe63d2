//! Watching what was found good, before more follows.

use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Run};
use crate::deploy::{Delivery, Target};
use crate::model::event::Event;
use crate::model::generation::Generation;
use crate::model::time::Timestamp;
use crate::model::traffic::Traffic;
use crate::pipeline::machine::{Soak, State};
use crate::probe::judge::traffic::{Thresholds, TrafficVerdict, judge_traffic};
use crate::schedule::rollout::Step;

/// Longer soaks are left to the next run: the timer is the clock.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what a server counts.
const PAUSE: Duration = Duration::from_millis(250);

/// What came of watching.
enum Watched {
    Good,
    /// It goes on in another run.
    Later,
}

impl Run<'_> {
    pub(super) async fn soak(&mut self, at: Soak) -> State<Cause> {
        // Others may deploy meanwhile.
        self.turn = None;
        let watched = match self.watch_over(&at).await {
            Ok(Watched::Good) if at.deployed().progress().is_last() => {
                self.confirm().map(|()| Watched::Good)
            }
            watched => watched,
        };
        match watched {
            Ok(Watched::Good) => at.passed(),
            Ok(Watched::Later) => at.left(),
            Err(cause) => at.failed(cause),
        }
    }

    fn confirm(&mut self) -> Result<(), Cause> {
        self.hands.store.confirm(self.lock)?;
        self.reload_facts()
    }

    async fn watch_over(&mut self, at: &Soak) -> Result<Watched, Cause> {
        let deployed = at.deployed();
        let step = self.step(deployed.progress())?;
        let deadline = self.rollout.deadline.unwrap_or_else(|| self.hands.clock.now());
        if !step.soak.is_zero() {
            let until = self.soak_until(&step, deadline)?;
            let watched = self.wait_and_watch(&step, deployed.generation(), until).await?;
            // What others just did to the servers must not be taken for this one's doing.
            self.take_turn().await;
            self.look_again(deployed).await?;
            if let Watched::Later = watched {
                return Ok(watched);
            }
        }
        let now = self.hands.clock.now();
        if step.approve && !self.rollout.approved && now < deadline {
            self.journal(|rollout| rollout.soak_until = rollout.soak_until.or(Some(now)))?;
            self.notice(format!(
                "it waits to be approved: `acmeagent renew {} --approve`; at {deadline} it goes on by itself",
                self.name
            ));
            return Ok(Watched::Later);
        }
        Ok(Watched::Good)
    }

    /// Until when the step is watched, journaled when that begins.
    fn soak_until(&mut self, step: &Step, deadline: Timestamp) -> Result<Timestamp, Cause> {
        if let Some(until) = self.rollout.soak_until {
            return Ok(until.min(deadline));
        }
        let until = self.hands.clock.now().plus(step.soak).min(deadline);
        self.journal(|rollout| rollout.soak_until = Some(until))?;
        Ok(until)
    }

    /// Watches until then, or until the clients have shown that nothing is wrong.
    async fn wait_and_watch(
        &mut self,
        step: &Step,
        generation: Generation,
        until: Timestamp,
    ) -> Result<Watched, Cause> {
        let delivery = self.delivery(generation)?;
        let splits = |target: &&Arc<dyn Target>| {
            target.splits() && step.targets.iter().any(|label| label == target.label())
        };
        // No hook counts its clients.
        let targets: Vec<_> = self.wanted.targets.iter().filter(splits).cloned().collect();
        let mut counted = None;
        let watched = self.watch(step, &targets, &delivery, until, &mut counted).await;
        if let Some(traffic) = counted {
            self.note(Event::Counted { name: self.name.clone(), traffic });
        }
        watched
    }

    /// The same, with what the servers counted when they were asked last.
    async fn watch(
        &self,
        step: &Step,
        targets: &[Arc<dyn Target>],
        delivery: &Delivery,
        until: Timestamp,
        counted: &mut Option<Traffic>,
    ) -> Result<Watched, Cause> {
        let patient_until = self.hands.clock.now().plus(PATIENCE);
        loop {
            let over = self.hands.clock.now() >= until;
            match self.ask_clients(targets, delivery, counted).await {
                Ok(Clients::Content) if !step.is_whole() => return Ok(Watched::Good),
                Ok(Clients::TooFew(told)) if over && !step.is_whole() => {
                    self.notice(format!("going on although only {told}"));
                    return Ok(Watched::Good);
                }
                Ok(_) if over => return Ok(Watched::Good),
                // It may be on its way up again; what its clients see is looked at besides.
                Err(Cause::Target(_)) if !over => {}
                Err(cause) => return Err(cause),
                Ok(_) => {}
            }
            if until > patient_until || *self.hands.stop.borrow() {
                return Ok(Watched::Later);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What the servers counted of their clients' handshakes with the new certificate.
    async fn ask_clients(
        &self,
        targets: &[Arc<dyn Target>],
        delivery: &Delivery,
        counted: &mut Option<Traffic>,
    ) -> Result<Clients, Cause> {
        let (mut told, mut all) = (Clients::Content, Traffic::default());
        for target in targets {
            let Some(traffic) = target.traffic(delivery).await? else {
                told = Clients::TooFew(format!("{} counts no handshakes", target.label()));
                continue;
            };
            all = all.and(traffic);
            *counted = Some(all);
            let thresholds = self.thresholds(target.label());
            match judge_traffic(&traffic.old, &traffic.new, &thresholds) {
                TrafficVerdict::Good { .. } => {}
                TrafficVerdict::Bad { why, condemns } => {
                    let target = target.label().to_owned();
                    return Err(Cause::Clients { target, why, condemns });
                }
                TrafficVerdict::Inconclusive { seen, wanted } => {
                    let label = target.label();
                    told = Clients::TooFew(format!(
                        "{seen} of the {wanted} handshakes were seen that {label} was to be judged by"
                    ));
                }
            }
        }
        Ok(told)
    }

    /// By what a target's clients are judged in this step. What it counts goes on from step to step,
    /// and each is to be judged by clients of its own.
    fn thresholds(&self, label: &str) -> Thresholds {
        let begun = self.rollout.steps.iter().take(self.rollout.at + 1);
        let shares =
            begun.filter(|step| !step.is_whole() && step.targets.iter().any(|t| t == label));
        let thresholds = self.wanted.verification.thresholds;
        Thresholds { sample: thresholds.sample * shares.count().max(1) as u64, ..thresholds }
    }
}

/// What the clients of a canary have shown so far.
enum Clients {
    Content,
    /// Too few to be sure; says how few.
    TooFew(String),
}
