//! Revocation and the list of what is revoked (RFC 8555 §7.6, RFC 5280 §5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::{StatusCode, header};
use serde::Deserialize;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::ledger::{Certificate, Record, Revocation};
use super::problem::{Kind, Problem};
use super::public_key::PublicKey;
use super::serial::Serial;
use super::signed::{Signed, Signer};
use super::state::Ca;

pub(super) const REVOKE: &str = "/revoke-cert";

const UNSPECIFIED: u8 = 0;
const KEY_COMPROMISE: u8 = 1;
/// What a subscriber may say: unspecified, keyCompromise, affiliationChanged, superseded,
/// cessationOfOperation.
const REASONS: [u8; 5] = [UNSPECIFIED, KEY_COMPROMISE, 3, 4, 5];

#[derive(Deserialize)]
struct Revoke {
    certificate: String,
    reason: Option<u8>,
}

/// Revokes for the account that ordered, for one that controls every identifier, or for whoever
/// holds the certificate's key; the last proves a compromise, whatever reason is given.
pub(super) async fn revoke(
    State(ca): State<Arc<Ca>>,
    signed: Signed,
) -> Result<StatusCode, Problem> {
    let wanted: Revoke = signed.payload.json()?;
    let reason = wanted.reason.unwrap_or(UNSPECIFIED);
    if !REASONS.contains(&reason) {
        let detail = format!("the reason {reason} is not one of {REASONS:?}");
        return Err(Problem::new(Kind::BadRevocationReason, detail));
    }
    let der = BASE64URL_NOPAD
        .decode(wanted.certificate.as_bytes())
        .map_err(|why| Problem::malformed(format!("certificate is not base64url: {why}")))?;
    let certificate = issued(&ca, &der)?;
    let reason = match &signed.signer {
        Signer::Account(account) => {
            let now = ca.now();
            let orders = ca.orders();
            let controls = |identifier| orders.authorized(account.id, identifier, now);
            if account.id != certificate.account && !certificate.identifiers.iter().all(controls) {
                let detail = "the account neither ordered the certificate nor controls its names";
                return Err(Problem::new(Kind::Unauthorized, detail));
            }
            reason
        }
        Signer::Key(key) => {
            if !has_key(&der, key) {
                let detail = "the request is not signed by the key of the certificate";
                return Err(Problem::new(Kind::Unauthorized, detail));
            }
            KEY_COMPROMISE
        }
    };
    enter(&ca, &certificate.serial, reason)?;
    Ok(StatusCode::OK)
}

/// The record of a certificate that is, byte for byte, one of this CA's.
fn issued(ca: &Ca, der: &[u8]) -> Result<Certificate, Problem> {
    let (_, parsed) = X509Certificate::from_der(der)
        .map_err(|why| Problem::malformed(format!("the certificate cannot be parsed: {why}")))?;
    let serial = Serial::from_der(parsed.raw_serial());
    let found = ca.ledger.read(|books| books.certificate(&serial?).cloned())?;
    found
        .filter(|record| {
            x509_parser::pem::parse_x509_pem(record.pem.as_bytes())
                .is_ok_and(|(_, pem)| pem.contents == der)
        })
        .ok_or_else(|| Problem::not_found("certificate"))
}

fn has_key(der: &[u8], key: &PublicKey) -> bool {
    X509Certificate::from_der(der)
        .ok()
        .and_then(|(_, certificate)| PublicKey::from_spki(certificate.public_key()).ok())
        .is_some_and(|own| own == *key)
}

fn enter(ca: &Ca, serial: &Serial, reason: u8) -> Result<(), Problem> {
    let revoked = Some(Revocation { at: ca.now(), reason });
    ca.ledger.change(|books| {
        let certificate = books.certificate(serial);
        let certificate = certificate.ok_or_else(|| Problem::not_found("certificate"))?.clone();
        if certificate.revoked.is_some() {
            let detail = "the certificate has been revoked already";
            return Err(Problem::new(Kind::AlreadyRevoked, detail));
        }
        Ok(((), vec![Record::Certificate(Certificate { revoked, ..certificate })]))
    })
}

/// Serves the list of revoked certificates, signed anew for each request.
pub(super) async fn list(State(ca): State<Arc<Ca>>) -> Result<Response, Problem> {
    let now = ca.now();
    let list = ca.ledger.read(|books| ca.issuer.revocation_list(books.certificates(), now))?;
    let list = list.map_err(|why| Problem::internal(&why))?;
    Ok(([(header::CONTENT_TYPE, "application/pkix-crl")], list).into_response())
}
