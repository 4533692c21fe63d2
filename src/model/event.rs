//! Facts about a run, in the past tense, for whoever watches it.

use std::time::Duration;

use super::challenge::ChallengeKind;
use super::ended::Ended;
use super::generation::Generation;
use super::name::{CertName, Identifier};
use super::time::Timestamp;
use super::traffic::Traffic;

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
    /// Whether a run that does something begins with it.
    pub(crate) fn begins_a_run(self) -> bool {
        self == Self::Precheck
    }

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

/// A failure as it is counted and told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failing {
    /// A word for programs, as in `rateLimited` or `store`; there are few.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// What a client was shown at one place after a switch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sighting {
    /// As in `www.example.com at 192.0.2.1:443`.
    pub(crate) place: String,
    /// Whether it was the certificate that is live, with nothing wrong.
    pub(crate) serves: bool,
    /// What was wrong, if not.
    pub(crate) problem: Option<String>,
    /// How long the handshake took; `None` where there was none.
    pub(crate) took: Option<Duration>,
    /// The same before the switch.
    pub(crate) took_before: Option<Duration>,
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
    /// The CA came to a decision about one challenge, or to none in time; or it could not even be
    /// presented.
    ChallengeEnded {
        name: CertName,
        identifier: Identifier,
        kind: ChallengeKind,
        /// From when it was begun to be presented.
        took: Duration,
        /// Why it was in vain, if it was.
        failed: Option<String>,
    },
    /// A certificate came from a CA, and is in the archive.
    Issued {
        name: CertName,
        generation: Generation,
        ca: String,
        /// SHA-256 of the certificate, and of its public key (SPKI), in hexadecimal digits.
        fingerprint: String,
        key: String,
        not_after: Timestamp,
        /// Whether the order was exempt from the CA's limits (RFC 9773 §5).
        exempt: bool,
    },
    /// Live became another generation.
    Switched {
        name: CertName,
        /// `None` where nothing was live, or nothing that was whole.
        from: Option<Generation>,
        to: Generation,
        /// SHA-256 of the certificate that is live now, in hexadecimal digits.
        fingerprint: String,
    },
    /// A target said that it has taken a generation.
    Activated {
        name: CertName,
        target: String,
        generation: Generation,
        took: Duration,
        /// Since the generation was issued.
        lag: Duration,
    },
    /// A client looked at what is served.
    Seen {
        name: CertName,
        generation: Generation,
        sighting: Sighting,
    },
    /// What the servers counted of the handshakes with the old and the new certificate, since the
    /// rollout began and all together.
    Counted {
        name: CertName,
        traffic: Traffic,
    },
    /// A CA was asked whether it stands by what is live: `good`, `revoked` or `unknown`.
    RevocationSeen {
        name: CertName,
        state: &'static str,
    },
    /// A person changed something by a command, as in `pinned at generation 3`: `pinned`,
    /// `unpinned`, `revoked`, `deleted` or `restored`.
    Decided {
        name: CertName,
        what: &'static str,
        text: String,
    },
    /// What was done is in the history, up to this record.
    Recorded {
        /// Of the last record.
        name: CertName,
        seq: u64,
        /// SHA-256 of the record and so of all before it, in hexadecimal digits.
        hash: String,
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
        ended: Ended,
        failing: Option<Failing>,
    },
}

impl Event {
    /// The certificate it is about.
    pub(crate) fn name(&self) -> &CertName {
        match self {
            Self::PhaseStarted { name, .. }
            | Self::PhaseEnded { name, .. }
            | Self::ChallengeEnded { name, .. }
            | Self::Issued { name, .. }
            | Self::Switched { name, .. }
            | Self::Activated { name, .. }
            | Self::Seen { name, .. }
            | Self::Counted { name, .. }
            | Self::RevocationSeen { name, .. }
            | Self::Decided { name, .. }
            | Self::Recorded { name, .. }
            | Self::Measured { name, .. }
            | Self::Noticed { name, .. }
            | Self::RunEnded { name, .. } => name,
        }
    }
}

/// Where events go. Must be quick and must not fail.
pub(crate) trait Sink: Send + Sync {
    fn note(&self, event: Event);
}
