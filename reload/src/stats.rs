//! The counters of a name's certificates, as a value to show.

use serde::Serialize;

use crate::counters::Counts;
use crate::pair::Pair;
use crate::table::{Entry, Stage};

/// How the handshakes with the certificates of one name ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Claims that the server tells how its handshakes end; without it only choices are counted.
    pub observed: bool,
    /// The active one, and the prepared or the previous one.
    pub certificates: Vec<CertificateStats>,
}

/// How the handshakes with one certificate ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CertificateStats {
    /// SHA-256 of the leaf, in hex.
    pub fingerprint: String,
    /// What it is now.
    pub role: Role,
    /// The share of the clients that gets it, if it is prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Its counters.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What a certificate is to its server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Given to all clients, or to all but a share.
    Active,
    /// Given to a share of the clients.
    Prepared,
    /// Kept for a way back.
    Previous,
}

impl Stats {
    pub(crate) fn of(entry: &Entry, observed: bool) -> Self {
        let mut certificates = vec![certificate(&entry.active, Role::Active, None)];
        certificates.extend(match &entry.stage {
            Stage::Settled => None,
            Stage::Prepared(canary) => {
                Some(certificate(&canary.pair, Role::Prepared, Some(canary.percent)))
            }
            Stage::Committed { previous } => Some(certificate(previous, Role::Previous, None)),
        });
        Self { observed, certificates }
    }
}

fn certificate(pair: &Pair, role: Role, percent: Option<u8>) -> CertificateStats {
    let fingerprint = pair.fingerprint().to_string();
    CertificateStats { fingerprint, role, percent, counts: pair.counters.read() }
}
