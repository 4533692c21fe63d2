//! What a request is for, by the name its URL has.

use serde::{Deserialize, Serialize};

/// What clients ask of the CA.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Resource {
    Directory,
    NewNonce,
    NewAccount,
    NewOrder,
    Account,
    KeyChange,
    Order,
    Finalize,
    Authorization,
    Challenge,
    Certificate,
    RevokeCert,
    RenewalInfo,
}

impl Resource {
    /// None for the management, and for what does not exist.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        Some(match parts[..] {
            ["directory"] => Self::Directory,
            ["new-nonce"] => Self::NewNonce,
            ["new-account"] => Self::NewAccount,
            ["new-order"] => Self::NewOrder,
            ["account", ..] => Self::Account,
            ["key-change"] => Self::KeyChange,
            ["order", _] => Self::Order,
            ["order", _, "finalize"] => Self::Finalize,
            ["authorization", _, _] => Self::Authorization,
            ["authorization", _, _, _] => Self::Challenge,
            ["certificate", ..] => Self::Certificate,
            ["revoke-cert"] => Self::RevokeCert,
            ["renewal-info", _] => Self::RenewalInfo,
            _ => return None,
        })
    }
}
