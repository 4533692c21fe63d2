//! Certificate keys and signing requests.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::name::Identifier;

/// A kind of key a public CA certifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyAlgorithm {
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

#[derive(Debug, Error)]
pub(crate) enum CsrError {
    #[error("cannot make a key")]
    Generate(#[source] rcgen::Error),
    #[error("the certificate's key is unusable")]
    Key(#[source] rcgen::Error),
    #[error("cannot make the signing request")]
    Request(#[source] rcgen::Error),
}

/// Makes a private key as PKCS#8 PEM.
pub(crate) fn fresh_key(algorithm: KeyAlgorithm) -> Result<Zeroizing<String>, CsrError> {
    todo!()
}

/// Makes a signing request in DER: subject alternative names only, no common name.
pub(crate) fn csr(key_pem: &str, identifiers: &[Identifier]) -> Result<Vec<u8>, CsrError> {
    todo!()
}
