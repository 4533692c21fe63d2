//! The states of a run and the only ways from one to the next. Pure.
//!
//! ```text
//!                                                     ┌── the next step ──┐
//! Precheck ─> Acquire ─> Validate ─> Snapshot ─> Deploy ─> Verify ─> Soak ─> Done(Renewed)
//!    │           │           │           │          └─────────┴────────┼─> Done(Paused)
//!    └───────────┴───────────┴───────────┤                             └─> RollBack ─> Done(RolledBack)
//!                                        └─> Done(Untouched)                   └─> Done(NeedsOperator)
//! ```
//! Each state has private fields and no constructor but the transition before it: a [`Deploy`] can
//! only come from a taken snapshot, so "deployed without a way back" does not compile. The one
//! exception is a run that takes up what an earlier one journaled, where that came from such a state.

use crate::model::generation::{Generation, SnapshotId};

/// How a run ends.
#[derive(Debug)]
pub(crate) enum Outcome<C> {
    /// The generation is live and its targets took it.
    Renewed(Generation),
    /// The generation lies in the archive and waits: what is live is pinned.
    Stocked,
    /// Nothing that was in service was touched.
    Untouched(C),
    /// What was reached is watched; a later run goes on from there.
    Paused,
    /// It is tried again: a target refused the generation before the switch, or it is live, being the
    /// first, and a target did not take it.
    NotDeployed(Generation, C),
    /// It failed after the switch; the earlier generation is live again.
    RolledBack(Generation, C),
    /// It failed after the switch, and going back failed too.
    NeedsOperator(Generation, C),
}

/// Where a run stands. `C` is the cause of a failure, opaque to the machine.
#[derive(Debug)]
pub(crate) enum State<C> {
    Precheck(Precheck),
    Acquire(Acquire),
    Validate(Validate),
    Snapshot(Snapshot),
    Deploy(Deploy),
    Verify(Verify),
    Soak(Soak),
    RollBack(RollBack<C>),
    Done(Outcome<C>),
}

/// Nothing has been asked of anybody yet.
#[derive(Debug)]
pub(crate) struct Precheck(());

/// A certificate is to be got from the CA.
#[derive(Debug)]
pub(crate) struct Acquire(());

/// A generation lies in the archive, unjudged.
#[derive(Debug)]
pub(crate) struct Validate {
    generation: Generation,
}

/// A generation may go live once there is a way back.
#[derive(Debug)]
pub(crate) struct Snapshot {
    generation: Generation,
}

/// Where a rollout stands: which of its steps, counted from 0, of how many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Progress {
    pub(crate) step: usize,
    pub(crate) steps: usize,
}

impl Progress {
    pub(crate) fn is_first(self) -> bool {
        self.step == 0
    }

    pub(crate) fn is_last(self) -> bool {
        self.step + 1 >= self.steps
    }
}

/// There is a way back: switch, and put one step of the rollout to use.
#[derive(Debug)]
pub(crate) struct Deploy {
    generation: Generation,
    snapshot: SnapshotId,
    previous: Option<Generation>,
    progress: Progress,
}

/// Live and put to use as far as this step goes; to be looked at.
#[derive(Debug)]
pub(crate) struct Verify {
    deployed: Deploy,
}

/// Seen to be good; to be seen so for a while.
#[derive(Debug)]
pub(crate) struct Soak {
    deployed: Deploy,
}

/// To be undone.
#[derive(Debug)]
pub(crate) struct RollBack<C> {
    generation: Generation,
    previous: Generation,
    cause: C,
}

impl<C> State<C> {
    pub(crate) fn start() -> Self {
        Self::Precheck(Precheck(()))
    }

    /// A failure before anything in service was touched.
    pub(crate) fn untouched(cause: C) -> Self {
        Self::Done(Outcome::Untouched(cause))
    }
}

impl Precheck {
    pub(crate) fn passed<C>(self) -> State<C> {
        State::Acquire(Acquire(()))
    }

    /// The archive already holds a generation that was never put to use, or is to be put to use again.
    pub(crate) fn held<C>(self, generation: Generation) -> State<C> {
        State::Validate(Validate { generation })
    }

    /// An earlier run took `snapshot` and was cut off in that step of its rollout.
    pub(crate) fn interrupted<C>(
        self,
        generation: Generation,
        snapshot: SnapshotId,
        previous: Option<Generation>,
        progress: Progress,
    ) -> State<C> {
        State::Deploy(Deploy { generation, snapshot, previous, progress })
    }

    /// An earlier run had seen that step to be good, and left it to soak.
    pub(crate) fn soaking<C>(
        self,
        generation: Generation,
        snapshot: SnapshotId,
        previous: Option<Generation>,
        progress: Progress,
    ) -> State<C> {
        let deployed = Deploy { generation, snapshot, previous, progress };
        State::Soak(Soak { deployed })
    }

    /// An earlier run was cut off on its way back, for that cause.
    pub(crate) fn turned_back<C>(
        self,
        generation: Generation,
        previous: Generation,
        cause: C,
    ) -> State<C> {
        State::RollBack(RollBack { generation, previous, cause })
    }
}

impl Acquire {
    pub(crate) fn archived<C>(self, generation: Generation) -> State<C> {
        State::Validate(Validate { generation })
    }
}

impl Validate {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Verified, but not to go live now.
    pub(crate) fn kept<C>(self) -> State<C> {
        State::Done(Outcome::Stocked)
    }

    pub(crate) fn verified<C>(self) -> State<C> {
        State::Snapshot(Snapshot { generation: self.generation })
    }
}

impl Snapshot {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// A target cannot take it as things are: what is live stays.
    pub(crate) fn refused<C>(self, cause: C) -> State<C> {
        State::Done(Outcome::NotDeployed(self.generation, cause))
    }

    pub(crate) fn taken<C>(
        self,
        snapshot: SnapshotId,
        previous: Option<Generation>,
        steps: usize,
    ) -> State<C> {
        let progress = Progress { step: 0, steps };
        State::Deploy(Deploy { generation: self.generation, snapshot, previous, progress })
    }
}

impl Deploy {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn snapshot(&self) -> &SnapshotId {
        &self.snapshot
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    pub(crate) fn activated<C>(self) -> State<C> {
        State::Verify(Verify { deployed: self })
    }

    /// What a failure goes back to, if there is anything.
    pub(crate) fn way_back(&self) -> Option<Generation> {
        self.previous.filter(|previous| *previous != self.generation)
    }

    /// Goes back where there is something to go back to; a first generation stays.
    pub(crate) fn failed<C>(self, cause: C) -> State<C> {
        let generation = self.generation;
        match self.way_back() {
            Some(previous) => State::RollBack(RollBack { generation, previous, cause }),
            None => State::Done(Outcome::NotDeployed(generation, cause)),
        }
    }
}

impl Verify {
    pub(crate) fn deployed(&self) -> &Deploy {
        &self.deployed
    }

    pub(crate) fn seen<C>(self) -> State<C> {
        State::Soak(Soak { deployed: self.deployed })
    }

    pub(crate) fn failed<C>(self, cause: C) -> State<C> {
        self.deployed.failed(cause)
    }
}

impl Soak {
    pub(crate) fn deployed(&self) -> &Deploy {
        &self.deployed
    }

    /// Goes on with the next step, if there is one.
    pub(crate) fn passed<C>(self) -> State<C> {
        let Deploy { generation, progress, .. } = self.deployed;
        if progress.is_last() {
            return State::Done(Outcome::Renewed(generation));
        }
        let progress = Progress { step: progress.step + 1, ..progress };
        State::Deploy(Deploy { progress, ..self.deployed })
    }

    /// Leaves it to a later run to go on.
    pub(crate) fn left<C>(self) -> State<C> {
        State::Done(Outcome::Paused)
    }

    pub(crate) fn failed<C>(self, cause: C) -> State<C> {
        self.deployed.failed(cause)
    }
}

impl<C> RollBack<C> {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn previous(&self) -> Generation {
        self.previous
    }

    pub(crate) fn cause(&self) -> &C {
        &self.cause
    }

    pub(crate) fn restored(self) -> State<C> {
        State::Done(Outcome::RolledBack(self.generation, self.cause))
    }

    /// `cause` now also says why going back failed, or was no way out.
    pub(crate) fn stuck(self, explain: impl FnOnce(C) -> C) -> State<C> {
        State::Done(Outcome::NeedsOperator(self.generation, explain(self.cause)))
    }
}
