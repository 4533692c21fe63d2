//! Certificate chains: parsed completely or refused.

use std::collections::BTreeSet;

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use url::Url;

use super::{AriId, Fingerprint};
use crate::model::name::Identifier;
use crate::model::time::{Timestamp, Validity};

/// Why bytes are no certificate chain.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum ChainError {
    #[error("no certificate in it")]
    Empty,
    #[error("larger than any certificate chain ({size} bytes)")]
    TooLarge { size: usize },
    #[error("more than {most} certificates in it")]
    TooMany { most: usize },
    #[error("it holds a private key beside certificates")]
    HoldsKey,
    #[error("it holds a block that is no certificate: {label:?}")]
    ForeignBlock { label: String },
    #[error("it holds something beside certificates, at line {line}")]
    Junk { line: usize },
    #[error("it is not PEM")]
    NotPem,
    #[error("certificate {position} is malformed: {why}")]
    Malformed { position: usize, why: String },
}

/// A certificate and the ones that vouch for it, leaf first; never empty.
///
/// Every certificate was parsed. Nothing else is promised: see [`super::verify()`].
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    ders: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads PEM of nothing but certificates, as a CA sends it (RFC 8555 §7.4.2).
    ///
    /// An order other than leaf first, each signed by the next, is repaired when the signatures
    /// leave exactly one way to do so; otherwise it stays as given, and verification will say why.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, ChainError> {
        todo!("{}", pem.len())
    }

    /// The whole chain, re-encoded: the content of `fullchain.pem`.
    pub(crate) fn pem(&self) -> String {
        todo!()
    }

    /// The leaf alone: the content of `cert.pem`.
    pub(crate) fn leaf_pem(&self) -> String {
        todo!()
    }

    /// Everything but the leaf, perhaps nothing: the content of `chain.pem`.
    pub(crate) fn issuers_pem(&self) -> String {
        todo!()
    }

    pub(crate) fn ders(&self) -> &[CertificateDer<'static>] {
        &self.ders
    }

    /// The leaf's fingerprint.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        todo!()
    }

    /// The leaf's serial number: its DER octets in lower-case hex, leading zero included.
    pub(crate) fn serial(&self) -> String {
        todo!()
    }

    /// The leaf's own dates; [`Chain::earliest_expiry`] tells when the chain as a whole ends.
    pub(crate) fn validity(&self) -> Validity {
        todo!()
    }

    /// What the leaf certifies, by its subject alternative names alone (RFC 9525 §2).
    pub(crate) fn identifiers(&self) -> BTreeSet<Identifier> {
        todo!()
    }

    /// The leaf's public key: DER of `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> &[u8] {
        todo!()
    }

    /// For each certificate the common name of its issuer, else the organisation, leaf first.
    pub(crate) fn issuer_names(&self) -> Vec<String> {
        todo!()
    }

    /// The leaf's name in ARI; `None` without an authority key identifier: then there is no ARI.
    pub(crate) fn ari_id(&self) -> Option<AriId> {
        todo!()
    }

    /// When the first certificate of the chain expires.
    pub(crate) fn earliest_expiry(&self) -> Timestamp {
        todo!()
    }

    /// Where the leaf says its revocation list is found; http and https addresses only.
    pub(crate) fn crl_urls(&self) -> Vec<Url> {
        todo!()
    }
}
