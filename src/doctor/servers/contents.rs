//! What lies at the end of a path of a configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::certificate::Chain;
use crate::deploy::files;
use crate::model::name::Identifier;

/// A file a server is told to read, as far as we may.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Where it really lies, links resolved; `None` where there is nothing.
    pub(super) lies_at: Option<PathBuf>,
    pub(super) certificates: usize,
    pub(super) has_key: bool,
    /// Fingerprint and names of the first certificate.
    pub(super) leaf: Option<(String, BTreeSet<Identifier>)>,
}

impl Contents {
    pub(super) fn of(path: &Path) -> Self {
        let lies_at = match path.canonicalize() {
            Ok(real) => Some(real),
            // What may not be looked at may well be there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => Some(path.to_owned()),
        };
        let bytes = Zeroizing::new(files::bytes(path).unwrap_or_default());
        let ders: Vec<_> = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
        let certificates = ders.len();
        let leaf = ders.into_iter().next().and_then(|der| Chain::from_ders(vec![der]).ok());
        Self {
            lies_at,
            certificates,
            has_key: PrivateKeyDer::from_pem_slice(&bytes).is_ok(),
            leaf: leaf.map(|leaf| (leaf.fingerprint().to_string(), leaf.identifiers())),
        }
    }
}
