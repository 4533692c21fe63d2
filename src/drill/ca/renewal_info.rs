//! When a certificate should be renewed (RFC 9773 §4).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::json;

use super::ledger::Certificate;
use super::problem::Problem;
use super::serial::CertId;
use super::state::Ca;
use crate::model::time::{Timestamp, Validity, Window};

pub(super) const RENEWAL_INFO: &str = "/renewal-info";

/// When to ask again, in seconds.
const RETRY_AFTER: &str = "21600";
const HOUR: Duration = Duration::from_secs(3600);
/// Certificates that live shorter are renewed at half of their life instead of two thirds.
const SHORT: Duration = Duration::from_secs(10 * 24 * 3600);

/// Answers renewalInfo, to anybody and without a signature.
pub(super) async fn show(
    State(ca): State<Arc<Ca>>,
    Path(cert_id): Path<String>,
) -> Result<Response, Problem> {
    let Some(id) = CertId::parse(&cert_id) else {
        return Err(Problem::malformed("this is not a certificate identifier"));
    };
    let found = ca.ledger.read(|books| books.certificate(&id.serial).cloned())?;
    let certificate = found
        .filter(|_| id.authority_key == ca.issuer.key_id)
        .ok_or_else(|| Problem::not_found("certificate"))?;
    let window = window(&certificate, ca.now());
    let body = Json(json!({ "suggestedWindow": window }));
    Ok(([(header::RETRY_AFTER, RETRY_AFTER)], body).into_response())
}

/// A revoked certificate should have been renewed already; another has the window set by hand,
/// or the one its life suggests.
pub(super) fn window(certificate: &Certificate, now: Timestamp) -> Window {
    let past = Window::new(now.minus(HOUR), now.minus(HOUR / 2));
    let revoked = certificate.revoked.and(past);
    revoked.or(certificate.window).unwrap_or_else(|| suggested(certificate.validity))
}

/// The formula of Let's Encrypt: a fiftieth of the life, around the ideal moment.
fn suggested(validity: Validity) -> Window {
    let life = validity.lifetime();
    let ideal = validity.not_after.minus(if life < SHORT { life / 2 } else { life / 3 });
    let margin = life / 100;
    Window::new(ideal.minus(margin), ideal.plus(margin)).expect("no profile lives for no time")
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
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
            let window = suggested(profile.validity(not_before.plus(HOUR)));
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
}
