//! What a CA wants to find in the DNS for dns-persist-01 (draft-ietf-acme-dns-persist).
//!
//! Two wire forms are in use. Which one is meant, only the fields of the challenge tell, and before
//! there is a challenge those of the directory.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::account::Account;
use super::directory::Directory;
use crate::model::name::{DnsName, Identifier};
use crate::model::persist::{Domain, Standing, hashed_account};

/// The fields of such a challenge that no other has.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    /// Draft -02 on.
    #[serde(rename = "issuerDomainNames")]
    issuers: Option<Value>,
    /// Drafts -00 and -01.
    #[serde(rename = "issuer-domain-names")]
    former_issuers: Option<Value>,
    /// Draft -01.
    accounturi: Option<Value>,
}

impl Fields {
    /// What the challenge asks for, or why it is not to be followed.
    pub(super) fn standing(
        &self,
        account: &Account,
        identifier: &Identifier,
    ) -> Result<Standing, &'static str> {
        let Identifier::Dns(name) = identifier else { return Err("it is not for a DNS name") };
        let directory = account.session().directory();
        match (&self.issuers, &self.former_issuers) {
            (Some(issuers), _) => {
                let issuers = names(issuers)?;
                agree(directory, &issuers)?;
                let accounts = hashed(account, name);
                if accounts.is_empty() {
                    return Err("the directory does not tell how records call an account");
                }
                Standing::new(name.clone(), issuers, accounts)
            }
            (None, Some(issuers)) => {
                let ours = account.url();
                if self.accounturi.as_ref().is_some_and(|theirs| theirs != ours) {
                    return Err("it is for another account than ours");
                }
                Standing::new(name.clone(), names(issuers)?, vec![ours.to_owned()])
            }
            (None, None) => Err("it names no issuer"),
        }
    }
}

impl Account {
    /// What a dns-persist-01 challenge for `name` will probably ask for, as far as the directory
    /// tells; `None` where it does not.
    ///
    /// A CA that follows draft -02 keeps to it. Of one that follows an earlier draft only the names
    /// in CAA records are known, and it may call itself otherwise here.
    pub(crate) fn foreseen_standing(&self, name: &DnsName) -> Option<Standing> {
        let directory = self.session().directory();
        let hashed = hashed(self, name);
        let (issuers, accounts) = match hashed.is_empty() {
            false => (&directory.issuer_names, hashed),
            true => (&directory.caa_identities, vec![self.url().to_owned()]),
        };
        let issuers = issuers.iter().take(10).cloned().collect();
        Standing::new(name.clone(), issuers, accounts).ok()
    }
}

/// What records may call the account from draft -02 on: made of its key, or of one that it had; for
/// this name, or for any. Empty where the CA does not tell its part of it.
fn hashed(account: &Account, name: &DnsName) -> Vec<String> {
    let directory = account.session().directory();
    let Some(prefix) = &directory.account_hash_prefix else { return Vec::new() };
    let hash = |domain, thumbprint| hashed_account(prefix, domain, thumbprint, account.url());
    let of_key = |thumbprint| [Domain::Only(name), Domain::Any].map(|one| hash(one, thumbprint));
    account.thumbprints().flat_map(of_key).flatten().collect()
}

fn names(value: &Value) -> Result<Vec<String>, &'static str> {
    Vec::deserialize(value).map_err(|_| "it has no list of issuers")
}

/// Draft -02 §3.2: what the directory promises is kept, and no name is used that CAA records could
/// not say.
fn agree(directory: &Directory, issuers: &[String]) -> Result<(), &'static str> {
    let challenge: BTreeSet<&str> = issuers.iter().map(String::as_str).collect();
    if !directory.issuer_names.iter().all(|name| challenge.contains(name.as_str())) {
        return Err("it lacks an issuer that the directory names");
    }
    let identities: BTreeSet<&str> =
        directory.caa_identities.iter().map(|name| name.trim_end_matches('.')).collect();
    if !identities.is_empty() && !challenge.is_subset(&identities) {
        return Err("it names an issuer that is not among the CA's caaIdentities");
    }
    Ok(())
}
