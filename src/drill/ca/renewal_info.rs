//! When a certificate should be renewed (RFC 9773 §4).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;

use super::ledger::Certificate;
use super::problem::Problem;
use super::serial::CertId;
use super::state::Ca;
use crate::model::time::{Timestamp, Validity, Window};

pub(super) const RENEWAL_INFO: &str = "/renewal-info";

const HOUR: Duration = Duration::from_secs(3600);
/// Certificates that live shorter are renewed at half of their life instead of two thirds.
const SHORT: Duration = Duration::from_secs(10 * 24 * 3600);

/// Answers renewalInfo, to anybody and without a signature.
pub(super) async fn show(
    State(ca): State<Arc<Ca>>,
    Path(cert_id): Path<String>,
) -> Result<Response, Problem> {
    if !ca.behaviour.has_ari() {
        return Err(Problem::not_found("resource"));
    }
    let Some(id) = CertId::parse(&cert_id) else {
        return Err(Problem::malformed("this is not a certificate identifier"));
    };
    let found = ca.ledger.read(|books| books.certificate(&id.serial).cloned())?;
    let certificate = found
        .filter(|_| id.authority_key == ca.issuer.key_id)
        .ok_or_else(|| Problem::not_found("certificate"))?;
    let retry_after = ca.behaviour.ari_retry_after().as_secs().to_string();
    let body = Json(advice(&ca, &certificate, ca.now()));
    Ok(([(header::RETRY_AFTER, retry_after)], body).into_response())
}

/// What is said of a certificate (RFC 9773 §4.2).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Advice {
    pub(super) suggested_window: Window,
    #[serde(rename = "explanationURL", skip_serializing_if = "Option::is_none")]
    explanation_url: Option<String>,
}

/// A certificate that is revoked or part of an incident should have been renewed already; another
/// has the window set by hand, or the one its life suggests.
pub(super) fn advice(ca: &Ca, certificate: &Certificate, now: Timestamp) -> Advice {
    let past = Window::new(now.minus(HOUR), now.minus(HOUR / 2));
    let explanation_url = ca.scene().explanation(certificate, now);
    let overdue = certificate.revoked.is_some() || explanation_url.is_some();
    let later = || certificate.window.unwrap_or_else(|| suggested(certificate.validity));
    Advice { suggested_window: past.filter(|_| overdue).unwrap_or_else(later), explanation_url }
}

/// The formula of Let's Encrypt: a fiftieth of the life, around the ideal moment, in whole seconds.
fn suggested(validity: Validity) -> Window {
    let life = validity.lifetime();
    let before_end = if life < SHORT { life / 2 } else { life / 3 };
    let margin = life / 100;
    // A part of a second is cut off the point in time, not off the time before the end.
    let at = |span: Duration| validity.not_after.minus(span + Duration::from_nanos(999_999_999));
    let window = Window::new(at(before_end + margin), at(before_end - margin));
    window.expect("no profile lives for less than an hour")
}

#[cfg(test)]
mod tests {
    use super::super::profile::{self, Profile};
    use super::*;

    /// Hours after `notBefore`, one second less because `notAfter` counts.
    #[test]
    fn windows_open_where_those_of_lets_encrypt_do() {
        let not_before = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let table = [
            (Profile::ShortLived, 78.4, 81.6),
            (Profile::TlsServer, 709.2, 730.8),
            (Profile::Classic, 1418.4, 1461.6),
        ];
        for (profile, opens, closes) in table {
            let window = suggested(profile::validity(not_before.plus(HOUR), profile.lifetime()));
            let hours = |at: Timestamp| (at.since(not_before).as_secs_f64() + 1.0) / 3600.0;
            assert!((hours(window.start()) - opens).abs() < 1e-9, "{profile:?} {window:?}");
            assert!((hours(window.end()) - closes).abs() < 1e-9, "{profile:?} {window:?}");
        }
    }

    #[test]
    fn the_published_example() {
        let validity = Validity {
            not_before: Timestamp::parse("2026-11-22T00:00:00Z").unwrap(),
            not_after: Timestamp::parse("2026-11-28T15:59:59Z").unwrap(),
        };
        let window = suggested(validity);
        assert_eq!(window.start().to_string(), "2026-11-25T06:23:59Z");
        assert_eq!(window.end().to_string(), "2026-11-25T09:35:59Z");
    }

    /// A life of 2 h 5 s: its half and its hundredth have parts of a second.
    #[test]
    fn a_part_of_a_second_is_cut_off_the_window() {
        let not_before = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let not_after = not_before.plus(Duration::from_secs(7204));
        let window = suggested(Validity { not_before, not_after });
        // 7204 - 3602.5 - 72.05 = 3529.45 and 7204 - 3602.5 + 72.05 = 3673.55
        assert_eq!(window.start().to_string(), "2026-11-22T00:58:49Z");
        assert_eq!(window.end().to_string(), "2026-11-22T01:01:13Z");
    }
}
