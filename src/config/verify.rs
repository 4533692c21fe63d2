//! What must be seen of a new certificate before it stays: `[verify]`.

use std::time::Duration;

use super::reader::{ConfigError, Section};
use crate::model::endpoint::Endpoint;

/// Where a certificate is looked at once it is live, how often, and what sends it back.
///
/// Shares are fractions: 0.01 is one percent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verify {
    /// In place of what the targets' own configuration says; empty if that is to say it.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Looks at one place.
    pub(crate) attempts: u16,
    /// How many of them must agree; never more than there are.
    pub(crate) needed: u16,
    /// The time for all of it.
    pub(crate) within: Duration,
    /// By how much the share of handshakes that fail may grow.
    pub(crate) handshake_failures: f64,
    /// The same for clients that refuse the certificate.
    pub(crate) verification_errors: f64,
    /// By how much the mean handshake may slow down, and by which share: it must go beyond both to be
    /// too slow.
    pub(crate) latency: Duration,
    pub(crate) latency_share: f64,
    /// The same as above for clients that refuse the stapled OCSP response.
    pub(crate) ocsp_failures: f64,
    /// Handshakes with the new certificate before it is judged by those of clients.
    pub(crate) sample: u32,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            attempts: 5,
            needed: 3,
            within: Duration::from_secs(10),
            handshake_failures: 0.01,
            verification_errors: 0.001,
            latency: Duration::from_millis(50),
            latency_share: 0.1,
            ocsp_failures: 0.05,
            sample: 300,
        }
    }
}

impl Verify {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        const SHORTEST: Duration = Duration::from_millis(100);
        const LONGEST: Duration = Duration::from_secs(600);
        const SLOWEST: Duration = Duration::from_secs(60);
        const MOST_LOOKS: u16 = 100;
        const LARGEST_SAMPLE: u32 = 1_000_000;
        let built_in = Self::default();
        let looks =
            |key, usual| section.value(key)?.map_or(Ok(usual), |node| node.number(1..=MOST_LOOKS));
        let share =
            |key, most, usual| section.value(key)?.map_or(Ok(usual), |node| node.percent(most));
        let span =
            |key, range, usual| section.value(key)?.map_or(Ok(usual), |node| node.span(range));
        let attempts = looks("attempts", built_in.attempts)?;
        let needed = looks("needed", built_in.needed.min(attempts))?;
        if needed > attempts {
            let why = format!("{needed} of {attempts} `attempts` cannot agree");
            return Err(section.refuse("needed", why));
        }
        let sample = section.value("sample")?;
        Ok(Self {
            endpoints: section.parse_list("endpoints", Endpoint::parse)?.unwrap_or_default(),
            attempts,
            needed,
            within: span("within", SHORTEST..=LONGEST, built_in.within)?,
            handshake_failures: share("handshake-failures", 100, built_in.handshake_failures)?,
            verification_errors: share("verification-errors", 100, built_in.verification_errors)?,
            latency: span("latency", Duration::ZERO..=SLOWEST, built_in.latency)?,
            latency_share: share("latency-share", 1000, built_in.latency_share)?,
            ocsp_failures: share("ocsp-failures", 100, built_in.ocsp_failures)?,
            sample: sample.map_or(Ok(built_in.sample), |node| node.number(1..=LARGEST_SAMPLE))?,
        })
    }
}
