//! Facts about a run, in the past tense, for whoever watches it.

use std::time::Duration;

use serde::Serialize;

use super::name::CertName;

/// The walk of one certificate through the pipeline, as an observer sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Precheck,
    Acquire,
    Validate,
    Snapshot,
    Deploy,
    Verify,
    RollBack,
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
