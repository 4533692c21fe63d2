//! Whether the disk beneath a store is fit for it: room, abilities, and who could bend the way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::disk::{DiskResult, Kind, Room};
use super::permissions::Owner;
use super::{Store, StoreError, permissions};
use crate::model::file;
use crate::model::name::CertName;

/// What the file system beneath a store can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Abilities {
    /// One file under two names.
    pub(crate) links: bool,
    /// Two directories swapped in one act.
    pub(crate) exchanges: bool,
}

impl Store {
    /// Whose the store is; `None` where there is none yet.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where anybody but root and us could have put it there.
    pub(crate) fn owner(&self) -> Result<Option<Owner>, StoreError> {
        let root = self.layout.store_root();
        self.disk.look(root)?.map(|_| permissions::owner(root)).transpose()
    }

    /// What is left on the file system of the store; `None` where there is no store yet.
    pub(crate) fn room(&self) -> Result<Option<Room>, StoreError> {
        let root = self.layout.store_root();
        Ok(self.disk.look(root)?.map(|_| self.disk.room(root)).transpose()?)
    }

    /// What others could bend of the ways to our directories, and which of ours we may not write.
    ///
    /// The settings need not be ours to write.
    pub(crate) fn unsafe_ways(&self) -> Vec<StoreError> {
        let layout = &self.layout;
        let settings =
            [layout.config_root().to_owned(), layout.certificates_dir(), layout.hooks_dir()];
        let own = [
            layout.store_root().to_owned(),
            layout.accounts_dir(),
            layout.archive_dir(),
            layout.live_dir(),
            layout.locks_dir(),
            layout.snapshots_dir(),
            layout.state_dir(),
        ];
        let check = |dir: &Path, ours: bool| {
            if self.disk.look(dir)?.is_none() {
                return Ok(());
            }
            permissions::check_way(dir)?;
            if ours { Ok(self.disk.check_writable(dir)?) } else { Ok(()) }
        };
        let own = own.iter().filter_map(|dir| check(dir, true).err());
        let settings = settings.iter().filter_map(|dir| check(dir, false).err());
        let mut errors: Vec<StoreError> = own.chain(settings).collect();
        // One step that can be bent is on the way to all that lies below it.
        let mut told = BTreeSet::new();
        errors.retain(|error| told.insert(error.to_string()));
        errors
    }

    /// Tries what a switch needs, in a folder of its own that is gone afterwards.
    ///
    /// `None` where there is no store yet.
    pub(crate) fn abilities(&self) -> Result<Option<Abilities>, StoreError> {
        let state = self.layout.state_dir();
        if self.disk.look(&state)?.is_none() {
            return Ok(None);
        }
        // Two who try at once must not meet.
        let dir = state.join(format!(".abilities.{}.tmp", std::process::id()));
        self.disk.remove_tree(&dir)?;
        self.disk.make_dir(&dir, 0o700)?;
        let tried = self.try_in(&dir);
        self.disk.remove_tree(&dir)?;
        tried.map(Some)
    }

    fn try_in(&self, dir: &Path) -> Result<Abilities, StoreError> {
        let [a, b, file] = ["a", "b", "file"].map(|name| dir.join(name));
        for folder in [&a, &b] {
            self.disk.make_dir(folder, 0o700)?;
        }
        self.disk.replace(&file, b"")?;
        let possible = |tried: DiskResult<()>| match tried {
            Err(error) if error.is_impossible() => Ok(false),
            other => other.map(|()| true),
        };
        let links = possible(self.disk.link(&file, &a.join("file")))?;
        let exchanges = possible(self.disk.exchange(&a, &b))?;
        Ok(Abilities { links, exchanges })
    }

    /// The files of what is live that are no second names of files in the archive: somebody wrote
    /// over them, or the file system cannot link.
    pub(crate) fn unlinked(&self, name: &CertName) -> Result<Vec<PathBuf>, StoreError> {
        let live = self.layout.live(name);
        let Ok(manifest) = self.manifest_in(&live) else { return Ok(Vec::new()) };
        let archived = self.layout.generation(name, manifest.generation);
        let mut found = Vec::new();
        for file in file::ALL {
            let [ours, theirs] =
                [self.disk.look(&live.join(file))?, self.disk.look(&archived.join(file))?];
            let Some(ours) = ours.filter(|facts| facts.kind == Kind::File) else { continue };
            if theirs.is_some_and(|theirs| theirs.inode != ours.inode) {
                found.push(live.join(file));
            }
        }
        Ok(found)
    }
}
