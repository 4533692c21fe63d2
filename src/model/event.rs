//! Facts about a run, in the past tense, for whoever watches it.

use std::time::Duration;

use super::name::CertName;

/// The walk of one certificate through the pipeline, as an observer sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Precheck,
    Acquire,
    Validate,
    Snapshot,
    Deploy,
    Verify,
    Soak,
    RollBack,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Precheck => "precheck",
            Self::Acquire => "acquire",
            Self::Validate => "validate",
            Self::Snapshot => "snapshot",
            Self::Deploy => "deploy",
            Self::Verify => "verify",
            Self::Soak => "soak",
            Self::RollBack => "roll_back",
        }
    }
}

/// Something that happened to one certificate.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    PhaseStarted {
        name: CertName,
        phase: Phase,
    },
    PhaseEnded {
        name: CertName,
        phase: Phase,
        took: Duration,
    },
    /// Something only for those who asked for more.
    Measured {
        name: CertName,
        text: String,
    },
    /// Something worth a line to the operator although the run goes on.
    Noticed {
        name: CertName,
        text: String,
    },
    RunEnded {
        name: CertName,
    },
}

/// Where events go. Must be quick and must not fail.
pub(crate) trait Sink: Send + Sync {
    fn note(&self, event: Event);
}
