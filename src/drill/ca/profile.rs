//! The profiles offered: lifetimes and limits are those of Let's Encrypt.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::{Timestamp, Validity, in_words};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How far `notBefore` lies in the past, for clients whose clock is slow.
pub(super) const BACKDATE: Duration = HOUR;

/// A kind of certificate an order may ask for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Profile {
    Classic,
    TlsServer,
    ShortLived,
}

impl Profile {
    const ALL: [Self; 3] = [Self::Classic, Self::TlsServer, Self::ShortLived];
    /// What an order gets that names none.
    pub(super) const DEFAULT: Self = Self::Classic;

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::TlsServer => "tlsserver",
            Self::ShortLived => "shortlived",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Classic => "with a common name; for DNS names",
            Self::TlsServer => "no common name; for DNS names",
            Self::ShortLived => "no common name; for DNS names and IP addresses",
        }
    }

    /// The `profiles` member of the directory's metadata.
    pub(super) fn offered(lifetime: impl Fn(Self) -> Duration) -> BTreeMap<&'static str, String> {
        let describe = |one: Self| format!("{}, {}", in_words(lifetime(one)), one.description());
        Self::ALL.into_iter().map(|profile| (profile.as_str(), describe(profile))).collect()
    }

    /// How long its certificates live unless the CA is told otherwise.
    pub(super) fn lifetime(self) -> Duration {
        match self {
            Self::Classic => 90 * DAY,
            Self::TlsServer => 45 * DAY,
            Self::ShortLived => 160 * HOUR,
        }
    }

    /// How long an order and its authorizations stay open.
    pub(super) fn order_lifetime(self) -> Duration {
        match self {
            Self::Classic => 7 * DAY,
            Self::TlsServer | Self::ShortLived => 8 * HOUR,
        }
    }

    pub(super) fn most_identifiers(self) -> usize {
        match self {
            Self::Classic => 100,
            Self::TlsServer | Self::ShortLived => 25,
        }
    }

    pub(super) fn allows_ip(self) -> bool {
        self == Self::ShortLived
    }

    /// Whether certificates carry what the newer profiles leave out: common name, key identifier
    /// of the subject, key encipherment for RSA.
    pub(super) fn is_traditional(self) -> bool {
        self == Self::Classic
    }
}

/// The life of a certificate issued at `now`; its last second counts.
pub(super) fn validity(now: Timestamp, lifetime: Duration) -> Validity {
    let not_before = now.minus(BACKDATE);
    Validity { not_before, not_after: not_before.plus(lifetime - Duration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_exact_and_count_the_last_second() {
        let now = Timestamp::parse("2026-11-22T01:00:00Z").unwrap();
        let table = [
            (Profile::ShortLived, "2026-11-28T15:59:59Z", 160 * HOUR),
            (Profile::TlsServer, "2027-01-05T23:59:59Z", 45 * DAY),
            (Profile::Classic, "2027-02-19T23:59:59Z", 90 * DAY),
        ];
        for (profile, not_after, lifetime) in table {
            let validity = validity(now, profile.lifetime());
            assert_eq!(validity.not_before.to_string(), "2026-11-22T00:00:00Z");
            assert_eq!(validity.not_after.to_string(), not_after, "{profile:?}");
            assert_eq!(validity.lifetime(), lifetime, "{profile:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for profile in Profile::ALL {
            assert_eq!(Profile::parse(profile.as_str()), Some(profile));
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.as_str());
        }
        assert_eq!(Profile::parse("tlsclient"), None);
    }
}
