//! Rate limits as Let's Encrypt has them: buckets that refill steadily (GCRA).

use std::net::IpAddr;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::behaviour::Span;
use super::ledger::AccountId;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// What one bucket counts.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bucket {
    Registrations(IpAddr),
    Orders(AccountId),
    /// By registered domain, IPv4 address or IPv6 /64.
    CertificatesOfDomain(String),
    /// By exact set of identifiers, sorted.
    CertificatesOfSet(Vec<Identifier>),
    Failures(AccountId, Identifier),
}

/// How full a bucket is: all that is kept of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Level {
    pub(super) bucket: Bucket,
    /// When it will be full again, in milliseconds since the Unix epoch.
    pub(super) full_at: i64,
}

/// So many at once, and as many again evenly over a time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "WrittenRate")]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) per: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRate {
    burst: u32,
    per: Span,
}

impl TryFrom<WrittenRate> for Rate {
    type Error = &'static str;

    fn try_from(written: WrittenRate) -> Result<Self, Self::Error> {
        let rate = Self { burst: written.burst, per: written.per.0 };
        if rate.burst == 0 || rate.per.subsec_nanos() != 0 || rate.refill() == 0 {
            return Err(
                "a rate needs a burst of 1 or more per whole seconds, 1000 a second at most",
            );
        }
        Ok(rate)
    }
}

impl Rate {
    const fn new(burst: u32, per: Duration) -> Self {
        Self { burst, per }
    }

    /// Milliseconds until one more can be taken.
    fn refill(self) -> i64 {
        i64::try_from(self.per.as_millis()).unwrap_or(i64::MAX) / i64::from(self.burst)
    }

    /// Takes one and tells when the bucket is full again; or how long to wait until one can be taken.
    pub(super) fn take(self, full_at: i64, now: Timestamp) -> Result<i64, Duration> {
        let now = now.unix().saturating_mul(1000);
        let refill = self.refill();
        let full_then = full_at.max(now).saturating_add(refill);
        let room = refill.saturating_mul(self.burst.into());
        let wait = full_then.saturating_sub(room).saturating_sub(now);
        match u64::try_from(wait) {
            Ok(wait) if wait > 0 => Err(Duration::from_millis(wait)),
            _ => Ok(full_then),
        }
    }
}

/// The limits in force; what is not named is not limited.
#[derive(Debug, Default)]
pub(crate) struct Limits(Table);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    new_registrations_per_ip: Option<Rate>,
    new_orders_per_account: Option<Rate>,
    certificates_per_domain: Option<Rate>,
    certificates_per_set: Option<Rate>,
    failed_authorizations: Option<Rate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Published {
    LetsEncrypt,
}

impl Published {
    fn table(self) -> Table {
        match self {
            Self::LetsEncrypt => Table {
                new_registrations_per_ip: Some(Rate::new(10, 3 * HOUR)),
                new_orders_per_account: Some(Rate::new(300, 3 * HOUR)),
                certificates_per_domain: Some(Rate::new(50, 168 * HOUR)),
                certificates_per_set: Some(Rate::new(5, 168 * HOUR)),
                failed_authorizations: Some(Rate::new(5, HOUR)),
            },
        }
    }
}

impl Limits {
    #[cfg(test)]
    pub(super) fn letsencrypt() -> Self {
        Self(Published::LetsEncrypt.table())
    }

    /// The rate of a bucket; none when nothing limits it.
    pub(super) fn rate(&self, bucket: &Bucket) -> Option<Rate> {
        match bucket {
            Bucket::Registrations(_) => self.0.new_registrations_per_ip,
            Bucket::Orders(_) => self.0.new_orders_per_account,
            Bucket::CertificatesOfDomain(_) => self.0.certificates_per_domain,
            Bucket::CertificatesOfSet(_) => self.0.certificates_per_set,
            Bucket::Failures(..) => self.0.failed_authorizations,
        }
    }
}

impl<'de> Deserialize<'de> for Limits {
    /// Takes the name of a CA whose published limits hold, or a table of limits.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Table;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"letsencrypt\" or a table of limits")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Table, E> {
                Published::deserialize(StrDeserializer::new(name)).map(Published::table)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Either).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_795_000_000 + seconds)
    }

    /// Empties a bucket, and tells what the first refusal says and when it is full again.
    fn emptied(rate: Rate) -> (i64, Duration) {
        let mut full_at = i64::MIN;
        for taken in 0..rate.burst {
            full_at = rate.take(full_at, at(0)).unwrap_or_else(|_| panic!("{taken}: {rate:?}"));
        }
        (full_at, rate.take(full_at, at(0)).unwrap_err())
    }

    #[test]
    fn published_limits_refill_to_the_second() {
        let table = Published::LetsEncrypt.table();
        let rates = [
            (table.new_registrations_per_ip, 10, 18 * 60),
            (table.new_orders_per_account, 300, 36),
            (table.certificates_per_domain, 50, 201 * 60 + 36),
            (table.certificates_per_set, 5, 33 * 3600 + 36 * 60),
            (table.failed_authorizations, 5, 12 * 60),
        ];
        for (rate, burst, refill) in rates {
            let rate = rate.unwrap();
            assert_eq!(rate.burst, burst);
            let (full_at, wait) = emptied(rate);
            assert_eq!(wait, Duration::from_secs(refill), "{rate:?}");
            let refill = i64::try_from(refill).unwrap();
            assert_eq!(rate.take(full_at, at(refill - 1)), Err(Duration::from_secs(1)));
            let next = rate.take(full_at, at(refill)).unwrap();
            assert!(rate.take(next, at(refill)).is_err(), "only one has come back");
            let all = refill * i64::from(burst);
            assert_eq!(rate.take(full_at, at(all)), rate.take(i64::MIN, at(all)));
        }
    }

    proptest! {
        /// Over any time no more is given than the burst and what has refilled since.
        #[test]
        fn a_bucket_never_overspends(
            burst in 1_u32..20,
            per in 1_u64..100_000,
            steps in proptest::collection::vec(0_i64..5_000, 1..100),
        ) {
            let rate = Rate::new(burst, Duration::from_secs(per));
            let (mut now, mut full_at, mut given) = (0, i64::MIN, 0_i64);
            for step in steps {
                now += step;
                match rate.take(full_at, at(now)) {
                    Ok(next) => { full_at = next; given += 1; }
                    Err(wait) => {
                        let late = at(now).plus(wait + Duration::from_millis(999));
                        prop_assert!(rate.take(full_at, late).is_ok(), "waiting is enough");
                    }
                }
                prop_assert!(given <= i64::from(burst) + now * 1000 / rate.refill());
            }
        }
    }
}
