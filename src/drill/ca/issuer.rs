//! Signing: leaves, the revocation list, and the certificate this CA shows as a server.

use std::net::IpAddr;

use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::authority::{Authorities, calendar, params};
use super::ledger::{Certificate, Revocation};
use super::profile::Profile;
use super::serial::Serial;
use crate::model::name::Identifier;
use crate::model::time::{Timestamp, Validity};

/// The longest common name X.520 allows; a longer DNS name gets none.
const LONGEST_COMMON_NAME: usize = 64;
/// Until when a client may believe a revocation list it fetched.
const CRL_LIFE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What goes into one leaf.
pub(super) struct Leaf<'a> {
    pub(super) serial: &'a Serial,
    pub(super) identifiers: &'a [Identifier],
    pub(super) profile: Profile,
    pub(super) validity: Validity,
    /// DER of the SubjectPublicKeyInfo.
    pub(super) spki: &'a [u8],
    pub(super) crl_url: String,
}

/// The key that signs, and the chains it is part of.
pub(super) struct Issuer {
    authorities: Authorities,
    /// Key identifier of the intermediate, as leaves and certificate identifiers name it.
    pub(super) key_id: Vec<u8>,
}

impl Issuer {
    pub(super) fn new(authorities: Authorities) -> Self {
        let key = authorities.intermediate.issuer.key();
        let key_id = CertificateParams::default().key_identifier(key);
        Self { authorities, key_id }
    }

    pub(super) fn tls_root_pem(&self) -> &str {
        &self.authorities.tls_root.pem
    }

    pub(super) fn root_pems(&self) -> &[String] {
        &self.authorities.root_pems
    }

    /// What follows a leaf: the default first, then the alternate.
    pub(super) fn chains(&self) -> [&str; 2] {
        [&self.authorities.intermediate.pem, &self.authorities.cross_pem]
    }

    /// Signs a leaf and returns it as PEM.
    pub(super) fn sign(&self, leaf: Leaf<'_>) -> Result<String, rcgen::Error> {
        let key = SubjectPublicKeyInfo::from_der(leaf.spki)?;
        let mut params = params(leaf.validity);
        params.serial_number = Some(SerialNumber::from_slice(leaf.serial.as_bytes()));
        params.subject_alt_names = alternative_names(leaf.identifiers)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![leaf.crl_url] }];
        if leaf.profile.is_traditional() {
            params.is_ca = IsCa::ExplicitNoCa;
            let rsa = rcgen::PublicKeyData::algorithm(&key) == &rcgen::PKCS_RSA_SHA256;
            params.key_usages.extend(rsa.then_some(KeyUsagePurpose::KeyEncipherment));
            let name = leaf.identifiers.iter().map(Identifier::to_string);
            if let Some(name) = name.into_iter().find(|name| name.len() <= LONGEST_COMMON_NAME) {
                params.distinguished_name.push(DnType::CommonName, name);
            }
        }
        Ok(params.signed_by(&key, &self.authorities.intermediate.issuer)?.pem())
    }

    /// Signs the list of what is revoked and has not expired (RFC 5280 §5), as DER.
    pub(super) fn revocation_list<'a>(
        &self,
        certificates: impl Iterator<Item = &'a Certificate>,
        now: Timestamp,
    ) -> Result<Vec<u8>, rcgen::Error> {
        let revoked = certificates
            .filter(|certificate| certificate.validity.not_after >= now)
            .filter_map(|certificate| Some((&certificate.serial, certificate.revoked?)))
            .map(|(serial, revocation)| entry(serial, revocation))
            .collect();
        let list = CertificateRevocationListParams {
            this_update: calendar(now),
            next_update: calendar(now.plus(CRL_LIFE)),
            crl_number: SerialNumber::from(now.unix().unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::PreSpecified(self.key_id.clone()),
        };
        Ok(list.signed_by(&self.authorities.intermediate.issuer)?.der().to_vec())
    }

    /// Makes the certificate and key this CA shows as a server on `addresses` and as `localhost`.
    pub(super) fn server_identity(
        &self,
        addresses: &[IpAddr],
        validity: Validity,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(validity);
        params.subject_alt_names = vec![SanType::DnsName("localhost".try_into()?)];
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.authorities.tls_root.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), key.into()))
    }
}

fn alternative_names(identifiers: &[Identifier]) -> Result<Vec<SanType>, rcgen::Error> {
    let name = |identifier: &Identifier| match identifier {
        Identifier::Dns(name) => Ok(SanType::DnsName(name.as_str().try_into()?)),
        Identifier::Ip(ip) => Ok(SanType::IpAddress(*ip)),
    };
    identifiers.iter().map(name).collect()
}

fn entry(serial: &Serial, revocation: Revocation) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial.as_bytes()),
        revocation_time: calendar(revocation.at),
        reason_code: match revocation.reason {
            1 => Some(RevocationReason::KeyCompromise),
            3 => Some(RevocationReason::AffiliationChanged),
            4 => Some(RevocationReason::Superseded),
            5 => Some(RevocationReason::CessationOfOperation),
            // RFC 5280 §5.3.1: "unspecified" is said by leaving the reason out.
            _ => None,
        },
        invalidity_date: None,
    }
}
