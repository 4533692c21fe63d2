//! The states of a run and the only ways from one to the next. Pure.
//!
//! ```text
//! Precheck ─> Acquire ─> Validate ─> Snapshot ─> Deploy ─> Verify ─> Done(Renewed)
//!    │           │           │           │          └────────┴─> RollBack ─> Done(RolledBack)
//!    └───────────┴───────────┴───────────┴─> Done(Untouched)        └─> Done(NeedsOperator)
//! ```
//! Each state has private fields and no constructor but the transition before it: a [`Deploy`] can
//! only come from a taken snapshot, so "deployed without a way back" does not compile.

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
    /// The generation is live, being the first, but a target did not take it; it is tried again.
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

/// There is a way back: switch, and put to use.
#[derive(Debug)]
pub(crate) struct Deploy {
    generation: Generation,
    snapshot: SnapshotId,
    previous: Option<Generation>,
}

/// Live and put to use; to be looked at.
#[derive(Debug)]
pub(crate) struct Verify {
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

    /// An earlier run took `snapshot` and was cut off between its switch and its confirmation.
    pub(crate) fn interrupted<C>(
        self,
        generation: Generation,
        snapshot: SnapshotId,
        previous: Option<Generation>,
    ) -> State<C> {
        State::Deploy(Deploy { generation, snapshot, previous })
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

    pub(crate) fn taken<C>(self, snapshot: SnapshotId, previous: Option<Generation>) -> State<C> {
        State::Deploy(Deploy { generation: self.generation, snapshot, previous })
    }
}

impl Deploy {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn snapshot(&self) -> &SnapshotId {
        &self.snapshot
    }

    pub(crate) fn activated<C>(self) -> State<C> {
        State::Verify(Verify { deployed: self })
    }

    /// Goes back where there is something to go back to; a first generation stays.
    pub(crate) fn failed<C>(self, cause: C) -> State<C> {
        match self.previous {
            Some(previous) if previous != self.generation => {
                State::RollBack(RollBack { generation: self.generation, previous, cause })
            }
            _ => State::Done(Outcome::NotDeployed(self.generation, cause)),
        }
    }
}

impl Verify {
    pub(crate) fn generation(&self) -> Generation {
        self.deployed.generation
    }

    pub(crate) fn seen<C>(self) -> State<C> {
        State::Done(Outcome::Renewed(self.deployed.generation))
    }

    pub(crate) fn failed<C>(self, cause: C) -> State<C> {
        self.deployed.failed(cause)
    }
}

impl<C> RollBack<C> {
    pub(crate) fn previous(&self) -> Generation {
        self.previous
    }

    pub(crate) fn restored(self) -> State<C> {
        State::Done(Outcome::RolledBack(self.generation, self.cause))
    }

    /// `cause` now also says why going back failed.
    pub(crate) fn stuck(self, explain: impl FnOnce(C) -> C) -> State<C> {
        State::Done(Outcome::NeedsOperator(self.generation, explain(self.cause)))
    }
}
