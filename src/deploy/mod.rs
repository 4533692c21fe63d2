//! Floor 4: certificates put to use by the servers and programs of the operator.
//!
//! A [`Target`] is staged before the switch, when it may still refuse, and activated after it. It
//! never decides whether what it did was good: that is seen by handshakes at its
//! [endpoints](Target::endpoints), and by what it counts itself.

#[cfg(test)]
mod conformance;
pub(crate) mod copy;
mod error;
pub(crate) mod files;
pub(crate) mod haproxy;
pub(crate) mod hook;
pub(crate) mod mention;
pub(crate) mod nginx;
mod pair;
mod place;
mod readable;
pub(crate) mod rustls;
mod socket;
pub(crate) mod systemd;

use std::path::PathBuf;

use async_trait::async_trait;

use crate::certificate::Fingerprint;
use crate::model::endpoint::Endpoint;
use crate::model::file;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::proof::Proof;
use crate::model::traffic::{Share, Traffic};

pub(crate) use error::TargetError;

/// One generation of a certificate, on its way to be served.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) name: CertName,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) generation: Generation,
    /// Of its leaf.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) proof: Proof,
    /// Where servers read: the files of this generation once the switch is made.
    pub(crate) live_dir: PathBuf,
    /// The same files before the switch, with the owner and mode they will have in `live`; only we
    /// may look there.
    pub(crate) archive_dir: PathBuf,
}

impl Delivery {
    pub(crate) fn fullchain(&self) -> PathBuf {
        self.live_dir.join(file::FULLCHAIN)
    }

    pub(crate) fn privkey(&self) -> PathBuf {
        self.live_dir.join(file::PRIVKEY)
    }
}

/// What a target has to say although it did its work; safe for a terminal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    pub(crate) output: String,
}

/// A place a certificate is put to use.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// What it is called in settings, journal and messages, as in `nginx` or `haproxy:/run/h.sock`.
    fn label(&self) -> &str;

    /// Finds out before the switch whether it could take the certificate. Changes nothing.
    ///
    /// # Errors
    /// Why it could not: the certificate is then not deployed, and what is served stays.
    async fn stage(&self, delivery: &Delivery) -> Result<(), TargetError>;

    /// Puts what is live to use, and returns when the server has acknowledged it. Safe to repeat.
    ///
    /// `share` is below 100 % only where the target [splits](Self::splits).
    async fn activate(&self, delivery: &Delivery, share: Share) -> Result<Told, TargetError>;

    /// Serves an earlier generation again where the server remembers it, before it is live again.
    /// Safe to repeat and to cut off; [`Self::restore`] follows and makes sure.
    async fn recall(&self, _delivery: &Delivery) {}

    /// Puts an earlier generation, which is live again, back to use. Safe to repeat.
    async fn restore(&self, delivery: &Delivery) -> Result<Told, TargetError> {
        self.activate(delivery, Share::ALL).await
    }

    /// Where its clients meet it, as its own configuration says; none where that is not known.
    async fn endpoints(&self, _delivery: &Delivery) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Whether it can serve two certificates at once and give each its share.
    fn splits(&self) -> bool {
        false
    }

    /// The server that can answer tls-alpn-01 at its own port, where it is such a one.
    fn slot(&self) -> Option<&rustls::Rustls> {
        None
    }

    /// What it counted of its clients' handshakes since the split began.
    async fn traffic(&self, _delivery: &Delivery) -> Result<Option<Traffic>, TargetError> {
        Ok(None)
    }
}
