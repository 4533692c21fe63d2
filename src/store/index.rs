//! What is due when, in one file: a run with nothing due reads this and no certificate.

use super::{Store, StoreError};
use crate::model::name::CertName;
use crate::model::time::Timestamp;

/// The settings as the index knows them; when it differs from the directory's, the index is stale.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(String);

/// What the index says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum IndexRead {
    Fresh {
        /// Those whose time has come, the most overdue first.
        due: Vec<CertName>,
        /// How many certificates there are.
        held: usize,
        /// When the next of the others wakes.
        next: Option<Timestamp>,
    },
    /// Missing, damaged or older than the settings: look at every certificate, then
    /// [`Store::rebuild_index`] with this stamp.
    Stale(Stamp),
}

impl Store {
    /// Reads what is due. Needs no [`Store::open`] and touches nothing.
    pub(crate) fn due_from_index(&self, now: Timestamp) -> Result<IndexRead, StoreError> {
        todo!("{now}")
    }

    /// Notes when a certificate wants to be looked at next: the earliest of renewal, ARI poll and
    /// deploy retry; `None` for never. Callers in parallel are written together.
    ///
    /// Where there is no usable index nothing is written: it stays stale.
    pub(crate) fn update_index(
        &self,
        name: &CertName,
        wake: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        todo!("{name} {wake:?}")
    }

    /// Writes the whole index. `stamp` is from before the certificates were looked at.
    pub(crate) fn rebuild_index(
        &self,
        stamp: &Stamp,
        entries: impl IntoIterator<Item = (CertName, Option<Timestamp>)>,
    ) -> Result<(), StoreError> {
        let _ = entries.into_iter().count();
        todo!("{stamp:?}")
    }
}
