//! What is kept of an account: the content of `accounts/<ca>/<id>.json`.

use serde::{Deserialize, Serialize};

use super::error::AcmeError;
use super::jws::AccountKey;
use crate::model::time::Timestamp;

/// An account as stored. Keys are zeroed on drop and print as their type.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountFile {
    /// The directory URL of the CA the account belongs to.
    pub(crate) directory: String,
    /// The account URL; `None` until registered.
    pub(crate) url: Option<String>,
    pub(super) key: AccountKey,
    #[serde(default)]
    pub(crate) contacts: Vec<String>,
    #[serde(default)]
    pub(crate) created_at: Option<Timestamp>,
    /// The key a rollover is about to put in force; stored before the CA is told.
    #[serde(default)]
    pub(super) next_key: Option<AccountKey>,
}

/// Which of an account's two keys the CA accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyInForce {
    Current,
    Next,
}

impl AccountFile {
    /// Makes an unregistered account with a new P-256 key, for the caller to store first.
    pub(crate) fn fresh(directory: &str) -> Result<Self, AcmeError> {
        todo!()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        todo!()
    }

    /// The JSON to store; it holds the keys in clear and is zeroed on drop.
    pub(crate) fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        todo!()
    }

    /// Makes the next key, for the caller to store before [`super::Account::rotate_key`].
    pub(crate) fn prepare_next_key(&mut self) -> Result<(), AcmeError> {
        todo!()
    }

    /// Whether a rollover was begun and not settled.
    pub(crate) fn is_rolling_over(&self) -> bool {
        self.next_key.is_some()
    }

    /// Keeps the key that is in force and drops the other.
    pub(crate) fn settle(&mut self, in_force: KeyInForce) {
        todo!()
    }
}
