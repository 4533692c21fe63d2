//! Challenges for the tests of this room.

use crate::model::challenge::{Challenge, ChallengeKind, KeyAuthorization, Token};
use crate::model::name::Identifier;

/// The thumbprint in the examples of RFC 8555.
pub(super) const THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

pub(super) fn challenge(kind: &str, identifier: &str, token: &str) -> Challenge {
    let token = Token::parse(token).unwrap();
    Challenge {
        identifier: Identifier::parse(identifier).unwrap(),
        kind: ChallengeKind::parse(kind).unwrap(),
        key_authorization: KeyAuthorization::new(&token, THUMBPRINT),
        account: None,
        token,
    }
}
