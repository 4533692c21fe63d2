//! Certificate chains: parsed completely or refused.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1, UnparsedPublicKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::parse_x509_certificate;

use super::facts::Facts;
use super::pem::{self, Outline};
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
    facts: Vec<Facts>,
    broken: Option<usize>,
}

impl Chain {
    const LARGEST: usize = 256 * 1024;
    const LONGEST: usize = 10;

    /// Reads PEM of nothing but certificates, as a CA sends it (RFC 8555 §7.4.2).
    ///
    /// An order other than leaf first, each signed by the next, is repaired when the signatures
    /// leave exactly one way to do so; otherwise it stays as given, and verification will say why.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, ChainError> {
        Self::from_ders(decode(pem)?)
    }

    /// Takes certificates as a server sends them; otherwise as [`Chain::parse`].
    pub(crate) fn from_ders(ders: Vec<CertificateDer<'static>>) -> Result<Self, ChainError> {
        match ders.len() {
            0 => return Err(ChainError::Empty),
            count if count > Self::LONGEST => {
                return Err(ChainError::TooMany { most: Self::LONGEST });
            }
            _ => {}
        }
        let parsed = ders.iter().enumerate().map(|(index, der)| understand(index + 1, der));
        let mut parsed = parsed.collect::<Result<Vec<_>, _>>()?;
        let mut order = (0..ders.len()).collect::<Vec<_>>();
        if first_broken(&parsed).is_some() {
            order = provable_order(&parsed).unwrap_or(order);
            parsed = order.iter().map(|&index| parsed[index].clone()).collect();
        }
        let broken = first_broken(&parsed);
        let facts = parsed.iter().zip(&order).map(|(certificate, index)| {
            Facts::of(certificate).map_err(|error| malformed(index + 1, &error))
        });
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        let ders = order.iter().map(|&index| ders[index].clone()).collect();
        Ok(Self { ders, facts, broken })
    }

    fn leaf(&self) -> &Facts {
        self.facts.first().expect("a chain is never empty")
    }

    /// The facts of every certificate, leaf first.
    pub(super) fn facts(&self) -> &[Facts] {
        &self.facts
    }

    /// The index of the first certificate that is not signed by the one after it.
    pub(super) fn broken(&self) -> Option<usize> {
        self.broken
    }

    /// The whole chain, re-encoded: the content of `fullchain.pem`.
    pub(crate) fn pem(&self) -> String {
        encode(&self.ders)
    }

    /// The leaf alone: the content of `cert.pem`.
    pub(crate) fn leaf_pem(&self) -> String {
        encode(&self.ders[..1])
    }

    /// Everything but the leaf, perhaps nothing: the content of `chain.pem`.
    pub(crate) fn issuers_pem(&self) -> String {
        encode(&self.ders[1..])
    }

    pub(crate) fn ders(&self) -> &[CertificateDer<'static>] {
        &self.ders
    }

    /// The leaf's fingerprint.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.leaf().fingerprint
    }

    /// The leaf's serial number: its DER octets in lower-case hex, leading zero included.
    pub(crate) fn serial(&self) -> String {
        self.leaf().serial.clone()
    }

    /// The leaf's own dates; [`Chain::earliest_expiry`] tells when the chain as a whole ends.
    pub(crate) fn validity(&self) -> Validity {
        self.leaf().validity
    }

    /// What the leaf certifies, by its subject alternative names alone (RFC 9525 §2).
    pub(crate) fn identifiers(&self) -> BTreeSet<Identifier> {
        self.leaf().identifiers.clone()
    }

    /// The leaf's public key: DER of `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.leaf().spki
    }

    /// SHA-256 of the leaf's public key (SPKI) in lower-case hex.
    pub(crate) fn key_fingerprint(&self) -> String {
        Fingerprint::of(self.spki()).to_string()
    }

    /// For each certificate the common name of its issuer, else the organisation, leaf first.
    ///
    /// As the certificates have it: escape it before printing.
    pub(crate) fn issuer_names(&self) -> Vec<String> {
        self.facts.iter().map(|facts| facts.issuer.clone()).collect()
    }

    /// The leaf's name in ARI; `None` without an authority key identifier: then there is no ARI.
    pub(crate) fn ari_id(&self) -> Option<AriId> {
        self.leaf().ari_id.clone()
    }

    /// When the first certificate of the chain expires.
    pub(crate) fn earliest_expiry(&self) -> Timestamp {
        let expiries = self.facts.iter().map(|facts| facts.validity.not_after);
        expiries.min().expect("a chain is never empty")
    }
}

fn decode(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ChainError> {
    if pem.len() > Chain::LARGEST {
        return Err(ChainError::TooLarge { size: pem.len() });
    }
    let Outline { labels, stray } = Outline::of(pem);
    if let Some(label) = labels.iter().find(|label| *label != pem::CERTIFICATE) {
        let key = pem::is_key(label);
        let label = label.chars().take(80).collect();
        return Err(if key { ChainError::HoldsKey } else { ChainError::ForeignBlock { label } });
    }
    match (labels.len(), stray) {
        (0, None) => return Err(ChainError::Empty),
        (0, Some(_)) => return Err(ChainError::NotPem),
        (_, Some(line)) => return Err(ChainError::Junk { line }),
        (count, None) if count > Chain::LONGEST => {
            return Err(ChainError::TooMany { most: Chain::LONGEST });
        }
        (_, None) => {}
    }
    let ders = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    ders.ok().filter(|ders| ders.len() == labels.len()).ok_or(ChainError::NotPem)
}

fn encode(ders: &[CertificateDer<'_>]) -> String {
    ders.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect()
}

fn malformed(position: usize, why: &dyn std::fmt::Display) -> ChainError {
    ChainError::Malformed { position, why: why.to_string() }
}

fn understand<'a>(
    position: usize,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, ChainError> {
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(malformed(position, &"something follows its end")),
        Err(error) => Err(malformed(position, &error)),
    }
}

fn first_broken(certificates: &[X509Certificate<'_>]) -> Option<usize> {
    certificates.windows(2).position(|pair| !is_signed_by(&pair[0], &pair[1]))
}

/// The one order in which every certificate, the only non-CA first, is signed by the next.
fn provable_order(certificates: &[X509Certificate<'_>]) -> Option<Vec<usize>> {
    let only = |mut candidates: Vec<usize>| (candidates.len() == 1).then(|| candidates.remove(0));
    let mut left = (0..certificates.len()).collect::<Vec<_>>();
    let leaves = left.iter().copied().filter(|&index| !certificates[index].is_ca());
    let mut order = vec![only(leaves.collect())?];
    while order.len() < certificates.len() {
        let last = *order.last()?;
        left.retain(|index| *index != last);
        let signs = |issuer: &usize| is_signed_by(&certificates[last], &certificates[*issuer]);
        order.push(only(left.iter().copied().filter(signs).collect())?);
    }
    Some(order)
}

fn is_signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    if certificate.issuer().as_raw() != issuer.subject().as_raw() {
        return false;
    }
    match certificate.verify_signature(Some(issuer.public_key())) {
        Err(X509Error::SignatureUnsupportedAlgorithm) => is_signed_with_p521(certificate, issuer),
        verdict => verdict.is_ok(),
    }
}

/// The one combination private CAs use that the parser's own verification does not know.
fn is_signed_with_p521(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let key = &issuer.public_key().subject_public_key.data;
    let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_ASN1, key);
    key.verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CrlDistributionPoint, DnType, Issuer, KeyPair, SanType, SerialNumber};

    use super::super::sample::{Ca, ca_params, hours, leaf_params};
    use super::*;

    /// RFC 9773, Appendix A: a year 1, no alternative name.
    const APPENDIX_A: &str = "-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
";

    fn parse(pem: &str) -> Chain {
        Chain::parse(pem.as_bytes()).unwrap()
    }

    fn identifiers(names: &[&str]) -> BTreeSet<Identifier> {
        names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
    }

    #[test]
    fn the_certificate_of_rfc_9773() {
        let chain = parse(APPENDIX_A);
        assert_eq!(chain.ari_id().unwrap().as_str(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        assert_eq!(chain.serial(), "0087654321");
        assert_eq!(chain.validity().not_after.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(chain.identifiers(), BTreeSet::new());
        assert_eq!(chain.issuer_names(), ["Example CA"]);
        assert_eq!(chain.pem(), APPENDIX_A);
    }

    #[test]
    fn the_facts_of_a_chain() {
        let root = Ca::root("Root");
        let mut params = ca_params("not shown");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Organisation");
        params.not_after = hours(20);
        let issuer = root.intermediate_of(params);
        let mut params = leaf_params(&["a.example", "*.b.example", "192.0.2.10", "2001:db8::1"]);
        params.subject_alt_names.push(SanType::Rfc822Name("x@a.example".try_into().unwrap()));
        params.serial_number = Some(SerialNumber::from(vec![0x80, 0, 0, 0, 0, 0, 0xff]));
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: ["ldap://x/", "http://crl.example/1", "no url"].map(str::to_owned).to_vec(),
        }];
        let (leaf, key) = issuer.leaf_of(&params);
        let chain = parse(&format!("{leaf}{}", issuer.pem()));

        let names = ["a.example", "*.b.example", "192.0.2.10", "2001:db8::1"];
        assert_eq!(chain.identifiers(), identifiers(&names));
        assert_eq!(chain.leaf().other_names.len(), 1);
        assert_eq!(chain.issuer_names(), ["Organisation", "Root"]);
        assert_eq!(chain.serial(), "00800000000000ff");
        assert!(chain.ari_id().unwrap().as_str().ends_with(".AIAAAAAAAP8"));
        assert_eq!(chain.earliest_expiry().unix(), hours(20).unix_timestamp());
        assert_eq!(chain.fingerprint(), Fingerprint::of(&chain.ders()[0]));
        assert_eq!(chain.spki(), super::super::Key::parse(key.as_bytes()).unwrap().spki());
        assert_eq!(chain.pem(), chain.leaf_pem() + &chain.issuers_pem());
        assert_eq!(parse(&chain.leaf_pem()).issuers_pem(), "");
    }

    #[test]
    fn without_key_identifier_there_is_no_ari() {
        let mut params = leaf_params(&["a.example"]);
        params.use_authority_key_identifier_extension = false;
        let chain = parse(&Ca::root("Root").leaf_of(&params).0);
        assert_eq!(chain.ari_id(), None);
    }

    #[test]
    fn order_is_repaired_only_when_proven() {
        let root = Ca::root("Root");
        let outer = root.intermediate("Outer");
        let inner = outer.intermediate("Inner");
        let twin = outer.intermediate("Inner");
        let leaf = inner.leaf(&["a.example"]).0;
        let other_leaf = inner.leaf(&["b.example"]).0;
        let (root, outer, inner, twin) = (root.pem(), outer.pem(), inner.pem(), twin.pem());
        let right = [&leaf, &inner, &outer, &root];
        let table = [
            (vec![&leaf, &inner, &outer, &root], true),
            (vec![&root, &outer, &inner, &leaf], true),
            (vec![&outer, &leaf, &root, &inner], true),
            (vec![&leaf, &outer, &inner], true),
            (vec![&outer, &leaf], false),
            (vec![&leaf, &twin, &outer], false),
            (vec![&inner, &leaf, &other_leaf], false),
            (vec![&root, &leaf, &inner], false),
        ];
        for (given, repaired) in table {
            let text = |pems: &[&String]| pems.iter().map(|pem| pem.as_str()).collect::<String>();
            let chain = parse(&text(&given));
            let wanted = if repaired { &right[..given.len()] } else { &given[..] };
            assert_eq!(chain.pem(), text(wanted));
            assert_eq!(chain.broken().is_none(), repaired);
        }
    }

    #[test]
    fn with_two_ways_the_order_stays() {
        let (key, other) = (KeyPair::generate().unwrap(), Ca::root("Other"));
        let params = ca_params("Root");
        let (own, cross) = (params.self_signed(&key).unwrap().pem(), other.sign(&params, &key));
        let leaf = leaf_params(&["a.example"]);
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(params, key)).unwrap().pem();
        let given = [own, cross, other.pem(), leaf].concat();
        assert_eq!(parse(&given).pem(), given);
    }

    #[test]
    fn p521_signatures_count() {
        let root = Ca::root_with_p521("Root");
        let chain = parse(&format!("{}{}", root.leaf(&["a.example"]).0, root.pem()));
        assert_eq!(chain.broken(), None);
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let (leaf, key) = Ca::root("Root").leaf(&["a.example"]);
        let der = parse(&leaf).ders()[0].to_vec();
        let trailing = pem::encode(pem::CERTIFICATE, &[&der[..], b"x"].concat());
        let cut = pem::encode(pem::CERTIFICATE, &der[..der.len() - 1]);
        let damaged = leaf.replace("-----END CERTIFICATE-----", "");
        let foreign = pem::encode("X509 CRL", &der);
        let table = [
            (String::new(), "no certificate in it"),
            ("<html>".to_owned(), "it is not PEM"),
            (format!("{leaf}{key}"), "it holds a private key beside certificates"),
            (key, "it holds a private key beside certificates"),
            (format!("{leaf}{foreign}"), "it holds a block that is no certificate: \"X509 CRL\""),
            (format!("a\n{leaf}"), "it holds something beside certificates, at line 1"),
            (leaf.repeat(11), "more than 10 certificates in it"),
            ("x".repeat(256 * 1024 + 1), "larger than any certificate chain (262145 bytes)"),
            (trailing, "certificate 1 is malformed: something follows its end"),
            (format!("{leaf}{cut}"), "certificate 2 is malformed"),
            (damaged, "it is not PEM"),
        ];
        for (text, why) in table {
            let error = Chain::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Chain::parse(&bytes).is_err());
            prop_assert!(Chain::parse(pem::encode(pem::CERTIFICATE, &bytes).as_bytes()).is_err());
        }

        #[test]
        fn a_changed_byte_never_panics(index in 0_usize..320, byte in any::<u8>()) {
            let mut der = parse(APPENDIX_A).ders()[0].to_vec();
            der[index] = byte;
            if let Ok(chain) = Chain::parse(pem::encode(pem::CERTIFICATE, &der).as_bytes()) {
                prop_assert_eq!(chain.ders()[0].as_ref(), der.as_slice());
            }
        }
    }
}
