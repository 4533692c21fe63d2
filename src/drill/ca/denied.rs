//! What is said when a limit is met.

use std::time::Duration;

use http::{HeaderValue, header};
use serde::Deserialize;

use super::instant::{http_date, in_go, in_utc};
use super::limits::{Bucket, Rate};
use super::nonce::random_share;
use super::problem::{Kind, Problem};
use crate::model::time::Timestamp;

const DOCS: &str = "https://letsencrypt.org/docs/rate-limits";
const HELP: &str = "<https://letsencrypt.org/docs/rate-limits>;rel=\"help\"";
/// As much of the wait is added to it at most, so that clients do not come back all at once.
const JITTER: f64 = 0.03;

/// An empty bucket.
#[derive(Clone, Debug)]
pub(super) struct Denied {
    pub(super) bucket: Bucket,
    pub(super) rate: Rate,
    /// Until one can be taken again.
    pub(super) wait: Duration,
}

impl Denied {
    /// The answer, word for word that of Let's Encrypt.
    pub(super) fn problem(&self, form: RetryAfter, now: Timestamp) -> Problem {
        let late = self.wait.as_secs_f64() * (1.0 + JITTER * random_share());
        self.told(form, now, Duration::from_secs(late.ceil() as u64))
    }

    fn told(&self, form: RetryAfter, now: Timestamp, wait: Duration) -> Problem {
        let Rate { burst, per } = self.rate;
        let (what, whose, chapter) = self.words();
        let (per, then) = (in_go(per), in_utc(now.plus(wait)));
        let detail = format!(
            "too many {what} ({burst}){whose} in the last {per}, retry after {then}: see {DOCS}/#{chapter}"
        );
        let problem = Problem::new(Kind::RateLimited, detail);
        let problem = problem.header(header::LINK, HeaderValue::from_static(HELP));
        match form.value(now, wait) {
            Some(value) => problem.header(header::RETRY_AFTER, value),
            None => problem,
        }
    }

    /// What there were too many of, whose they are, and the chapter of the documentation.
    fn words(&self) -> (&'static str, String, &'static str) {
        match &self.bucket {
            Bucket::Registrations(_) => (
                "new registrations",
                " from this IP address".to_owned(),
                "new-registrations-per-ip-address",
            ),
            Bucket::Orders(_) => {
                ("new orders", " from this account".to_owned(), "new-orders-per-account")
            }
            Bucket::CertificatesOfDomain(domain) => (
                "certificates",
                format!(" already issued for {domain:?}"),
                "new-certificates-per-registered-domain",
            ),
            Bucket::CertificatesOfSet(_) => (
                "certificates",
                " already issued for this exact set of identifiers".to_owned(),
                "new-certificates-per-exact-set-of-identifiers",
            ),
            Bucket::Failures(_, identifier) => (
                "failed authorizations",
                format!(" for \"{identifier}\""),
                "authorization-failures-per-hostname-per-account",
            ),
        }
    }
}

/// How a refusal says when to come back; the last three are there to try clients.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RetryAfter {
    #[default]
    Seconds,
    Date,
    Absent,
    Negative,
    TenYears,
}

impl RetryAfter {
    const TEN_YEARS: &str = "315360000";

    pub(super) fn value(self, now: Timestamp, wait: Duration) -> Option<HeaderValue> {
        let seconds = wait.as_secs();
        let text = match self {
            Self::Seconds => seconds.to_string(),
            Self::Date => http_date(now.plus(wait)),
            Self::Absent => return None,
            Self::Negative => format!("-{seconds}"),
            Self::TenYears => Self::TEN_YEARS.to_owned(),
        };
        Some(HeaderValue::from_str(&text).expect("numbers and dates are visible ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;
    use crate::model::name::{DnsName, Identifier};

    #[test]
    fn refusals_are_worded_as_those_of_lets_encrypt() {
        let name = || Identifier::Dns(DnsName::parse("www.a.example").unwrap());
        let table = [
            (
                Bucket::Registrations("192.0.2.1".parse().unwrap()),
                "too many new registrations (10) from this IP address in the last 3h0m0s, retry after 2026-11-22 12:00:37 UTC: see https://letsencrypt.org/docs/rate-limits/#new-registrations-per-ip-address",
            ),
            (
                Bucket::Orders(1),
                "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-11-22 12:00:37 UTC: see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account",
            ),
            (
                Bucket::CertificatesOfDomain("a.example".to_owned()),
                "too many certificates (50) already issued for \"a.example\" in the last 168h0m0s, retry after 2026-11-22 12:00:37 UTC: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-registered-domain",
            ),
            (
                Bucket::CertificatesOfSet(vec![name()]),
                "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-11-22 12:00:37 UTC: see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers",
            ),
            (
                Bucket::Failures(1, name()),
                "too many failed authorizations (5) for \"www.a.example\" in the last 1h0m0s, retry after 2026-11-22 12:00:37 UTC: see https://letsencrypt.org/docs/rate-limits/#authorization-failures-per-hostname-per-account",
            ),
        ];
        let limits = Limits::letsencrypt();
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        for (bucket, detail) in table {
            let (rate, wait) = (limits.rate(&bucket).unwrap(), Duration::from_secs(37));
            let problem = Denied { bucket, rate, wait }.told(RetryAfter::Seconds, now, wait);
            let found = serde_json::to_value(&problem).unwrap();
            let kind = "urn:ietf:params:acme:error:rateLimited";
            assert_eq!(found, serde_json::json!({ "type": kind, "status": 429, "detail": detail }));
        }
    }

    #[test]
    fn every_way_to_say_when() {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        let table = [
            (RetryAfter::Seconds, Some("37")),
            (RetryAfter::Date, Some("Sun, 22 Nov 2026 12:00:37 GMT")),
            (RetryAfter::Absent, None),
            (RetryAfter::Negative, Some("-37")),
            (RetryAfter::TenYears, Some("315360000")),
        ];
        for (form, said) in table {
            let value = form.value(now, Duration::from_secs(37));
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), said);
        }
    }
}
