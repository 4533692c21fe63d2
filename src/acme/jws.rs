//! Signed requests (RFC 8555 §6.2, RFC 7515), for what instant-acme cannot send.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use zeroize::Zeroizing;

use super::eab::{Eab, MacAlgorithm};
use super::error::AcmeError;

/// A key that signs ACME requests: an account's, or that of a certificate being revoked.
pub(super) enum SigningKey {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, AcmeError> {
        let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der);
        ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(Self::P256)
            .or_else(|_| ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384))
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(|pair| Self::Rsa(Box::new(pair))))
            .map_err(|_| unusable("not PKCS#8 with a P-256, P-384 or RSA key"))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa(_) => "RS256",
        }
    }

    /// The public key (RFC 7517), its members in the order RFC 7638 §3 wants.
    pub(super) fn jwk(&self) -> Result<Value, AcmeError> {
        let curve = |name: &str, pair: &EcdsaKeyPair| {
            // 0x04, then both coordinates.
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "crv": name, "kty": "EC", "x": encode(x), "y": encode(y) })
        };
        Ok(match self {
            Self::P256(pair) => curve("P-256", pair),
            Self::P384(pair) => curve("P-384", pair),
            Self::Rsa(pair) => {
                let (_, key) = RSAPublicKey::from_der(pair.public_key().as_ref())
                    .map_err(|_| unusable("unreadable RSA public key"))?;
                let bare = |number: &[u8]| {
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    encode(&number[zeros..])
                };
                json!({ "e": bare(key.exponent), "kty": "RSA", "n": bare(key.modulus) })
            }
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AcmeError> {
        let rng = SystemRandom::new();
        let signed = match self {
            Self::P256(pair) | Self::P384(pair) => {
                pair.sign(&rng, message).map(|signature| signature.as_ref().to_vec())
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).map(|()| signature)
            }
        };
        signed.map_err(|_| unusable("it does not sign"))
    }
}

/// An account's P-256 key: zeroed on drop, printed as its type, stored as base64 of its PKCS#8.
#[derive(Clone)]
pub(super) struct AccountKey(Arc<AccountKeyParts>);

struct AccountKeyParts {
    pkcs8: Zeroizing<Vec<u8>>,
    signing: SigningKey,
    thumbprint: String,
}

impl AccountKey {
    pub(super) fn generate() -> Result<Self, AcmeError> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.map_err(|_| unusable("it cannot be generated"))?;
        Self::from_pkcs8(Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    pub(super) fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, AcmeError> {
        let signing = SigningKey::from_pkcs8(&pkcs8)?;
        if !matches!(signing, SigningKey::P256(_)) {
            // instant-acme knows no other.
            return Err(unusable("account keys are P-256"));
        }
        let jwk = serde_json::to_vec(&signing.jwk()?).expect("a JSON value can be written");
        let thumbprint = encode(digest(&SHA256, &jwk).as_ref());
        Ok(Self(Arc::new(AccountKeyParts { pkcs8, signing, thumbprint })))
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.0.pkcs8
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.0.signing
    }

    /// The base64url SHA-256 of the JWK (RFC 7638).
    pub(super) fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(***)")
    }
}

impl Serialize for AccountKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64.encode(self.pkcs8())))
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let refuse = || serde::de::Error::custom("the account key is no base64 of a PKCS#8 key");
        let pkcs8 = BASE64.decode(text.as_bytes()).map_err(|_| refuse())?;
        Self::from_pkcs8(Zeroizing::new(pkcs8)).map_err(|_| refuse())
    }
}

/// Who signs, and how the CA learns it (RFC 8555 §6.2).
#[derive(Clone, Copy)]
pub(super) enum Signer<'a> {
    /// By account URL.
    Account(&'a SigningKey, &'a str),
    /// By the public key itself.
    Key(&'a SigningKey),
}

/// Makes the body of a request; `None` is POST-as-GET (RFC 8555 §6.3).
pub(super) fn request(
    signer: Signer<'_>,
    nonce: &str,
    url: &str,
    payload: Option<&[u8]>,
) -> Result<Vec<u8>, AcmeError> {
    let (key, protected) = match signer {
        Signer::Account(key, kid) => {
            (key, json!({ "alg": key.algorithm(), "kid": kid, "nonce": nonce, "url": url }))
        }
        Signer::Key(key) => {
            (key, json!({ "alg": key.algorithm(), "jwk": key.jwk()?, "nonce": nonce, "url": url }))
        }
    };
    let sealed = seal(&protected, payload.unwrap_or_default(), |message| key.sign(message))?;
    Ok(write(&sealed))
}

/// Makes the inner part of a key rollover, signed by the new key (RFC 8555 §7.3.5).
pub(super) fn rollover(
    old: &AccountKey,
    new: &AccountKey,
    account: &str,
    url: &str,
) -> Result<Vec<u8>, AcmeError> {
    let key = new.signing();
    let protected = json!({ "alg": key.algorithm(), "jwk": key.jwk()?, "url": url });
    let payload = json!({ "account": account, "oldKey": old.signing().jwk()? });
    Ok(write(&seal(&protected, &write(&payload), |message| key.sign(message))?))
}

/// Binds an account key to an account known by other means (RFC 8555 §7.3.4).
pub(super) fn external_binding(
    account: &AccountKey,
    eab: &Eab,
    url: &str,
) -> Result<Value, AcmeError> {
    let algorithm = match eab.alg {
        MacAlgorithm::Hs256 => hmac::HMAC_SHA256,
        MacAlgorithm::Hs384 => hmac::HMAC_SHA384,
        MacAlgorithm::Hs512 => hmac::HMAC_SHA512,
    };
    let hmac = hmac::Key::new(algorithm, &eab.secret()?);
    let protected = json!({ "alg": eab.alg.as_str(), "kid": eab.kid, "url": url });
    let sign = |message: &[u8]| Ok(hmac::sign(&hmac, message).as_ref().to_vec());
    seal(&protected, &write(&account.signing().jwk()?), sign)
}

fn seal(
    protected: &Value,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, AcmeError>,
) -> Result<Value, AcmeError> {
    let (protected, payload) = (encode(&write(protected)), encode(payload));
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({ "protected": protected, "payload": payload, "signature": encode(&signature) }))
}

fn write(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value can be written")
}

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn unusable(why: &str) -> AcmeError {
    AcmeError::Key { what: "the key that signs requests", why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };
    use rcgen::RsaKeySize;

    use super::*;

    fn decoded(value: &Value) -> Vec<u8> {
        BASE64URL_NOPAD.decode(value.as_str().unwrap().as_bytes()).unwrap()
    }

    fn signed_part(jws: &Value) -> String {
        format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap())
    }

    #[test]
    fn requests_verify_against_their_key() {
        let key = AccountKey::generate().unwrap();
        let signer = Signer::Account(key.signing(), "https://ca.example/acct/1");
        let jws = request(signer, "n-1", "https://ca.example/order", Some(b"{}")).unwrap();
        let jws: Value = serde_json::from_slice(&jws).unwrap();
        let header: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
        assert_eq!(header["alg"], "ES256");
        assert_eq!(header["kid"], "https://ca.example/acct/1");
        assert_eq!((&header["nonce"], &header["jwk"]), (&json!("n-1"), &Value::Null));
        let jwk = key.signing().jwk().unwrap();
        let point = [&[4][..], &decoded(&jwk["x"]), &decoded(&jwk["y"])].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed_part(&jws).as_bytes(), &decoded(&jws["signature"]))
            .unwrap();
    }

    #[test]
    fn rsa_certificate_keys_sign_too() {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048);
        let key = SigningKey::from_pkcs8(&pair.unwrap().serialize_der()).unwrap();
        let jws = request(Signer::Key(&key), "n", "https://ca.example/revoke", None).unwrap();
        let jws: Value = serde_json::from_slice(&jws).unwrap();
        let jwk = key.jwk().unwrap();
        assert_eq!(jwk["e"], "AQAB");
        assert_eq!(jws["payload"], "");
        assert_eq!(decoded(&jwk["n"]).len(), 256);
        let SigningKey::Rsa(pair) = &key else { panic!("expected RSA") };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(signed_part(&jws).as_bytes(), &decoded(&jws["signature"]))
            .unwrap();
    }

    #[test]
    fn keys_survive_storage_and_never_print() {
        let key = AccountKey::generate().unwrap();
        let json = serde_json::to_string(&key).unwrap();
        let again: AccountKey = serde_json::from_str(&json).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!(format!("{key:?}"), "AccountKey(***)");
        for bad in [r#""""#, r#""AAAA""#, r#""%%%""#, "7"] {
            assert!(serde_json::from_str::<AccountKey>(bad).is_err(), "{bad}");
        }
    }
}
