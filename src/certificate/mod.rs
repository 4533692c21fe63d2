//! Floor 2: certificates and keys, parsed or refused, and what must hold before one is served.
//!
//! Pure: bytes and the present come in, facts and refusals go out. Whoever holds a [`Chain`] or a
//! [`Key`] holds something that was understood completely; whether the two may be put into service
//! together is what [`verify()`] answers.

mod ari_id;
mod chain;
mod facts;
mod fingerprint;
mod key;
mod pem;
mod roots;
#[cfg(test)]
mod sample;
mod verify;

pub(crate) use ari_id::AriId;
pub(crate) use chain::{Chain, ChainError};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use key::{Key, KeyError, KeyType};
pub(crate) use pem::wrong_way_round;
pub(crate) use roots::{Roots, RootsError};
pub(crate) use verify::{Expectation, Refusal, pair_matches, verify, verify_served};
