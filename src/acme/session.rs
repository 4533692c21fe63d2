//! One CA behind one connection pool.

use std::sync::Arc;

use super::account::{Account, Registration};
use super::account_file::{AccountFile, KeyInForce};
use super::ca::Endpoint;
use super::directory::Directory;
use super::error::AcmeError;
use super::renewal_info::{RenewalInfo, RenewalInfoError};
use super::revoke::Reason;
use crate::model::time::{Clock, Timestamp};

/// A CA that answered with its directory. Cloning shares the connection, the nonces and the counts.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {}

impl Session {
    /// Fetches and reads the directory.
    ///
    /// The clock turns the CA's waiting times into moments; `user_agent` goes out with every request.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        user_agent: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AcmeError> {
        todo!()
    }

    pub(crate) fn directory(&self) -> &Directory {
        todo!()
    }

    /// The CA's clock as its last answer showed it, for comparison with ours.
    pub(crate) fn ca_time(&self) -> Option<Timestamp> {
        todo!()
    }

    /// How many requests were sent so far.
    pub(crate) fn round_trips(&self) -> usize {
        todo!()
    }

    /// Creates the account of `file`'s key, or finds the one that is there already.
    ///
    /// The caller stores `file` before, so that a crash leaves no account without a key, and
    /// again afterwards, when it holds the URL.
    pub(crate) async fn register(
        &self,
        file: &mut AccountFile,
        registration: Registration,
    ) -> Result<Account, AcmeError> {
        todo!()
    }

    /// The account of `file`, ready to order; sends nothing.
    pub(crate) fn account(&self, file: &AccountFile) -> Result<Account, AcmeError> {
        todo!()
    }

    /// Asks the CA which of the two keys a crash in [`Account::rotate_key`] left in force.
    pub(crate) async fn settle_rollover(
        &self,
        file: &AccountFile,
    ) -> Result<KeyInForce, AcmeError> {
        todo!()
    }

    /// Asks when a certificate should be renewed (RFC 9773 §4). Needs no account.
    pub(crate) async fn renewal_info(
        &self,
        cert_id: &str,
    ) -> Result<RenewalInfo, RenewalInfoError> {
        todo!()
    }

    /// Revokes a certificate by its own key (RFC 8555 §7.6), for when the account is lost.
    pub(crate) async fn revoke_with_key(
        &self,
        leaf_der: &[u8],
        key_pkcs8: &[u8],
        reason: Reason,
    ) -> Result<(), AcmeError> {
        todo!()
    }
}
