//! TXT records that are put into zones for a while.

use serde::{Deserialize, Serialize};

use super::name::Identifier;
use super::time::Timestamp;

/// One value at one name, beside which others may stand. Names are ASCII without a final dot.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct Txt {
    /// What is proved by it.
    pub(crate) identifier: Identifier,
    /// Where the CA looks, as in `_acme-challenge.example.com`.
    pub(crate) asked: String,
    /// Where it is written: the same, or what its aliases lead to.
    pub(crate) owner: String,
    /// The zone that holds the owner.
    pub(crate) apex: String,
    pub(crate) value: String,
}

/// A record that may still be in its zone, as the store remembers it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Leftover {
    /// Who put it there, as the settings called them.
    pub(crate) provider: String,
    /// The path of what must be told them, where the settings have it for the certificate.
    #[serde(default)]
    pub(crate) credentials: Option<String>,
    #[serde(flatten)]
    pub(crate) txt: Txt,
    pub(crate) at: Timestamp,
}
