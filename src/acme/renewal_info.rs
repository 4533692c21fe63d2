//! When the CA wants a certificate renewed (RFC 9773). We ask ourselves: instant-acme takes a window
//! without Retry-After for an error and keeps no error apart from another.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::error::AcmeError;
use super::http::{Expect, Reply};
use super::origin::{CaUrl, shown_url};
use super::problem::printable;
use super::session::{Session, parse, unintelligible};
use crate::model::time::{Timestamp, Window};

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

    fn sorted(error: AcmeError) -> Self {
        match error {
            AcmeError::Unreachable { ref source, .. } if source.is_connect() => {
                Self::LongTerm(error)
            }
            AcmeError::TimedOut { .. }
            | AcmeError::Unreachable { .. }
            | AcmeError::Unavailable { .. } => Self::Temporary(error),
            AcmeError::Refused { ref problem, .. } if problem.status == 404 => Self::Unknown(error),
            _ => Self::LongTerm(error),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    suggested_window: Edges,
    #[serde(default, rename = "explanationURL")]
    explanation_url: Value,
}

/// The window before it is known not to be empty.
#[derive(Deserialize)]
struct Edges {
    start: Timestamp,
    end: Timestamp,
}

impl RenewalInfo {
    const SOONEST: Duration = Duration::from_secs(60);
    const LATEST: Duration = Duration::from_secs(24 * 60 * 60);

    fn read(url: &CaUrl, reply: &Reply) -> Result<Self, AcmeError> {
        let wire: Wire = parse(url, "this is no renewal information", &reply.body)?;
        let Edges { start, end } = wire.suggested_window;
        let window = Window::new(start, end)
            .ok_or_else(|| unintelligible(url, "the window ends before it starts"))?;
        let retry_after = reply.retry_after.unwrap_or(RenewalInfoError::LATER);
        Ok(Self {
            window,
            explanation_url: wire.explanation_url.as_str().and_then(shown_url),
            retry_after: retry_after.clamp(Self::SOONEST, Self::LATEST),
        })
    }
}

impl Session {
    /// Asks when a certificate should be renewed (RFC 9773 §4). Needs no account.
    pub(crate) async fn renewal_info(
        &self,
        cert_id: &str,
    ) -> Result<RenewalInfo, RenewalInfoError> {
        let base = self.directory().renewal_info.as_ref().ok_or(RenewalInfoError::NotOffered)?;
        if split_id(cert_id).is_none() {
            return Err(RenewalInfoError::BadId(printable(cert_id, 200)));
        }
        let url = base.child(cert_id);
        let reply = self.transport().get(&url, Expect::Json).await;
        reply.and_then(|reply| RenewalInfo::read(&url, &reply)).map_err(RenewalInfoError::sorted)
    }
}

/// Splits a certificate id into its key identifier and serial (RFC 9773 §4.1).
pub(super) fn split_id(cert_id: &str) -> Option<(&str, &str)> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let part = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(allowed);
    cert_id.split_once('.').filter(|(key, serial)| part(key) && part(serial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::ca::Endpoint;
    use crate::acme::origin::Origin;

    fn read(body: &str, retry_after: Option<u64>) -> Result<RenewalInfo, AcmeError> {
        let origin = Origin::of(&Endpoint::builtin("letsencrypt").unwrap()).unwrap();
        let reply = Reply {
            location: None,
            retry_after: retry_after.map(Duration::from_secs),
            alternates: Vec::new(),
            nonce: None,
            body: body.to_owned().into(),
        };
        RenewalInfo::read(&origin.directory().child("a.b"), &reply)
    }

    const GOOD: &str = r#"{"suggestedWindow":{"start":"2026-11-25T06:23:59.5+01:00","end":"2026-11-25T09:35:59Z"},
        "explanationURL":"https://ca.example/why"}"#;

    #[test]
    fn waits_are_clamped() {
        let table = [
            (Some(0), 60),
            (Some(5), 60),
            (Some(21_600), 21_600),
            (Some(86_400), 86_400),
            (None, 21_600),
        ];
        for (retry_after, expected) in table {
            let info = read(GOOD, retry_after).unwrap();
            assert_eq!(info.retry_after.as_secs(), expected, "{retry_after:?}");
            assert_eq!(info.window.start().to_string(), "2026-11-25T05:23:59Z");
            assert_eq!(info.explanation_url.as_deref(), Some("https://ca.example/why"));
        }
    }

    #[test]
    fn what_is_no_window_is_no_answer() {
        let window = |start: &str, end: &str| {
            format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}}}"#)
        };
        let (early, late) = ("2026-11-25T06:00:00Z", "2026-11-25T07:00:00Z");
        assert!(read(&window(early, late), None).is_ok());
        let bad = [
            window(early, early),
            window(late, early),
            window("null", late),
            format!(r#"{{"suggestedWindow":{{"end":"{late}"}}}}"#),
            r#"{"suggestedWindow":null}"#.to_owned(),
            "<html>".to_owned(),
            "[".repeat(100_000),
        ];
        for body in bad {
            let short: String = body.chars().take(80).collect();
            assert!(read(&body, None).is_err(), "{short}");
        }
    }

    #[test]
    fn ids_have_two_parts() {
        assert!(split_id("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").is_some());
        for bad in ["", ".", "a", "a.", ".b", "a.b.c", "a/../b.c", "a b.c", "a.b=\n"] {
            assert_eq!(split_id(bad), None, "{bad:?}");
        }
    }
}
