//! The CA's own keys and certificates: two roots, an intermediate signed by both, and a root for TLS.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use time::OffsetDateTime;

use super::CaError;
use super::keep::{Keep, Locked};
use super::serial::Serial;
use crate::model::time::{Timestamp, Validity};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate of the CA's own, with the key it certifies.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

/// What is kept between processes; whoever finds the directory empty makes it.
pub(super) struct Authorities {
    /// Signs the certificate this CA shows as a server.
    pub(super) tls_root: Authority,
    /// Signs leaves and the CRL; certified by the first root.
    pub(super) intermediate: Authority,
    /// The same intermediate, certified by the second root: the alternate chain.
    pub(super) cross_pem: String,
    pub(super) root_pems: [String; 2],
}

/// File names, without `.pem` and `.key`.
pub(super) const TLS_ROOT: &str = "tls-root";
pub(super) const ROOTS: [&str; 2] = ["root-1", "root-2"];
const INTERMEDIATE: &str = "intermediate";
const CROSS: &str = "intermediate-cross";

pub(super) fn certificate_file(name: &str) -> String {
    format!("{name}.pem")
}

fn key_file(name: &str) -> String {
    format!("{name}.key")
}

impl Authorities {
    /// Loads what there is and makes what is missing.
    pub(super) fn open(keep: &Keep, now: Timestamp) -> Result<Self, CaError> {
        let maker = Maker { keep, locked: keep.lock()?, now };
        let tls_root = maker.root(TLS_ROOT, "acmeagent drill TLS root")?;
        let first = maker.root(ROOTS[0], "acmeagent drill root 1")?;
        let second = maker.root(ROOTS[1], "acmeagent drill root 2")?;
        let params = || maker.params("acmeagent drill intermediate 1", 3650 * DAY, 0);
        let intermediate = maker
            .authority(INTERMEDIATE, |key| Ok(params()?.signed_by(key, &first.issuer)?.pem()))?;
        let cross_pem = maker.certificate(CROSS, || {
            Ok(params()?.signed_by(intermediate.issuer.key(), &second.issuer)?.pem())
        })?;
        Ok(Self { tls_root, intermediate, cross_pem, root_pems: [first.pem, second.pem] })
    }
}

struct Maker<'a> {
    keep: &'a Keep,
    locked: Locked,
    now: Timestamp,
}

impl Maker<'_> {
    fn root(&self, name: &str, common_name: &str) -> Result<Authority, CaError> {
        self.authority(name, |key| {
            Ok(self.params(common_name, 7300 * DAY, 1)?.self_signed(key)?.pem())
        })
    }

    fn authority(
        &self,
        name: &str,
        certify: impl FnOnce(&KeyPair) -> Result<String, CaError>,
    ) -> Result<Authority, CaError> {
        let key = self.key(name)?;
        let pem = self.certificate(name, || certify(&key))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key)
            .map_err(|why| self.damaged(&certificate_file(name), &why))?;
        Ok(Authority { pem, issuer })
    }

    fn key(&self, name: &str) -> Result<KeyPair, CaError> {
        let file = key_file(name);
        if let Some(pem) = self.keep.read(&file)? {
            return KeyPair::from_pem(&pem).map_err(|why| self.damaged(&file, &why));
        }
        let key = KeyPair::generate()?;
        self.keep.write(&self.locked, &file, &key.serialize_pem())?;
        Ok(key)
    }

    /// The key is written first, so a certificate on disk always has its key.
    fn certificate(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, CaError>,
    ) -> Result<String, CaError> {
        let file = certificate_file(name);
        if let Some(pem) = self.keep.read(&file)? {
            return Ok(pem);
        }
        let pem = make()?;
        self.keep.write(&self.locked, &file, &pem)?;
        Ok(pem)
    }

    fn params(
        &self,
        common_name: &str,
        life: Duration,
        below: u8,
    ) -> Result<CertificateParams, CaError> {
        let not_before = self.now.minus(DAY);
        let mut params = params(Validity { not_before, not_after: not_before.plus(life) });
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }

    fn damaged(&self, file: &str, why: &rcgen::Error) -> CaError {
        CaError::Damaged { path: self.keep.path(file), why: why.to_string() }
    }
}

/// What every certificate of this CA begins with: a random serial, an explicit life, the issuer's key named.
pub(super) fn params(validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(Serial::random().as_bytes()));
    params.not_before = calendar(validity.not_before);
    params.not_after = calendar(validity.not_after);
    params.use_authority_key_identifier_extension = true;
    params
}

/// The form rcgen wants times in.
pub(super) fn calendar(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.unix()).expect("a Timestamp has a four-digit year")
}
