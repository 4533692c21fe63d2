//! The limits CAs publish, and what they count by.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::name::Identifier;

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// So many at once, and one more each time `per / tokens` has passed (GCRA).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rate {
    pub(crate) tokens: u32,
    pub(crate) per: Duration,
}

impl Rate {
    const fn new(tokens: u32, per: Duration) -> Self {
        Self { tokens, per }
    }

    /// How long one token takes to come back, in milliseconds.
    pub(super) fn interval(self) -> i64 {
        i64::try_from(self.per.as_millis()).unwrap_or(i64::MAX) / i64::from(self.tokens)
    }
}

/// The limits of a CA; `None` where none is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    pub(crate) registrations: Option<Rate>,
    pub(crate) orders: Option<Rate>,
    pub(crate) domain: Option<Rate>,
    pub(crate) exact_set: Option<Rate>,
    pub(crate) failures: Option<Rate>,
    /// Whether certificates count that were issued, or only orders whose end is not known.
    pub(crate) counts_issued: bool,
}

impl Limits {
    /// <https://letsencrypt.org/docs/rate-limits/>
    pub(crate) const LETS_ENCRYPT: Self = Self {
        registrations: Some(Rate::new(10, HOUR.saturating_mul(3))),
        orders: Some(Rate::new(300, HOUR.saturating_mul(3))),
        domain: Some(Rate::new(50, WEEK)),
        exact_set: Some(Rate::new(5, WEEK)),
        failures: Some(Rate::new(5, HOUR)),
        counts_issued: true,
    };

    /// <https://letsencrypt.org/docs/staging-environment/#rate-limits>
    pub(crate) const LETS_ENCRYPT_STAGING: Self = Self {
        registrations: Some(Rate::new(50, HOUR.saturating_mul(3))),
        orders: Some(Rate::new(1500, HOUR.saturating_mul(3))),
        domain: None,
        exact_set: Some(Rate::new(30_000, WEEK)),
        failures: Some(Rate::new(200, HOUR)),
        counts_issued: true,
    };

    /// Of a CA that publishes none: what its 429s teach, and a bound for orders that came to no end.
    pub(crate) const UNKNOWN: Self = Self {
        registrations: None,
        orders: None,
        domain: None,
        exact_set: Some(Rate::new(20, Duration::from_secs(100 * 60))),
        failures: None,
        counts_issued: false,
    };

    pub(super) fn rate(&self, scope: &Scope) -> Option<Rate> {
        match scope {
            Scope::Ca => None,
            Scope::Registrations => self.registrations,
            Scope::Orders => self.orders,
            Scope::Domain(_) => self.domain,
            Scope::ExactSet(_) => self.exact_set,
            Scope::Failures(_) => self.failures,
        }
    }
}

/// What a limit is counted for.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Everything asked of this CA.
    Ca,
    /// New accounts.
    Registrations,
    /// New orders of the account.
    Orders,
    /// Certificates for a registered domain, an IPv4 address or an IPv6 /64.
    Domain(String),
    /// Certificates for exactly this set of identifiers.
    ExactSet(BTreeSet<Identifier>),
    /// Failed authorizations of an identifier.
    Failures(Identifier),
}

impl Scope {
    /// A word for programs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Registrations => "registrations",
            Self::Orders => "orders",
            Self::Domain(_) => "domain",
            Self::ExactSet(_) => "exact_set",
            Self::Failures(_) => "failed_authorizations",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca => f.write_str("requests"),
            Self::Registrations => f.write_str("new accounts"),
            Self::Orders => f.write_str("new orders"),
            Self::Domain(domain) => write!(f, "certificates for {domain}"),
            Self::ExactSet(_) => f.write_str("certificates for exactly these names"),
            Self::Failures(identifier) => write!(f, "failed authorizations of {identifier}"),
        }
    }
}

/// The domain the CA counts an identifier by: what was registered under a public suffix.
pub(crate) fn domain_of(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => {
            let base = name.base();
            psl::domain_str(base).unwrap_or(base).to_owned()
        }
        Identifier::Ip(IpAddr::V4(address)) => address.to_string(),
        Identifier::Ip(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
