//! Certificates made for the tests of this room.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P521_SHA512,
};
use time::{Duration, OffsetDateTime};

use crate::model::time::Timestamp;

/// The present of every test.
pub(super) const NOW: &str = "2026-11-22T12:00:00Z";

pub(super) fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// So many hours after the present, as the maker of certificates wants it.
pub(super) fn hours(count: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(now().unix()).unwrap() + Duration::hours(count)
}

/// A CA that signs what a test asks for.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(super) fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(ca_params(name), key).unwrap())
    }

    pub(super) fn root_with_p521(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        Self(CertifiedIssuer::self_signed(ca_params(name), key).unwrap())
    }

    pub(super) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_of(ca_params(name))
    }

    pub(super) fn intermediate_of(&self, params: CertificateParams) -> Self {
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    pub(super) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> String {
        params.signed_by(key, &self.0).unwrap().pem()
    }

    /// A leaf of 160 hours for these names, with its key.
    pub(super) fn leaf(&self, names: &[&str]) -> (String, String) {
        self.leaf_of(&leaf_params(names))
    }

    pub(super) fn leaf_of(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (self.sign(params, &key), key.serialize_pem())
    }
}

pub(super) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (hours(-1000), hours(10_000));
    params
}

pub(super) fn leaf_params(names: &[&str]) -> CertificateParams {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (hours(-1), hours(159));
    params
}
