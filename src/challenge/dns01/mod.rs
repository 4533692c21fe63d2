//! dns-01 and dns-account-01: TXT records put into zones and taken out again.
//!
//! A [`Zone`] edits zones at one provider and knows nothing else. [`Dns`] does the rest for all of
//! them: it finds the zone that must be written, aliases followed, writes each zone's records
//! together, waits until every server of the zone shows them, and remembers what must be removed
//! before anything is written.

mod acme_dns;
mod acme_sh;
mod api;
pub(crate) mod cloud;
#[cfg(test)]
mod conformance;
pub(crate) mod credentials;
mod error;
mod exec;
mod httpreq;
mod kind;
mod manual;
mod place;
mod program;
mod propagation;
mod rfc2136;
mod sight;
mod solver;
mod turns;

use std::error::Error as StdError;

use async_trait::async_trait;

pub(crate) use error::DnsError;
pub(crate) use kind::{Kind, Script};
pub(crate) use place::Places;
pub(crate) use solver::{Dns, Dns01, Provider};
pub(crate) use turns::Turns;

use crate::model::txt::Txt;

/// A provider of zones, by which TXT records are added and removed.
///
/// Several values at one name must be able to coexist: those of others are never touched.
#[async_trait]
pub(crate) trait Zone: Send + Sync {
    /// What it is called in settings and messages, as in `rfc2136` or `exec:/usr/local/bin/dns`.
    fn label(&self) -> &str;

    /// Whether a zone must be known to be edited. A provider that only passes names on gets by
    /// without one where no name server is to be asked: then the apex of its records is empty.
    fn needs_zone(&self) -> bool {
        true
    }

    /// Whether [`Self::check`] can tell anything without changing something.
    fn can_check(&self) -> bool {
        true
    }

    /// Finds out whether the credentials are good and the zone can be edited, and changes nothing.
    async fn check(&self, apex: &str) -> Result<(), DnsError>;

    /// Adds records, all of one zone. Safe to repeat.
    async fn add(&self, records: &[Txt]) -> Result<(), DnsError>;

    /// Removes just these values, all of one zone. What is not there (any more) is no error.
    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError>;
}

/// What has to survive this process; kept by whoever builds the solver.
pub(crate) trait Memory: Send + Sync {
    /// Remembers records, synced, before a provider hears of them.
    fn begin(&self, provider: &str, records: &[Txt]) -> Result<(), BoxError>;

    /// Forgets records that are removed. What cannot be forgotten is removed once more.
    fn done(&self, provider: &str, records: &[Txt]);

    /// What was kept under this label for a provider, such as its registration at acme-dns.
    fn recall(&self, label: &str) -> Result<Option<Vec<u8>>, BoxError>;

    /// Keeps something private under this label, synced.
    fn keep(&self, label: &str, bytes: &[u8]) -> Result<(), BoxError>;
}

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
