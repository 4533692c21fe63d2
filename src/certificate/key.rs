//! Private keys: parsed or refused, wiped when dropped, printed only as their type.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// A kind of key pair a certificate may be ordered for.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyType {
    #[default]
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl KeyType {
    pub(crate) const ALL: [Self; 5] =
        [Self::P256, Self::P384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The word used on the command line and in settings.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why bytes are no private key that can be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum KeyError {
    #[error("no private key in it")]
    Absent,
    #[error("{count} private keys in it instead of one")]
    Several { count: usize },
    #[error("the private key is encrypted with a passphrase; an unattended renewal cannot use it")]
    Encrypted,
    #[error("the private key is damaged or of an unsupported type (known: {})", known())]
    Unusable,
    #[error("longer than any private key ({size} bytes)")]
    TooLarge { size: usize },
}

fn known() -> String {
    KeyType::ALL.map(KeyType::as_str).join(", ")
}

/// A private key with its public half. The secret is overwritten when the value is dropped.
pub(crate) struct Key {
    kind: KeyType,
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
}

impl Key {
    /// Reads PEM holding exactly one private key as PKCS#8, SEC 1 or PKCS#1.
    ///
    /// Other blocks and text beside the key are left alone, as in the combined file of a load balancer.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        todo!("{}", pem.len())
    }

    pub(crate) fn kind(&self) -> KeyType {
        self.kind
    }

    /// The public key as a certificate carries it: DER of `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The private key as DER of PKCS#8 (RFC 5958), whatever it was read from.
    pub(crate) fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The private key as one `PRIVATE KEY` block of PEM.
    pub(crate) fn pem(&self) -> Zeroizing<String> {
        todo!()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.kind)
    }
}
