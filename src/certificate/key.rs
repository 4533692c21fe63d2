//! Private keys: parsed or refused, wiped when dropped, printed only as their type.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::pem::{self, Outline};

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
    /// A combined file with a long chain fits; nothing that would cost time to read does.
    const LARGEST: usize = 512 * 1024;

    /// Reads PEM holding exactly one private key as PKCS#8, SEC 1 or PKCS#1.
    ///
    /// Other blocks and text beside the key are left alone, as in the combined file of a load balancer.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        if pem.len() > Self::LARGEST {
            return Err(KeyError::TooLarge { size: pem.len() });
        }
        match Outline::of(pem).keys() {
            0 => Err(KeyError::Absent),
            1 if is_encrypted(pem) => Err(KeyError::Encrypted),
            1 => Self::from_der(&decode(pem)?),
            count => Err(KeyError::Several { count }),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        ec(der, KeyType::P256, &ECDSA_P256_SHA256_ASN1_SIGNING)
            .or_else(|| ec(der, KeyType::P384, &ECDSA_P384_SHA384_ASN1_SIGNING))
            .or_else(|| rsa(der))
            .ok_or(KeyError::Unusable)
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
        Zeroizing::new(pem::encode(pem::PRIVATE_KEY, &self.pkcs8))
    }
}

/// Whether a passphrase protects the key, by PKCS#8 or by the older PEM headers (RFC 1421 §4.6).
fn is_encrypted(pem: &[u8]) -> bool {
    let says = |what: &[u8]| pem.windows(what.len()).any(|window| window == what);
    says(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || says(b"Proc-Type: 4,ENCRYPTED")
}

fn decode(pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    use SectionKind::{EcPrivateKey, PrivateKey, RsaPrivateKey};
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = block.map_err(|_| KeyError::Unusable)?;
        if matches!(kind, EcPrivateKey | PrivateKey | RsaPrivateKey) {
            return Ok(Zeroizing::new(der));
        }
    }
    Err(KeyError::Unusable)
}

fn ec(der: &[u8], kind: KeyType, curve: &'static EcdsaSigningAlgorithm) -> Option<Key> {
    let pair = EcdsaKeyPair::from_private_key_der(curve, der).ok()?;
    let pkcs8 = Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec());
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some(Key { kind, pkcs8, spki: spki.as_ref().to_vec() })
}

fn rsa(der: &[u8]) -> Option<Key> {
    let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok()?;
    let kind = match pair.public_modulus_len() {
        256 => KeyType::Rsa2048,
        384 => KeyType::Rsa3072,
        512 => KeyType::Rsa4096,
        _ => return None,
    };
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
    Some(Key { kind, pkcs8, spki: spki.as_ref().to_vec() })
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Runs openssl, an implementation that shares nothing with ours, and returns what it prints.
    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output.stdout
    }

    fn generated(kind: KeyType) -> Vec<u8> {
        match kind {
            KeyType::P256 => openssl(&["ecparam", "-name", "prime256v1", "-genkey"]),
            KeyType::P384 => openssl(&["ecparam", "-name", "secp384r1", "-genkey", "-noout"]),
            KeyType::Rsa2048 => openssl(&["genrsa", "-traditional", "2048"]),
            KeyType::Rsa3072 => openssl(&["genrsa", "-traditional", "3072"]),
            KeyType::Rsa4096 => openssl(&["genrsa", "-traditional", "4096"]),
        }
    }

    #[test]
    fn every_type_is_read_in_both_forms() {
        for kind in KeyType::ALL {
            let old = generated(kind);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&old).unwrap();
            let path = file.path().to_str().unwrap();
            let key = Key::parse(&old).unwrap();
            let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", path]);
            assert_eq!(Key::parse(&pkcs8).unwrap().spki(), key.spki());
            assert_eq!(key.kind(), kind);
            assert_eq!(openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]), key.spki());
            let again = Key::parse(key.pem().as_bytes()).unwrap();
            assert_eq!((again.pkcs8_der(), again.kind()), (key.pkcs8_der(), kind));
        }
    }

    #[test]
    fn what_is_no_usable_key_is_refused() {
        let key = generated(KeyType::P256);
        let encrypted =
            openssl(&["genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:x"]);
        let ed25519 = openssl(&["genpkey", "-algorithm", "ED25519"]);
        let certificate = pem::encode(pem::CERTIFICATE, b"c").into_bytes();
        let cut = key[..key.len() - 40].to_vec();
        let old_style = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_vec();
        let table = [
            (Vec::new(), KeyError::Absent),
            (certificate, KeyError::Absent),
            ([&key[..], &key[..]].concat(), KeyError::Several { count: 2 }),
            (encrypted, KeyError::Encrypted),
            (old_style, KeyError::Encrypted),
            (ed25519, KeyError::Unusable),
            (cut, KeyError::Unusable),
            (vec![b'a'; 600_000], KeyError::TooLarge { size: 600_000 }),
        ];
        for (pem, error) in table {
            let got = Key::parse(&pem).unwrap_err();
            assert_eq!(got, error, "{}", String::from_utf8_lossy(&pem));
        }
    }

    #[test]
    fn nothing_of_the_key_is_printed() {
        let key = Key::parse(&generated(KeyType::P256)).unwrap();
        assert_eq!(format!("{key:?}"), "Key(p256)");
    }

    #[test]
    fn type_words() {
        for kind in KeyType::ALL {
            assert_eq!(KeyType::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.as_str()));
        }
        assert_eq!(KeyType::parse("P256"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(Key::parse(&bytes).is_err());
            prop_assert!(Key::parse(pem::encode(pem::PRIVATE_KEY, &bytes).as_bytes()).is_err());
        }
    }
}
