//! Trust roots: what a chain must lead to.

use rustls::pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;

use super::ChainError;

/// Why bytes are no set of trust roots.
#[derive(Debug, Error)]
pub(crate) enum RootsError {
    #[error("the trust roots cannot be read")]
    Pem(#[source] ChainError),
    #[error("certificate {position} cannot be a trust root")]
    Unusable { position: usize, source: webpki::Error },
}

/// Certificates taken as true: what a path must end at.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// Reads PEM of one or more root certificates.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, RootsError> {
        todo!("{}", pem.len())
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
