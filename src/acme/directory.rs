//! The CA's directory (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::AcmeError;
use super::origin::{CaUrl, Origin, shown_url};
use super::problem::printable;
use super::session::parse;

/// What the CA offers and where.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(super) new_nonce: CaUrl,
    pub(super) new_account: CaUrl,
    pub(super) new_order: CaUrl,
    revoke_cert: Option<CaUrl>,
    key_change: Option<CaUrl>,
    pub(super) renewal_info: Option<CaUrl>,
    /// Profile names with their descriptions; empty when the CA has none.
    pub(crate) profiles: BTreeMap<String, String>,
    pub(crate) terms_of_service: Option<String>,
    pub(crate) external_account_required: bool,
    /// The names by which CAA records mean this CA, in lower case (RFC 8659 §4.2).
    pub(crate) caa_identities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    new_nonce: String,
    new_account: String,
    new_order: String,
    revoke_cert: Option<String>,
    key_change: Option<String>,
    renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
    external_account_required: bool,
    caa_identities: Vec<String>,
    profiles: BTreeMap<String, Value>,
}

impl Directory {
    const MOST_PROFILES: usize = 100;
    const MOST_IDENTITIES: usize = 20;

    pub(super) fn parse(origin: &Origin, body: &[u8]) -> Result<Self, AcmeError> {
        let wire: Wire = parse(origin.directory(), "this is no ACME directory", body)?;
        let optional =
            |what, text: Option<String>| text.map(|text| origin.admit(what, &text)).transpose();
        let shown = |text: String| shown_url(&text).unwrap_or_else(|| printable(&text, 200));
        Ok(Self {
            new_nonce: origin.admit("newNonce URL", &wire.new_nonce)?,
            new_account: origin.admit("newAccount URL", &wire.new_account)?,
            new_order: origin.admit("newOrder URL", &wire.new_order)?,
            revoke_cert: optional("revokeCert URL", wire.revoke_cert)?,
            key_change: optional("keyChange URL", wire.key_change)?,
            renewal_info: optional("renewalInfo URL", wire.renewal_info)?,
            profiles: profiles(wire.meta.profiles),
            terms_of_service: wire.meta.terms_of_service.map(shown),
            external_account_required: wire.meta.external_account_required,
            caa_identities: identities(&wire.meta.caa_identities),
        })
    }

    /// Whether the CA gives renewal information (RFC 9773); without it `replaces` is not sent.
    pub(crate) fn offers_renewal_info(&self) -> bool {
        self.renewal_info.is_some()
    }

    pub(super) fn revoke_cert(&self) -> Result<&CaUrl, AcmeError> {
        self.revoke_cert.as_ref().ok_or(AcmeError::NotOffered { what: "revocation" })
    }

    pub(super) fn key_change(&self) -> Result<&CaUrl, AcmeError> {
        self.key_change.as_ref().ok_or(AcmeError::NotOffered { what: "change of account keys" })
    }
}

/// Keeps what could stand in a CAA record.
fn identities(listed: &[String]) -> Vec<String> {
    let fits = |name: &&String| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        (1..=253).contains(&name.len()) && name.bytes().all(allowed)
    };
    let names = listed.iter().filter(fits).map(|name| name.to_ascii_lowercase());
    names.take(Directory::MOST_IDENTITIES).collect()
}

/// Keeps the profiles whose names could be typed.
fn profiles(listed: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let fits = |name: &str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic());
    listed
        .into_iter()
        .filter(|(name, _)| !name.is_empty() && fits(name))
        .take(Directory::MOST_PROFILES)
        .map(|(name, about)| (name, printable(about.as_str().unwrap_or_default(), 300)))
        .collect()
}
