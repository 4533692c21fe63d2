//! Files for others, outside of the store.

use std::path::Path;

use super::disk::Access;
use super::{Store, StoreError};

impl Store {
    /// Writes a file that everybody may read in the place of another, wherever it lies: readers see
    /// the old or the new one, whole. It must hold no secrets.
    pub(crate) fn hand_out(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let access = Access { mode: 0o644, ..Access::default() };
        Ok(self.disk.replace_for(access, path, bytes)?)
    }
}
