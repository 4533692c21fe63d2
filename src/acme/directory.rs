//! The CA's directory (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::error::AcmeError;
use super::origin::{CaUrl, Origin, shown_url};
use super::problem::printable;
use super::session::parse;
use crate::model::persist::{is_account, is_issuer_name};

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
    /// The names by which records of dns-persist-01 mean this CA; empty where it does not tell.
    pub(super) issuer_names: Vec<String>,
    /// What such a record calls an account begins with it (draft-ietf-acme-dns-persist-02 §4.1).
    pub(super) account_hash_prefix: Option<String>,
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
    issuer_domain_names: Value,
    account_hash_prefix: Value,
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
            issuer_names: issuer_names(&wire.meta.issuer_domain_names),
            account_hash_prefix: account_hash_prefix(&wire.meta.account_hash_prefix),
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

/// Takes the list as a whole or not at all (draft-ietf-acme-dns-persist-02 §3.2).
fn issuer_names(listed: &Value) -> Vec<String> {
    let names: Vec<String> = Vec::deserialize(listed).unwrap_or_default();
    let fits = names.len() <= 10 && names.iter().all(|name| is_issuer_name(name));
    if fits { names } else { Vec::new() }
}

/// Takes the beginning of a URI that a record could say.
fn account_hash_prefix(given: &Value) -> Option<String> {
    let prefix = given.as_str().filter(|prefix| is_account(prefix))?;
    Url::parse(prefix).is_ok().then(|| prefix.to_owned())
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
