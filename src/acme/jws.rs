//! Signed requests (RFC 8555 §6.2, RFC 7515), for what instant-acme cannot send.

use serde::{Deserialize, Serialize};

/// An account's P-256 key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountKey;
