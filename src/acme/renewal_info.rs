//! When the CA wants a certificate renewed (RFC 9773).

use std::time::Duration;

use thiserror::Error;

use super::error::AcmeError;
use crate::model::time::Window;

/// The CA's advice for one certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RenewalInfo {
    pub(crate) window: Window,
    /// An http(s) URL for the operator to read; never fetched.
    pub(crate) explanation_url: Option<String>,
    /// When to ask again: the CA's Retry-After within the limits of RFC 9773 §4.3.2.
    pub(crate) retry_after: Duration,
}

/// Why there is no advice (RFC 9773 §4.3.3).
#[derive(Debug, Error)]
pub(crate) enum RenewalInfoError {
    #[error("the CA offers no renewal information")]
    NotOffered,
    #[error("{0:?} is no certificate id")]
    BadId(String),
    /// The CA does not know the certificate: issued elsewhere, or forgotten.
    #[error("the CA knows no renewal information for this certificate")]
    Unknown(#[source] AcmeError),
    /// Timeouts and 5xx: try again with growing waits.
    #[error("renewal information is unavailable for now")]
    Temporary(#[source] AcmeError),
    /// Anything else: ask again after [`RenewalInfoError::LATER`].
    #[error("renewal information is unusable")]
    LongTerm(#[source] AcmeError),
}

impl RenewalInfoError {
    /// The wait after a long-term error (RFC 9773 §4.3.3).
    pub(crate) const LATER: Duration = Duration::from_secs(6 * 60 * 60);
}
