//! Everything that can go wrong between us and a CA.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use url::Url;

use super::problem::Problem;
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// Why a CA did not do what it was asked.
///
/// Texts that came from the CA are bounded and printable.
#[derive(Debug, Error)]
pub(crate) enum AcmeError {
    #[error("cannot set up TLS for the CA: {why}")]
    Tls { why: &'static str, source: Option<reqwest::Error> },
    #[error("cannot reach {url}")]
    Unreachable { url: Url, source: reqwest::Error },
    #[error("{url} did not answer in time")]
    TimedOut { url: Url, source: reqwest::Error },
    #[error("{url} sent more than {limit} bytes")]
    Oversized { url: Url, limit: usize },
    #[error("{url} redirects to {to:?}; ACME requests are not redirected")]
    Redirected { url: Url, to: String },
    #[error("cannot make sense of what {url} sent: {what}")]
    Unintelligible { url: Url, what: &'static str, source: Option<serde_json::Error> },
    #[error("refused {what} from the CA: {value:?} {why}")]
    Unacceptable { what: &'static str, value: String, why: &'static str },
    #[error("the CA refuses {url}: {problem}")]
    Refused { url: Url, problem: Problem },
    #[error("the CA limits requests until {until}: {problem}")]
    RateLimited { problem: Problem, until: Timestamp },
    #[error(
        "the CA has paused this account for some names, until a person visits the page it gives: {problem}"
    )]
    Paused { problem: Problem },
    #[error("the CA is unavailable: {problem}")]
    Unavailable { url: Url, problem: Problem, until: Option<Timestamp> },
    #[error("the CA refused {attempts} nonces in a row at {url}")]
    NonceStorm { url: Url, attempts: usize },
    #[error("the CA objects to the certificate being replaced: {problem}")]
    ReplacesRefused { problem: Problem },
    #[error("the CA offers no {what}")]
    NotOffered { what: &'static str },
    #[error("the terms of service at {terms} must be agreed to first")]
    TermsNotAgreed { terms: String },
    #[error("the CA requires an external account binding (key id and HMAC key)")]
    EabRequired,
    #[error("the external account binding is unusable: {why}")]
    EabUnusable { why: &'static str },
    #[error("the account is not registered yet")]
    NotRegistered,
    #[error("the CA knows the account neither by its key nor by the one prepared for it")]
    NoKeyInForce,
    #[error("no new account key was prepared")]
    NoNextKey,
    #[error("the account belongs to {theirs:?}, not to {ours}")]
    OtherDirectory { ours: Url, theirs: String },
    #[error("{what} is unusable: {why}")]
    Key { what: &'static str, why: String },
    #[error("the CA opened an order for {got} although it was asked for {wanted}")]
    OtherIdentifiers { wanted: String, got: String },
    #[error("the CA is not convinced: {}", list(.failures))]
    Unproven { failures: Vec<ChallengeFailure> },
    #[error("order {url} is invalid: {problem}")]
    OrderInvalid { url: Url, problem: Problem },
    #[error("order {url} cannot be {what} while it is {status}")]
    OrderNotFit { url: Url, what: &'static str, status: &'static str },
    #[error("{url} is not {what} after {} s", .waited.as_secs())]
    StillWaiting { url: Url, what: &'static str, waited: Duration, until: Option<Timestamp> },
    #[error("cannot use the account")]
    Account(#[source] instant_acme::Error),
}

/// A challenge the CA could not follow, in its own words.
#[derive(Clone, Debug)]
pub(crate) struct ChallengeFailure {
    pub(crate) identifier: Identifier,
    /// The challenge type, as in `http-01`.
    pub(crate) challenge: String,
    pub(crate) problem: Problem,
}

impl fmt::Display for ChallengeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.identifier, self.challenge, self.problem)
    }
}

fn list(failures: &[ChallengeFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl AcmeError {
    /// Whether trying again can help, and from when on.
    pub(crate) fn fault(&self) -> Fault {
        todo!()
    }

    /// The problem document the CA sent, if there is one.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        todo!()
    }

    /// Whether the same order without `replaces` should be tried once (RFC 9773 §5).
    pub(crate) fn concerns_replaces(&self) -> bool {
        matches!(self, Self::ReplacesRefused { .. })
    }
}
