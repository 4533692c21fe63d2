//! What the CA wants proven for one identifier (RFC 8555 §7.5).

use crate::model::challenge::Challenge;
use crate::model::name::Identifier;

/// One identifier to prove, with every way the CA accepts and we know.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    /// With its `*.` when the order asked for a wildcard.
    pub(crate) identifier: Identifier,
    pub(crate) challenges: Vec<Challenge>,
}
