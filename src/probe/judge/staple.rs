//! Stapled OCSP responses (RFC 6960).

use std::time::Duration;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Header, Reader, SliceReader};
use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus,
    SingleResponse,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use super::CLOCK_SKEW;
use crate::model::time::Timestamp;

/// Why a stapled response does not speak for the certificate.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum StapleError {
    #[error("the stapled OCSP response is malformed")]
    Malformed,
    #[error("the stapled OCSP response only says {status}")]
    Unsuccessful { status: &'static str },
    #[error("the stapled OCSP response is about another certificate")]
    Foreign,
    #[error("the stapled OCSP response is not signed by the certificate's issuer")]
    Unsigned,
    #[error("the stapled OCSP response says its CA does not know the certificate")]
    Unknown,
    #[error("the stapled OCSP response was good from {from} until {until}")]
    Stale { from: Timestamp, until: Timestamp },
    #[error("the certificate was revoked at {at}, says the stapled OCSP response")]
    Revoked { at: Timestamp },
}

/// How long a response is good that does not say how long.
const UNTOLD_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const OCSP_BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// DER of id-kp-OCSPSigning, the right to answer in the issuer's place (RFC 6960 §4.2.2.2).
const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];

/// Judges a response stapled to the first of these certificates.
///
/// Without the issuer's certificate there is nothing to judge it by, and it passes: whoever does
/// not have the issuer has found the chain wanting already.
pub(super) fn verify(
    staple: &[u8],
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<(), StapleError> {
    let [leaf, issuer, ..] = chain else { return Ok(()) };
    let basic = basic_response(staple)?;
    let parse = |der| parse_x509_certificate(der).map_err(|_| StapleError::Malformed);
    let (leaf, parsed_issuer) = (parse(leaf)?.1, parse(issuer)?.1);
    let (basic, signed) = (BasicOcspResponse::from_der(&basic).map_err(malformed)?, &basic);
    let answers = &basic.tbs_response_data.responses;
    let about_leaf = |one: &&SingleResponse| is_about(&one.cert_id, &leaf, &parsed_issuer);
    let answer = answers.iter().find(about_leaf).ok_or(StapleError::Foreign)?;
    if !is_signed(&basic, signed, issuer, now) {
        return Err(StapleError::Unsigned);
    }
    is_fresh(answer, now)?;
    match answer.cert_status {
        CertStatus::Good(_) => Ok(()),
        CertStatus::Unknown(_) => Err(StapleError::Unknown),
        CertStatus::Revoked(info) => {
            Err(StapleError::Revoked { at: timestamp(&info.revocation_time) })
        }
    }
}

fn malformed(_: der::Error) -> StapleError {
    StapleError::Malformed
}

/// The DER of the basic response within.
fn basic_response(staple: &[u8]) -> Result<Vec<u8>, StapleError> {
    let response = OcspResponse::from_der(staple).map_err(malformed)?;
    let status = match response.response_status {
        OcspResponseStatus::Successful => None,
        OcspResponseStatus::MalformedRequest => Some("malformedRequest"),
        OcspResponseStatus::InternalError => Some("internalError"),
        OcspResponseStatus::TryLater => Some("tryLater"),
        OcspResponseStatus::SigRequired => Some("sigRequired"),
        OcspResponseStatus::Unauthorized => Some("unauthorized"),
    };
    if let Some(status) = status {
        return Err(StapleError::Unsuccessful { status });
    }
    let bytes = response.response_bytes.filter(|bytes| bytes.response_type == OCSP_BASIC);
    Ok(bytes.ok_or(StapleError::Malformed)?.response.into_bytes())
}

fn is_about(id: &CertId, leaf: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let algorithm = match id.hash_algorithm.oid {
        SHA_1 => &SHA1_FOR_LEGACY_USE_ONLY,
        SHA_256 => &SHA256,
        _ => return false,
    };
    let is = |hash: &[u8], of: &[u8]| digest::digest(algorithm, of).as_ref() == hash;
    let number = |serial: &[u8]| -> Vec<u8> {
        serial.iter().copied().skip_while(|byte| *byte == 0).collect()
    };
    is(id.issuer_name_hash.as_bytes(), leaf.issuer().as_raw())
        && is(id.issuer_key_hash.as_bytes(), &issuer.public_key().subject_public_key.data)
        && number(id.serial_number.as_bytes()) == number(leaf.raw_serial())
}

/// Whether the issuer has signed, or somebody in its place (RFC 6960 §4.2.2.2).
fn is_signed(
    basic: &BasicOcspResponse,
    der: &[u8],
    issuer: &CertificateDer<'_>,
    now: Timestamp,
) -> bool {
    let Ok(content) = signed_content(der) else { return false };
    let made_by = |signer: &CertificateDer<'_>| signature_holds(basic, content, signer);
    if made_by(issuer) {
        return true;
    }
    let delegates = basic.certs.iter().flatten().filter_map(|signer| signer.to_der().ok());
    // One is all that a response needs; more would only cost time.
    delegates
        .take(1)
        .map(CertificateDer::from)
        .any(|delegate| may_answer(&delegate, issuer, now).is_ok() && made_by(&delegate))
}

/// The bytes under the signature, as they were sent.
fn signed_content(basic: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(basic)?;
    Header::decode(&mut reader)?;
    reader.tlv_bytes()
}

fn signature_holds(basic: &BasicOcspResponse, content: &[u8], signer: &CertificateDer<'_>) -> bool {
    let Ok(signer) = EndEntityCert::try_from(signer) else { return false };
    let Ok(algorithm) = basic.signature_algorithm.to_der() else { return false };
    let Some(signature) = basic.signature.as_bytes() else { return false };
    // What follows tag and length of the identifier, which is always short.
    let named = |known: &&&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        algorithm.get(2..) == Some(known.signature_alg_id().as_ref())
    };
    ALL_VERIFICATION_ALGS
        .iter()
        .filter(named)
        .any(|known| signer.verify_signature(*known, content, signature).is_ok())
}

fn may_answer(
    delegate: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<(), webpki::Error> {
    let anchors = [anchor_from_trusted_cert(issuer)?];
    let now = Duration::from_secs(u64::try_from(now.unix()).unwrap_or(0));
    let (now, usage) = (UnixTime::since_unix_epoch(now), KeyUsage::required(OCSP_SIGNING));
    let (delegate, algorithms) = (EndEntityCert::try_from(delegate)?, ALL_VERIFICATION_ALGS);
    let path = delegate.verify_for_usage(algorithms, &anchors, &[], now, usage, None, None);
    path.map(drop)
}

fn is_fresh(answer: &SingleResponse, now: Timestamp) -> Result<(), StapleError> {
    let from = timestamp(&answer.this_update);
    let until = answer.next_update.as_ref().map_or(from.plus(UNTOLD_LIFE), timestamp);
    match from <= now.plus(CLOCK_SKEW) && now <= until.plus(CLOCK_SKEW) {
        true => Ok(()),
        false => Err(StapleError::Stale { from, until }),
    }
}

fn timestamp(time: &OcspGeneralizedTime) -> Timestamp {
    let seconds = time.0.to_unix_duration().as_secs();
    Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
