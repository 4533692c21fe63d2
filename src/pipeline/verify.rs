//! Is the new certificate what clients see?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Run, Task};
use crate::certificate::{Chain, Fingerprint};
use crate::deploy::{Delivery, Target};
use crate::model::endpoint::Endpoint;
use crate::model::event::{Event, Sighting};
use crate::model::generation::Generation;
use crate::pipeline::machine::{Deploy, Progress, State, Verify};
use crate::probe::cells::{Cell, NoCell, cells};
use crate::probe::judge::cell::{CellVerdict, Seen, judge_cell, settled};
use crate::probe::judge::flaws::{Expected, Flaw};
use crate::probe::judge::traffic::Thresholds;
use crate::probe::look::{LookError, Sight, look_all};
use crate::probe::revocation::Revocation;

/// How it is judged whether a certificate is served as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Verification {
    /// Where clients meet the servers; empty for what the targets' own configuration says.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The same of single targets, by their labels.
    pub(crate) of_targets: BTreeMap<String, Vec<Endpoint>>,
    /// So many looks at one place.
    pub(crate) attempts: usize,
    /// So many of them must agree.
    pub(crate) needed: usize,
    /// How long a server may take until it shows the new certificate.
    pub(crate) within: Duration,
    pub(crate) thresholds: Thresholds,
}

impl Verification {
    /// Where to look for what these targets serve, and at what the operator named for all of them if
    /// `with_own`; besides, what cannot be looked at.
    pub(crate) async fn places(
        &self,
        targets: &[Arc<dyn Target>],
        delivery: &Delivery,
        with_own: bool,
    ) -> (Vec<Cell>, Vec<NoCell>) {
        let mut endpoints = Vec::new();
        for target in targets {
            match self.of_targets.get(target.label()) {
                Some(own) => endpoints.extend(own.iter().cloned()),
                None if self.endpoints.is_empty() => {
                    endpoints.extend(target.endpoints(delivery).await);
                }
                None => {}
            }
        }
        if with_own {
            endpoints.extend(self.endpoints.iter().cloned());
        }
        cells(&endpoints, &delivery.identifiers, LOOK).await
    }
}

/// One look may take so long.
const LOOK: Duration = Duration::from_secs(3);
/// So many at once.
const PARALLEL: usize = 16;
/// Between two looks at the same place.
const PAUSE: Duration = Duration::from_millis(25);
/// Where nobody answers any more, it is not waited for longer than this.
const DOWN: Duration = Duration::from_secs(3);
/// So many places are named in a message.
const NAMED: usize = 5;

/// What is wanted of the places that are looked at.
struct Wish<'a> {
    before: &'a BTreeMap<String, String>,
    old: Option<Fingerprint>,
    new: Fingerprint,
    within: Duration,
}

impl Run<'_> {
    pub(super) async fn verify(&mut self, at: Verify) -> State<Cause> {
        match self.is_seen(at.deployed()).await {
            Ok(()) => at.seen(),
            Err(cause) => at.failed(cause),
        }
    }

    /// Looks until the step is seen to be good. A server that took the reload and goes on as before
    /// is told once more.
    async fn is_seen(&mut self, deployed: &Deploy) -> Result<(), Cause> {
        let generation = deployed.generation();
        if self.hands.store.live(self.name)? != Some(generation) {
            return Err(Cause::NotLive { generation });
        }
        match self.look_again(deployed).await {
            Err(Cause::Unseen { condemns: false, .. }) => {}
            seen => return seen,
        }
        self.activate(deployed).await?;
        self.look_again(deployed).await
    }

    /// Looks at everything that serves the new certificate to all of its clients by now.
    pub(super) async fn look_again(&self, deployed: &Deploy) -> Result<(), Cause> {
        let (generation, progress) = (deployed.generation(), deployed.progress());
        let (targets, delivery) = (self.targets()?, self.delivery(generation)?);
        let whole = self.served_wholly(progress);
        let whole = targets.into_iter().filter(|target| whole.contains(target.label())).collect();
        let places = self.places(whole, &delivery, progress.is_last()).await;
        let wish = Wish {
            before: &self.rollout.before,
            old: self.old_fingerprint(generation)?,
            new: delivery.fingerprint,
            within: self.wanted.verification.within / 2,
        };
        let asks_ca = progress.is_last() && !places.is_empty();
        let seen = self.see(places, &wish, generation);
        // Whichever fails first decides: the way back waits for no CA.
        let (tolerated, ()) = tokio::try_join!(seen, self.is_not_revoked(generation, asks_ca))?;
        if progress.is_last() {
            for text in tolerated {
                self.notice(text);
            }
        }
        Ok(())
    }

    /// Asks the CA's own list, if it is to be asked. That it does not come is no obstacle.
    async fn is_not_revoked(&self, generation: Generation, asks_ca: bool) -> Result<(), Cause> {
        // What the operator insists on may be revoked as well.
        if !asks_ca || matches!(self.task, Task::DeployExpired(_)) {
            return Ok(());
        }
        let chain = Chain::parse(&self.hands.store.read(self.name, generation)?.fullchain)?;
        let revocation = self.hands.revocation(&chain).await;
        let (name, state) = (self.name.clone(), revocation.as_str());
        self.note(Event::RevocationSeen { name, state });
        match revocation {
            Revocation::Revoked { at, .. } => Err(Cause::Revoked { generation, at }),
            Revocation::Good | Revocation::Unknown(_) => Ok(()),
        }
    }

    /// Sees that these targets serve the earlier certificate again wherever it was. Returns in how many
    /// places.
    pub(super) async fn see_again(
        &self,
        targets: &[Arc<dyn Target>],
        delivery: &Delivery,
    ) -> Result<usize, Cause> {
        let mut places = self.places(targets.to_vec(), delivery, true).await;
        let before = &self.rollout.before;
        places.retain(|cell| match known(before, cell) {
            Some((Seen::Serves { fingerprint, .. }, _)) => fingerprint == delivery.fingerprint,
            _ => false,
        });
        let within = self.wanted.verification.within / 2;
        let wish = Wish { before, old: None, new: delivery.fingerprint, within };
        let count = places.len();
        self.see(places, &wish, delivery.generation).await.map(|_| count)
    }

    /// What clients see before anything is changed, by where they look.
    pub(super) async fn baseline(
        &mut self,
        targets: &[Arc<dyn Target>],
        delivery: &Delivery,
    ) -> BTreeMap<String, String> {
        let places = self.places(targets.to_vec(), delivery, true).await;
        let sights = look_all(&places, LOOK, PARALLEL).await;
        let timed = places.iter().zip(&sights);
        let timed = timed.filter_map(|(cell, sight)| Some((cell.clone(), time_of(sight)?)));
        self.took_before = timed.collect();
        let seen = places.iter().zip(sights).map(|(cell, sight)| {
            let (seen, trusted) = self.at_first_sight(cell, sight);
            let trust = if trusted { TRUSTED } else { PRIVATE };
            (cell.to_string(), format!("{trust} {seen}"))
        });
        seen.collect()
    }

    /// A sight before the switch, and whether its chain leads to a root of the system: if so, what
    /// comes after it must do so too.
    fn at_first_sight(&self, cell: &Cell, sight: Result<Sight, LookError>) -> (Seen, bool) {
        let again = sight.as_ref().ok().cloned();
        let untrusted = |flaw: &Flaw| matches!(flaw, Flaw::Chain | Flaw::Short);
        match (self.to_seen(cell, sight, true), again) {
            (Seen::Serves { flaws, .. }, Some(sight)) if flaws.keys().any(untrusted) => {
                (self.to_seen(cell, Ok(sight), false), false)
            }
            (down @ Seen::Down(_), _) => (down, false),
            (strict, _) => (strict, true),
        }
    }

    fn to_seen(&self, cell: &Cell, sight: Result<Sight, LookError>, strict: bool) -> Seen {
        let roots = strict.then(|| self.hands.system_roots());
        let now = self.hands.clock.now();
        Seen::of(sight, &Expected { name: &cell.name, roots, now })
    }

    async fn places(
        &self,
        targets: Vec<Arc<dyn Target>>,
        delivery: &Delivery,
        with_own: bool,
    ) -> Vec<Cell> {
        let verification = &self.wanted.verification;
        let (places, lacking) = verification.places(&targets, delivery, with_own).await;
        for why in lacking {
            self.notice(format!("cannot be looked at: {why}"));
        }
        places
    }

    /// The targets that serve the new certificate to all, after that step.
    fn served_wholly(&self, progress: Progress) -> BTreeSet<String> {
        let done = self.rollout.steps.iter().take(progress.step + 1);
        done.filter(|step| step.is_whole()).flat_map(|step| step.targets.iter().cloned()).collect()
    }

    fn old_fingerprint(&self, new: Generation) -> Result<Option<Fingerprint>, Cause> {
        let from = self.facts.intent.as_ref().and_then(|intent| intent.from);
        let from = from.filter(|from| *from != new);
        Ok(from.map(|from| self.delivery(from)).transpose()?.map(|old| old.fingerprint))
    }

    /// Looks until every place is settled, or it took too long. Returns what is not as it should be,
    /// and was not before.
    async fn see(
        &self,
        places: Vec<Cell>,
        wish: &Wish<'_>,
        generation: Generation,
    ) -> Result<Vec<String>, Cause> {
        let begun = self.hands.clock.monotonic();
        let mut pending: Vec<(Cell, Vec<Seen>)> =
            places.into_iter().map(|cell| (cell, Vec::new())).collect();
        let mut tolerated = Vec::new();
        loop {
            let cells: Vec<Cell> = pending.iter().map(|(cell, _)| cell.clone()).collect();
            let sights = look_all(&cells, LOOK, PARALLEL).await;
            let sights = cells.iter().zip(sights).map(|(cell, sight)| {
                let strict = known(wish.before, cell).is_some_and(|(_, strict)| strict);
                let took = time_of(&sight);
                (self.to_seen(cell, sight, strict), took)
            });
            let took = self.hands.clock.monotonic().saturating_sub(begun);
            let (mut waiting, mut bad) = (Vec::new(), Vec::new());
            for ((cell, mut looks), (sight, shook)) in pending.into_iter().zip(sights) {
                looks.push(sight);
                let judged = self.judge_place(&cell, looks, wish, took);
                self.tell_seen(&cell, generation, &judged, shook);
                match judged {
                    Judged::Good => {}
                    Judged::Tolerated(why) => tolerated.push(format!("{cell}: {why}")),
                    Judged::Waits(looks) => waiting.push((cell, looks)),
                    Judged::Bad { why, condemns } => bad.push((format!("{cell}: {why}"), condemns)),
                }
            }
            if !bad.is_empty() {
                return Err(unseen(generation, bad));
            }
            if waiting.is_empty() {
                return Ok(tolerated);
            }
            pending = waiting;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells what came of looking at a place, once it is settled.
    fn tell_seen(
        &self,
        cell: &Cell,
        generation: Generation,
        judged: &Judged,
        took: Option<Duration>,
    ) {
        let problem = match judged {
            Judged::Good => None,
            Judged::Tolerated(why) | Judged::Bad { why, .. } => Some(why.clone()),
            Judged::Waits(_) => return,
        };
        let (place, took_before) = (cell.place(), self.took_before.get(cell).copied());
        let sighting = Sighting { place, serves: problem.is_none(), problem, took, took_before };
        self.note(Event::Seen { name: self.name.clone(), generation, sighting });
    }

    /// What to think of a place by all looks at it so far. What is not right yet is given time,
    /// unless no time could mend it.
    fn judge_place(
        &self,
        cell: &Cell,
        looks: Vec<Seen>,
        wish: &Wish<'_>,
        took: Duration,
    ) -> Judged {
        let verification = &self.wanted.verification;
        let Some(seen) = settled(&looks, verification.needed, verification.attempts) else {
            return Judged::Waits(looks);
        };
        let before = known(wish.before, cell).map(|(before, _)| before);
        match judge_cell(before.as_ref(), &seen, wish.old, wish.new) {
            CellVerdict::Good => Judged::Good,
            CellVerdict::Tolerated(why) => Judged::Tolerated(why),
            CellVerdict::Bad { why, condemns } => {
                let patience = match seen {
                    _ if condemns => Duration::ZERO,
                    Seen::Down(_) => wish.within.min(DOWN),
                    Seen::Serves { .. } => wish.within,
                };
                match took >= patience {
                    true => Judged::Bad { why, condemns },
                    false => Judged::Waits(Vec::new()),
                }
            }
        }
    }
}

/// How a place stands while it is looked at.
enum Judged {
    Good,
    Tolerated(String),
    /// To be looked at again; with the looks that still count.
    Waits(Vec<Seen>),
    Bad {
        why: String,
        condemns: bool,
    },
}

/// How long the handshake took.
fn time_of(sight: &Result<Sight, LookError>) -> Option<Duration> {
    sight.as_ref().ok().map(|sight| sight.took)
}

const TRUSTED: &str = "trusted";
const PRIVATE: &str = "private";

/// What a place showed before the switch, and whether its chain led to a root of the system.
fn known(before: &BTreeMap<String, String>, cell: &Cell) -> Option<(Seen, bool)> {
    let (trust, seen) = before.get(&cell.to_string())?.split_once(' ')?;
    Some((Seen::parse(seen)?, trust == TRUSTED))
}

fn unseen(generation: Generation, bad: Vec<(String, bool)>) -> Cause {
    let condemns = bad.iter().any(|(_, condemns)| *condemns);
    let left_out = bad.len().saturating_sub(NAMED);
    let mut named: Vec<String> = bad.into_iter().take(NAMED).map(|(text, _)| text).collect();
    if left_out > 0 {
        named.push(format!("and {left_out} more"));
    }
    Cause::Unseen { generation, places: named.join("; "), condemns }
}
