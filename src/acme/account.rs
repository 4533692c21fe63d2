//! One account at one CA (RFC 8555 §7.3).

use zeroize::Zeroizing;

use super::account_file::AccountFile;
use super::error::AcmeError;
use super::order::{NewOrder, Order};
use super::revoke::Reason;

/// What to register an account with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registration {
    /// Contact URIs, as in `mailto:admin@example.org`.
    pub(crate) contacts: Vec<String>,
    pub(crate) agree_terms: bool,
    pub(crate) eab: Option<Eab>,
}

/// A binding to an account the CA knows by other means (RFC 8555 §7.3.4).
#[derive(Clone)]
pub(crate) struct Eab {
    pub(crate) kid: String,
    /// As the CA handed it out: base64url or base64, padded or not.
    pub(crate) hmac_key: Zeroizing<String>,
}

impl std::fmt::Debug for Eab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eab").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// An account ready to order. Cloning shares the session and the key.
#[derive(Clone)]
pub(crate) struct Account {}

/// What the CA knows of an account.
#[derive(Clone, Debug)]
pub(crate) struct AccountFacts {
    pub(crate) url: String,
    pub(crate) status: AccountStatus,
    pub(crate) contacts: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountStatus {
    Valid,
    Deactivated,
    Revoked,
}

impl Account {
    pub(crate) fn url(&self) -> &str {
        todo!()
    }

    /// Asks the CA what it knows of the account.
    pub(crate) async fn facts(&self) -> Result<AccountFacts, AcmeError> {
        todo!()
    }

    /// Replaces the contacts.
    pub(crate) async fn update_contacts(&self, contacts: &[String]) -> Result<(), AcmeError> {
        todo!()
    }

    /// Puts `file`'s next key in force (RFC 8555 §7.3.5).
    ///
    /// The caller has stored the next key already, and settles the file for it after success. When
    /// the answer is lost, [`super::Session::settle_rollover`] tells which key holds.
    pub(crate) async fn rotate_key(&self, file: &AccountFile) -> Result<(), AcmeError> {
        todo!()
    }

    /// Ends the account for good (RFC 8555 §7.3.6).
    pub(crate) async fn deactivate(&self) -> Result<(), AcmeError> {
        todo!()
    }

    /// Opens an order.
    ///
    /// When [`AcmeError::concerns_replaces`] holds, the caller tries once more without `replaces`.
    pub(crate) async fn order(&self, wanted: &NewOrder) -> Result<Order, AcmeError> {
        todo!()
    }

    /// Takes up an order again by its URL, whatever its status is.
    pub(crate) async fn resume(&self, url: &str) -> Result<Order, AcmeError> {
        todo!()
    }

    /// Revokes a certificate issued to this account or for names it is authorized for.
    pub(crate) async fn revoke(&self, leaf_der: &[u8], reason: Reason) -> Result<(), AcmeError> {
        todo!()
    }
}
