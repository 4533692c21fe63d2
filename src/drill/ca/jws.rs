//! Signed requests: flattened JSON serialisation with the header members ACME allows (RFC 8555 §6.2).

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Kind, Problem};
use super::public_key::{ALGORITHMS, PublicKey, mac_algorithm};

/// A signed request, decoded but believed only after [`Jws::verify`].
pub(super) struct Jws {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    signed: String,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    jwk: Option<Value>,
    kid: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) url: Option<String>,
    crit: Option<Value>,
}

/// How a request names its key: itself, or by the URL of its account.
pub(super) enum KeyName {
    Jwk(PublicKey),
    Kid(String),
}

/// `deny_unknown_fields` refuses what RFC 8555 §6.2 forbids: unprotected headers, several signatures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

impl Jws {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let flat = serde_json::from_slice(body)
            .map_err(|why| Problem::malformed(format!("not a flattened JWS: {why}")))?;
        Self::decode(flat)
    }

    /// Reads a JWS that is a member of some other object.
    pub(super) fn from_value(value: &Value) -> Result<Self, Problem> {
        let flat = Flattened::deserialize(value)
            .map_err(|why| Problem::malformed(format!("not a flattened JWS: {why}")))?;
        Self::decode(flat)
    }

    fn decode(flat: Flattened) -> Result<Self, Problem> {
        let header = serde_json::from_slice(&base64("protected", &flat.protected)?)
            .map_err(|why| Problem::malformed(format!("the protected header: {why}")))?;
        let payload = base64("payload", &flat.payload)?;
        let signature = base64("signature", &flat.signature)?;
        let signed = format!("{}.{}", flat.protected, flat.payload);
        let jws = Self { header, payload, signed, signature };
        if jws.header.crit.is_some() {
            return Err(Problem::malformed("no critical header extension is understood"));
        }
        Ok(jws)
    }

    /// The key or account the request claims to be signed by; exactly one must be named.
    pub(super) fn key_name(&self) -> Result<KeyName, Problem> {
        if !ALGORITHMS.contains(&self.header.alg.as_str()) {
            let detail = format!("the JWS algorithm {:?} is not accepted", self.header.alg);
            let problem = Problem::new(Kind::BadSignatureAlgorithm, detail);
            return Err(problem.algorithms(&ALGORITHMS));
        }
        match (&self.header.jwk, &self.header.kid) {
            (Some(jwk), None) => match PublicKey::deserialize(jwk) {
                Ok(key) => Ok(KeyName::Jwk(key)),
                Err(why) => Err(Problem::new(Kind::BadPublicKey, format!("the jwk: {why}"))),
            },
            (None, Some(kid)) => Ok(KeyName::Kid(kid.clone())),
            _ => Err(Problem::malformed("a JWS must have either jwk or kid")),
        }
    }

    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), Problem> {
        if self.header.alg != key.algorithm() {
            let detail = format!("the key signs {}, not {}", key.algorithm(), self.header.alg);
            let problem = Problem::new(Kind::BadSignatureAlgorithm, detail);
            return Err(problem.algorithms(&ALGORITHMS));
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(Problem::malformed("the signature of the JWS is wrong"));
        }
        Ok(())
    }

    /// The key identifier of an external account binding.
    pub(super) fn mac_key_name(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Checks a MAC instead of a signature (RFC 8555 §7.3.4).
    pub(super) fn verify_mac(&self, key: &[u8]) -> Result<(), Problem> {
        let Some(algorithm) = mac_algorithm(&self.header.alg) else {
            let detail = format!("the MAC algorithm {:?} is not accepted", self.header.alg);
            return Err(Problem::new(Kind::BadSignatureAlgorithm, detail));
        };
        let key = hmac::Key::new(algorithm, key);
        hmac::verify(&key, self.signed.as_bytes(), &self.signature)
            .map_err(|_| Problem::new(Kind::Unauthorized, "the MAC of the binding is wrong"))
    }
}

fn base64(what: &str, text: &str) -> Result<Vec<u8>, Problem> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|why| Problem::malformed(format!("{what} is not base64url: {why}")))
}
