//! What is kept of an account: the content of `accounts/<ca>/<id>.json`.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_key: Option<AccountKey>,
    /// The thumbprints of keys it had, the latest first: records of dns-persist-01 that were made
    /// with them stay good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former_thumbprints: Vec<String>,
}

/// Which of an account's two keys the CA accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyInForce {
    Current,
    Next,
}

impl AccountFile {
    /// So many former keys are remembered.
    const MOST_FORMER: usize = 16;

    /// Makes an unregistered account with a new P-256 key, for the caller to store first.
    pub(crate) fn fresh(directory: &str) -> Result<Self, AcmeError> {
        Ok(Self {
            directory: directory.to_owned(),
            url: None,
            key: AccountKey::generate()?,
            contacts: Vec::new(),
            created_at: None,
            next_key: None,
            former_thumbprints: Vec::new(),
        })
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The JSON to store; it holds the keys in clear and is zeroed on drop.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room enough that the buffer is not moved, which would leave a copy of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer_pretty(&mut *bytes, self).expect("strings and times can be written");
        bytes.push(b'\n');
        bytes
    }

    /// Makes the next key, for the caller to store before [`super::Account::rotate_key`].
    ///
    /// A key that was prepared already is kept: the CA may know it.
    pub(crate) fn prepare_next_key(&mut self) -> Result<(), AcmeError> {
        if self.next_key.is_none() {
            self.next_key = Some(AccountKey::generate()?);
        }
        Ok(())
    }

    /// Whether a rollover was begun and not settled.
    pub(crate) fn is_rolling_over(&self) -> bool {
        self.next_key.is_some()
    }

    /// Keeps the key that is in force and drops the other.
    pub(crate) fn settle(&mut self, in_force: KeyInForce) {
        match (in_force, self.next_key.take()) {
            (KeyInForce::Next, Some(key)) => {
                self.former_thumbprints.insert(0, self.key.thumbprint().to_owned());
                self.former_thumbprints.truncate(Self::MOST_FORMER);
                self.key = key;
            }
            (KeyInForce::Next, None) | (KeyInForce::Current, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_survive_and_keys_roll_over() {
        let mut file = AccountFile::fresh("https://ca.example/dir").unwrap();
        let first = file.key.thumbprint().to_owned();
        file.prepare_next_key().unwrap();
        file.prepare_next_key().unwrap();
        let next = file.next_key.as_ref().unwrap().thumbprint().to_owned();
        assert!(file.is_rolling_over());
        let mut again = AccountFile::parse(&file.to_bytes()).unwrap();
        assert_eq!(again.key.thumbprint(), first);
        again.settle(KeyInForce::Next);
        assert_eq!((again.key.thumbprint(), again.is_rolling_over()), (next.as_str(), false));
        let again = AccountFile::parse(&again.to_bytes()).unwrap();
        assert_eq!(again.former_thumbprints, [first.as_str()]);
        file.settle(KeyInForce::Current);
        assert_eq!((file.key.thumbprint(), file.is_rolling_over()), (first.as_str(), false));
    }

    #[test]
    fn damaged_files_are_refused() {
        let file = AccountFile::fresh("https://ca.example/dir").unwrap();
        let whole = file.to_bytes();
        assert!(AccountFile::parse(&whole[..whole.len() / 2]).is_err());
        assert!(AccountFile::parse(b"{}").is_err());
        assert!(!format!("{file:?}").contains("MIG"));
    }
}
