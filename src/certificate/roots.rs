//! Trust roots: what a chain must lead to.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;

/// Why bytes are no set of trust roots.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum RootsError {
    #[error("no certificate in it")]
    Empty,
    #[error("larger than any bundle of roots ({size} bytes)")]
    TooLarge { size: usize },
    #[error("it is not PEM, or it is damaged")]
    NotPem,
    #[error("certificate {position} cannot be a trust root")]
    Unusable { position: usize, source: webpki::Error },
}

/// Certificates taken as true: what a path must end at.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    const LARGEST: usize = 4 * 1024 * 1024;

    /// Reads PEM of one or more root certificates; the remarks usual in bundles do not matter.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, RootsError> {
        if pem.len() > Self::LARGEST {
            return Err(RootsError::TooLarge { size: pem.len() });
        }
        let mut anchors = Vec::new();
        for (index, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let der = der.map_err(|_| RootsError::NotPem)?;
            let anchor = webpki::anchor_from_trusted_cert(&der)
                .map_err(|source| RootsError::Unusable { position: index + 1, source })?;
            anchors.push(anchor.to_owned());
        }
        if anchors.is_empty() { Err(RootsError::Empty) } else { Ok(Self(anchors)) }
    }

    /// Holds the roots of a store the caller has read, such as the system's.
    ///
    /// A certificate that cannot be understood trusts nothing and is left out.
    pub(crate) fn from_ders<'a>(ders: impl IntoIterator<Item = CertificateDer<'a>>) -> Self {
        let anchor = |der: CertificateDer<'a>| {
            webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned()).ok()
        };
        Self(ders.into_iter().filter_map(anchor).collect())
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.0
    }
}
