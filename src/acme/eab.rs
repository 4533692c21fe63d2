//! External account binding: which account at the CA's shop an ACME account belongs to (RFC 8555 §7.3.4).

use std::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::account::Registration;
use super::error::AcmeError;
use super::problem::printable;
use super::session::{Session, parse};

/// A binding to an account the CA knows by other means.
#[derive(Clone)]
pub(crate) struct Eab {
    pub(crate) kid: String,
    /// As the CA handed it out: base64url or base64, padded or not.
    pub(crate) hmac_key: Zeroizing<String>,
    pub(crate) alg: MacAlgorithm,
}

impl Eab {
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, AcmeError> {
        let bare = self.hmac_key.trim().trim_end_matches('=').as_bytes();
        let secret = BASE64URL_NOPAD.decode(bare).or_else(|_| BASE64_NOPAD.decode(bare));
        match secret {
            Ok(secret) if !secret.is_empty() => Ok(Zeroizing::new(secret)),
            _ => Err(AcmeError::EabUnusable { why: "its HMAC key is no base64url" }),
        }
    }
}

impl fmt::Debug for Eab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eab").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What a binding is signed with (RFC 7518 §3.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum MacAlgorithm {
    #[default]
    Hs256,
    Hs384,
    Hs512,
}

impl MacAlgorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }
}

/// What a CA answers when it is asked for a binding by e-mail address; ZeroSSL's form.
#[derive(Deserialize)]
struct HandedOut {
    #[serde(default)]
    success: bool,
    eab_kid: Option<String>,
    eab_hmac_key: Option<String>,
    #[serde(default)]
    error: Value,
}

impl Session {
    /// The registration with the binding the CA asks for, got from it by the e-mail address where
    /// none is given and the CA hands it out that way.
    pub(super) async fn bound(&self, wanted: Registration) -> Result<Registration, AcmeError> {
        let Some(email) = self.email_for_binding(&wanted) else { return Ok(wanted) };
        let Some(desk) = self.transport().origin.eab_by_email() else { return Ok(wanted) };
        let form = [("email", email)];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let reply = self.transport().post_form(desk, form).await?;
        let answer: HandedOut = parse(desk, "this is no account binding", &reply.body)?;
        let HandedOut { success: true, eab_kid: Some(kid), eab_hmac_key: Some(hmac_key), .. } =
            answer
        else {
            let said = printable(&answer.error.to_string(), 200);
            return Err(AcmeError::EabNotGiven { url: desk.boxed(), said });
        };
        let fits = (1..=512).contains(&kid.len()) && kid.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(AcmeError::EabUnusable { why: "its key id is no plain text" });
        }
        let eab = Eab { kid, hmac_key: hmac_key.into(), alg: MacAlgorithm::default() };
        Ok(Registration { eab: Some(eab), ..wanted })
    }

    /// The address to ask for a binding with, where one is wanted and can be had so.
    pub(super) fn email_for_binding<'a>(&self, wanted: &'a Registration) -> Option<&'a str> {
        let wants = self.directory().external_account_required && wanted.eab.is_none();
        let hands_out = self.transport().origin.eab_by_email().is_some();
        let mut addresses = wanted.contacts.iter().filter_map(|uri| uri.strip_prefix("mailto:"));
        addresses.next().filter(|_| wants && hands_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_keys_are_taken_as_cas_write_them() {
        let table = [
            ("-_-_", Some(vec![0xfb, 0xff, 0xbf])),
            ("+/+/", Some(vec![0xfb, 0xff, 0xbf])),
            ("AQ", Some(vec![1])),
            ("AQ==", Some(vec![1])),
            (" AQ==\n", Some(vec![1])),
            ("", None),
            ("A", None),
            ("not a key", None),
        ];
        for (text, bytes) in table {
            let hmac_key = Zeroizing::new(text.to_owned());
            let eab = Eab { kid: "kid".to_owned(), hmac_key, alg: MacAlgorithm::default() };
            assert_eq!(eab.secret().ok().map(|secret| secret.to_vec()), bytes, "{text:?}");
            assert!(!format!("{eab:?}").contains("AQ"));
        }
    }
}
