//! What must hold before a certificate is served.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;

use super::{Chain, Key, Roots};
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::model::time::{Timestamp, in_words};

/// What was ordered, and by what it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation<'a> {
    pub(crate) identifiers: &'a BTreeSet<Identifier>,
    pub(crate) now: Timestamp,
    /// Without roots the chain must still hold together up to its own last certificate.
    pub(crate) roots: Option<&'a Roots>,
    /// The profile it was ordered under; only what contradicts a known one is refused.
    pub(crate) profile: Option<&'a str>,
}

/// Why a certificate may not be served, in words for an operator.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Refusal {
    #[error("the certificate is for a key we do not have")]
    ForeignKey,
    #[error("the certificate lacks {}", names.join(", "))]
    MissingNames { names: Vec<String> },
    #[error("the certificate is also for {}, which nobody asked for", names.join(", "))]
    ExtraNames { names: Vec<String> },
    #[error("the certificate is not valid before {not_before}, and it is {now} now")]
    NotYetValid { not_before: Timestamp, now: Timestamp },
    #[error("certificate {position} of the chain ({subject}) expired at {not_after}")]
    Expired { position: usize, subject: String, not_after: Timestamp },
    #[error("the certificate lives only {}", in_words(*lifetime))]
    TooShort { lifetime: Duration },
    #[error("the certificate lives {}, which contradicts the profile {profile}", in_words(*lifetime))]
    WrongProfile { profile: String, lifetime: Duration },
    #[error("the first certificate of the chain ({subject}) is a CA, not a server's")]
    NoLeaf { subject: String },
    #[error("certificate {position} of the chain ({subject}) is not signed by the next ({next})")]
    BrokenChain { position: usize, subject: String, next: String },
    #[error("the chain does not lead to a trusted root (its last issuer is {issuer})")]
    Untrusted { issuer: String, source: webpki::Error },
    #[error("the certificate does not hold for {identifier}")]
    NameRefused { identifier: Identifier, source: webpki::Error },
}

impl Refusal {
    /// A CA may do better next time, except that trust is the operator's to give.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Untrusted { .. } => Fault::Permanent,
            _ => Fault::Passing,
        }
    }
}

/// Judges whether this chain and key may be served together as what was ordered.
pub(crate) fn verify(chain: &Chain, key: &Key, expected: &Expectation<'_>) -> Result<(), Refusal> {
    todo!("{chain:?} {key:?} {expected:?}")
}

/// Whether the chain's leaf is for this key.
pub(crate) fn pair_matches(chain: &Chain, key: &Key) -> bool {
    chain.spki() == key.spki()
}
