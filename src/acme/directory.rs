//! The CA's directory (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

/// What the CA offers and where.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// Profile names with their descriptions; empty when the CA has none.
    pub(crate) profiles: BTreeMap<String, String>,
    pub(crate) terms_of_service: Option<String>,
    pub(crate) external_account_required: bool,
}

impl Directory {
    /// Whether the CA gives renewal information (RFC 9773); without it `replaces` must not be sent.
    pub(crate) fn offers_renewal_info(&self) -> bool {
        todo!()
    }
}
