//! Files that a server reads once, as its own user, and that are gone after.

use std::path::{Path, PathBuf};

use super::disk::{Access, NewFile};
use super::layout::Label;
use super::{Store, StoreError};

impl Store {
    /// Writes a file beside what is live, where servers may look, for this user's eyes only.
    ///
    /// One that an interrupted run left under this label is replaced.
    pub(crate) fn lend(
        &self,
        label: &Label,
        bytes: &[u8],
        reader: u32,
    ) -> Result<PathBuf, StoreError> {
        let path = self.layout.lent(label);
        // Whoever is root reads it anyway, and ours it is already.
        let owner =
            (reader != 0 && reader != rustix::process::geteuid().as_raw()).then_some(reader);
        let access = Access { owner, ..Access::default() };
        self.disk.remove_file(&path)?;
        let file = NewFile { path: path.clone(), bytes, access };
        let written = self.disk.create(&[file]);
        if written.is_err() {
            self.take_back(&path);
        }
        written?;
        Ok(path)
    }

    /// Removes what was lent; what cannot be removed is replaced the next time.
    pub(crate) fn take_back(&self, lent: &Path) {
        let _ = self.disk.remove_file(lent);
    }
}
