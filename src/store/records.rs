//! What was put into the DNS and may still be there, one file for each certificate; and what
//! providers gave us to keep.
//!
//! A file is there only while something is left: `renew` looks at the directory alone.

use zeroize::Zeroizing;

use super::layout::Label;
use super::{Store, StoreError, sealed};
use crate::model::name::CertName;
use crate::model::txt::{Leftover, Txt};

impl Store {
    /// The certificates that left something.
    pub(crate) fn with_leftovers(&self) -> Result<Vec<CertName>, StoreError> {
        let names = self.disk.list(&self.layout.leftovers_dir())?;
        let names = names.iter().filter_map(|name| name.to_str()?.strip_suffix(".json"));
        Ok(names.filter_map(|name| CertName::parse(name).ok()).collect())
    }

    /// What a certificate left. What cannot be read any more counts as nothing.
    pub(crate) fn leftovers(&self, name: &CertName) -> Result<Vec<Leftover>, StoreError> {
        match self.read_sealed(&self.layout.leftovers(name)) {
            Err(StoreError::Damaged { .. }) => Ok(Vec::new()),
            read => read,
        }
    }

    /// Notes records that are about to be written; the caller holds the certificate's lock.
    pub(crate) fn note_leftovers(
        &self,
        name: &CertName,
        records: Vec<Leftover>,
    ) -> Result<(), StoreError> {
        let mut all = self.leftovers(name)?;
        for one in records {
            // By the credentials of now it is removed more surely than by those of then.
            all.retain(|other| other.provider != one.provider || other.txt != one.txt);
            all.push(one);
        }
        self.save_leftovers(name, &all)
    }

    /// Forgets records that are removed; the caller holds the certificate's lock.
    pub(crate) fn forget_leftovers(
        &self,
        name: &CertName,
        provider: &str,
        records: &[Txt],
    ) -> Result<(), StoreError> {
        let mut all = self.leftovers(name)?;
        all.retain(|one| one.provider != provider || !records.contains(&one.txt));
        self.save_leftovers(name, &all)
    }

    fn save_leftovers(&self, name: &CertName, all: &[Leftover]) -> Result<(), StoreError> {
        let (dir, path) = (self.layout.leftovers_dir(), self.layout.leftovers(name));
        if all.is_empty() {
            self.disk.remove_file(&path)?;
            return Ok(());
        }
        self.make_checked(&dir, 0o700)?;
        let bytes = sealed::seal(&all);
        self.disk.replace(&path, &bytes).map_err(|error| self.explain(error, &dir, bytes.len()))
    }

    /// What a DNS provider gave us under this label, such as a registration.
    pub(crate) fn registration(
        &self,
        label: &Label,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.read_secret(&self.layout.registration(label))
    }

    /// Keeps what a DNS provider gave us, atomically and synced.
    pub(crate) fn save_registration(&self, label: &Label, bytes: &[u8]) -> Result<(), StoreError> {
        let dir = self.layout.registrations_dir();
        self.make_checked(&dir, 0o700)?;
        let saved = self.disk.replace(&self.layout.registration(label), bytes);
        saved.map_err(|error| self.explain(error, &dir, bytes.len()))
    }
}
