//! The CA and nothing else (RFC 8555, RFC 8738, RFC 9773, draft-ietf-acme-profiles).
//!
//! A [`Session`] is one CA behind one connection pool. It registers and finds accounts, and answers
//! renewal information. An [`Account`] opens or resumes [`Order`]s, which lead through proving and
//! finalizing to a chain. Challenges leave this room as values; nobody here knows how they are solved.
//!
//! instant-acme gives the vocabulary (statuses, request payloads) and, over our HTTP client, the account
//! requests it can make without losing anything. Orders, key rollover and certificate-key revocation go
//! through [`session`] and [`jws`] instead: that way a response's headers are not lost, authorizations
//! are fetched in parallel and all requests share one pool of nonces.
//!
//! Guarantees
//! - https only, to the directory's host and those the endpoint adds; no redirects; system roots or
//!   only the endpoint's own.
//! - Sizes and times of whatever the CA sends are bounded, and its words are parsed or refused. No answer
//!   of a CA causes a panic.
//! - A request whose nonce is refused is signed anew; anything else is sent once.

mod account;
mod account_file;
mod authorization;
mod ca;
mod csr;
mod directory;
mod eab;
mod error;
mod http;
mod instant;
mod jws;
mod order;
mod origin;
mod persist;
mod poll;
mod problem;
mod renewal_info;
mod revoke;
mod session;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod pebble;
#[cfg(test)]
mod pebble_tests;

pub(crate) use account::{Account, AccountFacts, Registration};
pub(crate) use account_file::{AccountFile, KeyInForce};
pub(crate) use authorization::Authorization;
pub(crate) use ca::{EndedCa, Endpoint};
pub(crate) use csr::{CsrError, KeyAlgorithm, csr, fresh_key};
pub(crate) use eab::{Eab, MacAlgorithm};
pub(crate) use error::{AcmeError, ChallengeFailure};
pub(crate) use order::{Issued, NewOrder, Order, OrderStatus, Profile};
pub(crate) use poll::PATIENCE;
pub(crate) use renewal_info::RenewalInfoError;
pub(crate) use revoke::Reason;
pub(crate) use session::Session;
