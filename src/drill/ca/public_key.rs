//! Public keys as they come in account requests (JWK) and in certificate requests (SPKI).

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The signature algorithms accepted in account requests.
pub(super) const ALGORITHMS: [&str; 4] = ["ES256", "ES384", "RS256", "EdDSA"];

/// A public key of an accepted type and size; two are equal when they are the same key.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub(super) enum PublicKey {
    /// The uncompressed point.
    P256(Vec<u8>),
    /// The uncompressed point.
    P384(Vec<u8>),
    /// Big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

/// Why a key is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct KeyError(&'static str);

impl PublicKey {
    const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
    const UNCOMPRESSED: u8 = 4;

    /// Reads the key of a certificate or of a request for one; only types a certificate may have.
    pub(super) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, KeyError> {
        match spki.parsed() {
            Ok(Parsed::RSA(rsa)) => Self::rsa(rsa.modulus, rsa.exponent),
            Ok(Parsed::EC(point)) => {
                let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                match curve {
                    Some(curve) if curve == OID_EC_P256 => Self::p256(point.data().to_vec()),
                    Some(curve) if curve == OID_NIST_EC_P384 => Self::p384(point.data().to_vec()),
                    _ => Err(KeyError("the curve is neither P-256 nor P-384")),
                }
            }
            _ => Err(KeyError("the key is neither RSA nor ECDSA")),
        }
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let significant = |number: &[u8]| -> Vec<u8> {
            number.iter().copied().skip_while(|byte| *byte == 0).collect()
        };
        let (n, e) = (significant(n), significant(e));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(2048..=4096).contains(&bits) {
            return Err(KeyError("an RSA key must have 2048 to 4096 bits"));
        }
        if e != Self::RSA_EXPONENT {
            return Err(KeyError("the exponent of an RSA key must be 65537"));
        }
        Ok(Self::Rsa { n, e })
    }

    fn p256(point: Vec<u8>) -> Result<Self, KeyError> {
        on_curve(&signature::ECDSA_P256_SHA256_FIXED, 65, &point).map(|()| Self::P256(point))
    }

    fn p384(point: Vec<u8>) -> Result<Self, KeyError> {
        on_curve(&signature::ECDSA_P384_SHA384_FIXED, 97, &point).map(|()| Self::P384(point))
    }

    /// The one JWS algorithm that goes with this key.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa { .. } => "RS256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// Whether the JWS signature (RFC 7518 §3, RFC 8037 §3.1) was made with this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let check = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature)
        };
        let outcome = match self {
            Self::P256(point) => check(&signature::ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => check(&signature::ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(point) => check(&signature::ED25519, point),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        };
        outcome.is_ok()
    }

    /// base64url SHA-256 of the canonical JWK (RFC 7638).
    pub(super) fn thumbprint(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("a JWK is made of strings");
        BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, &canonical).as_ref())
    }
}

fn on_curve(
    algorithm: &'static dyn VerificationAlgorithm,
    size: usize,
    point: &[u8],
) -> Result<(), KeyError> {
    let uncompressed = point.len() == size && point[0] == PublicKey::UNCOMPRESSED;
    match UnparsedPublicKey::new(algorithm, point).parse() {
        Ok(_) if uncompressed => Ok(()),
        _ => Err(KeyError("the key is not an uncompressed point of its curve")),
    }
}

/// The wire form; members stand in the order RFC 7638 §3.3 wants them hashed in.
#[derive(Default, Deserialize, Serialize)]
struct Jwk {
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl TryFrom<Jwk> for PublicKey {
    type Error = KeyError;

    fn try_from(jwk: Jwk) -> Result<Self, KeyError> {
        let point = |size: usize| {
            let (x, y) = (bytes(jwk.x.as_deref())?, bytes(jwk.y.as_deref())?);
            if x.len() != size || y.len() != size {
                return Err(KeyError("x and y must have the length of their curve"));
            }
            Ok([&[Self::UNCOMPRESSED], x.as_slice(), y.as_slice()].concat())
        };
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => Self::p256(point(32)?),
            ("EC", Some("P-384")) => Self::p384(point(48)?),
            ("RSA", _) => Self::rsa(&bytes(jwk.n.as_deref())?, &bytes(jwk.e.as_deref())?),
            ("OKP", Some("Ed25519")) => match bytes(jwk.x.as_deref())? {
                key if key.len() == 32 => Ok(Self::Ed25519(key)),
                _ => Err(KeyError("an Ed25519 key must have 32 bytes")),
            },
            _ => Err(KeyError("the key is neither RSA, P-256, P-384 nor Ed25519")),
        }
    }
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        let text = |bytes: &[u8]| Some(BASE64URL_NOPAD.encode(bytes));
        let ec = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            Self {
                crv: Some(curve.into()),
                kty: "EC".into(),
                x: text(x),
                y: text(y),
                ..Self::default()
            }
        };
        match &key {
            PublicKey::P256(point) => ec("P-256", point),
            PublicKey::P384(point) => ec("P-384", point),
            PublicKey::Rsa { n, e } => {
                Self { e: text(e), kty: "RSA".into(), n: text(n), ..Self::default() }
            }
            PublicKey::Ed25519(x) => Self {
                crv: Some("Ed25519".into()),
                kty: "OKP".into(),
                x: text(x),
                ..Self::default()
            },
        }
    }
}

fn bytes(member: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let text = member.ok_or(KeyError("a member of the JWK is missing"))?;
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| KeyError("a member of the JWK is not base64url"))
}

/// The MAC algorithms accepted for external account binding (RFC 8555 §7.3.4).
pub(super) fn mac_algorithm(name: &str) -> Option<hmac::Algorithm> {
    match name {
        "HS256" => Some(hmac::HMAC_SHA256),
        "HS384" => Some(hmac::HMAC_SHA384),
        "HS512" => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1
    #[test]
    fn the_thumbprint_is_that_of_the_canonical_form() {
        let jwk = r#"{
            "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        }"#;
        let key: PublicKey = serde_json::from_str(jwk).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let written = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&written).unwrap(), key);
    }

    #[test]
    fn weak_and_foreign_keys_are_refused() {
        let n = |bytes: usize| BASE64URL_NOPAD.encode(&vec![0xff; bytes]);
        let rsa = |n: &str, e: &str| format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#);
        assert!(serde_json::from_str::<PublicKey>(&rsa(&n(256), "AQAB")).is_ok());
        let table = [
            rsa(&n(255), "AQAB"),
            rsa(&n(513), "AQAB"),
            rsa(&n(256), "Aw"),
            rsa("", "AQAB"),
            r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"Ed448","x":"AAAA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-521","x":"AAAA","y":"AAAA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-256"}"#.to_owned(),
            r#"{"kty":"oct","k":"AAAA"}"#.to_owned(),
        ];
        for jwk in table {
            assert!(serde_json::from_str::<PublicKey>(&jwk).is_err(), "{jwk}");
        }
    }
}
