//! The way back: the earlier generation live again, its targets told, and seen to serve it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Cause, Run};
use crate::deploy::{Delivery, Target};
use crate::model::generation::Generation;
use crate::pipeline::machine::{RollBack, State};

/// No server that hangs may keep the others longer.
const RECALL: Duration = Duration::from_millis(100);

impl Run<'_> {
    pub(super) async fn roll_back(&mut self, at: RollBack<Cause>) -> State<Cause> {
        match self.go_back(&at).await {
            Ok(()) => at.restored(),
            Err(rollback) => at.stuck(|cause| Cause::Stuck {
                cause: Box::new(cause),
                rollback: Box::new(rollback),
            }),
        }
    }

    async fn go_back(&mut self, at: &RollBack<Cause>) -> Result<(), Cause> {
        let previous = at.previous();
        if let Err(no_way) = self.is_better(previous) {
            // Bad as the new one may be, nobody gains by an expired or revoked one.
            if at.cause().condemns() {
                self.facts.bad.insert(at.generation());
                self.save_facts()?;
            }
            self.hands.store.confirm(self.lock)?;
            self.reload_facts()?;
            return Err(no_way);
        }
        let (why, condemned) = (at.cause().to_string(), at.cause().condemns());
        // Who is to be told may be unknown by now; what is live goes back all the same.
        let audience = self.audience(previous);
        if let Ok((targets, delivery)) = &audience {
            recall(targets, delivery).await;
        }
        let before = self.live_now();
        self.hands.store.turn_back(self.lock, &why, condemned)?;
        self.tell_switch(before, previous);
        let restored = match audience {
            Ok((targets, delivery)) => self.restore(&targets, &delivery).await,
            Err(cause) => Err(cause),
        };
        self.hands.store.went_back(self.lock)?;
        self.reload_facts()?;
        restored
    }

    /// Whether there is anything to be gained by going back to that generation: it must still be
    /// whole, too.
    pub(super) fn is_better(&self, previous: Generation) -> Result<(), Cause> {
        let meta = self.hands.store.read(self.name, previous)?.meta;
        let expired = meta.validity.not_after <= self.hands.clock.now();
        let why = match (self.facts.bad.contains(&previous), expired) {
            (true, _) => "is revoked or was found bad".to_owned(),
            (false, true) => format!("expired at {}", meta.validity.not_after),
            (false, false) => return Ok(()),
        };
        Err(Cause::NoWayBack { generation: previous, why })
    }

    /// The targets that were told of the new generation, in that order, and what they get instead.
    fn audience(&self, previous: Generation) -> Result<(Vec<Arc<dyn Target>>, Delivery), Cause> {
        let (all, delivery) = (self.targets()?, self.delivery(previous)?);
        let mut targets = Vec::new();
        for label in &self.touched {
            match all.iter().find(|target| target.label() == label) {
                Some(target) => targets.push(Arc::clone(target)),
                None => self.notice_stranger(label),
            }
        }
        Ok((targets, delivery))
    }

    /// Tells the targets, the last of them first. All of them, even if one fails: the first failure
    /// is what counts, unless clients are seen to be back all the same.
    async fn restore(&self, targets: &[Arc<dyn Target>], delivery: &Delivery) -> Result<(), Cause> {
        let mut first_failure: Result<(), Cause> = Ok(());
        for target in targets.iter().rev() {
            match target.restore(delivery).await {
                Ok(told) => self.pass_on(told),
                Err(error) => first_failure = first_failure.and(Err(error.into())),
            }
        }
        match (self.see_again(targets, delivery).await, first_failure) {
            (Ok(places), Err(error)) if places > 0 => {
                let generation = delivery.generation;
                self.notice(format!("clients see generation {generation} again, although {error}"));
                Ok(())
            }
            (seen, told) => told.and(seen.map(drop)),
        }
    }
}

/// Lets servers that remember the earlier certificate serve it before the disk has caught up, which
/// may take its time. Cut off here, the next run finds a switch to finish or to undo.
async fn recall(targets: &[Arc<dyn Target>], delivery: &Delivery) {
    let recalls = targets.iter().map(|target| target.recall(delivery));
    // Who has not answered by then is told once more, by `restore`.
    let _ = timeout(RECALL, join_all(recalls)).await;
}
