//! The archive: write-once generations, each with a manifest of its SHA-256 sums.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::disk::{Access, Act, DiskError, LARGEST, NewFile};
use super::layout;
use super::lock::Lock;
use super::{Store, StoreError, permissions, sealed};
use crate::model::file;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::proof::Proof;
use crate::model::time::{Timestamp, Validity};

/// What is to become a generation. All PEM; written as it is, judged by the pipeline.
#[derive(Debug)]
pub(crate) struct GenerationFiles<'a> {
    pub(crate) cert: &'a [u8],
    pub(crate) chain: &'a [u8],
    pub(crate) fullchain: &'a [u8],
    pub(crate) privkey: Zeroizing<Vec<u8>>,
    pub(crate) meta: Meta,
    /// Owner, group and mode the files end with; the default is ours alone, read-only.
    pub(crate) access: Access,
}

/// Where a generation comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Meta {
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) ca: String,
    pub(crate) profile: Option<String>,
    pub(crate) account_url: String,
    pub(crate) order_url: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) validity: Validity,
    /// SHA-256 of the leaf in DER, in hex.
    pub(crate) fingerprint: String,
    /// The name of the certificate in ARI (RFC 9773 §4.1), where it has one.
    pub(crate) ari_id: Option<String>,
    /// The leaf's serial number, in hex.
    pub(crate) serial: String,
    pub(crate) key_type: String,
    /// How it was proven; empty in generations older than this field.
    #[serde(default)]
    pub(crate) proof: Proof,
}

impl Meta {
    /// Whether it is for just these identifiers and from this CA.
    pub(crate) fn certifies(&self, identifiers: &[Identifier], ca: &str) -> bool {
        let set = |all: &[Identifier]| all.iter().cloned().collect::<BTreeSet<_>>();
        self.ca == ca && set(&self.identifiers) == set(identifiers)
    }
}

/// A generation as it lies on the disk, its sums checked.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) generation: Generation,
    pub(crate) cert: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) fullchain: Vec<u8>,
    pub(crate) privkey: Zeroizing<Vec<u8>>,
    pub(crate) meta: Meta,
}

/// What `meta.json` holds: everything needed to judge and to place a generation without the rest of the store.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) generation: Generation,
    /// The widest mode the files may have, and who but root and us may own them.
    mode: u32,
    owner: Option<u32>,
    sha256: BTreeMap<String, String>,
    meta: Meta,
}

impl Store {
    /// Adds a generation to the archive: complete, synced and numbered, or not at all.
    ///
    /// A failed sync is never retried on the same file: the generation is dropped and written once
    /// more to new inodes. The pending key stays until [`Store::drop_pending`]; the room held for
    /// the order is given up here, where it is needed.
    ///
    /// # Errors
    /// [`StoreError::Full`] says how much room is wanted.
    pub(crate) fn publish(
        &self,
        lock: &Lock,
        files: &GenerationFiles<'_>,
    ) -> Result<Generation, StoreError> {
        let name = lock.name();
        let archive = self.layout.archive(name);
        let generation = self.next_generation(name)?;
        self.disk.remove_file(&self.layout.reserve(name))?;
        let write = || {
            self.make_archive(name)?;
            self.write_generation(&archive, generation, files)
        };
        let written = match write() {
            Err(error) if error.act == Act::Sync => write(),
            other => other,
        };
        let need = [files.cert, files.chain, files.fullchain].map(<[u8]>::len).iter().sum();
        written.map_err(|error| self.explain(error, &archive, need))?;
        Ok(generation)
    }

    fn write_generation(
        &self,
        archive: &Path,
        generation: Generation,
        files: &GenerationFiles<'_>,
    ) -> Result<(), DiskError> {
        let temporary = self.make_temporary_dir(archive)?;
        let last = archive.join(layout::generation_folder(generation));
        let written = self
            .write_files(&temporary, generation, files)
            .and_then(|()| self.disk.sync_dir(&temporary))
            .and_then(|()| self.disk.rename_new(&temporary, &last))
            .and_then(|()| self.disk.sync_dir(archive));
        if written.is_err() {
            // The first failure is the one to report. What cannot be removed is swept by the next
            // run, or is a whole generation nobody refers to.
            let _ = self.disk.remove_tree(&temporary);
            let _ = self.disk.remove_tree(&last);
        }
        written
    }

    fn write_files(
        &self,
        dir: &Path,
        generation: Generation,
        files: &GenerationFiles<'_>,
    ) -> Result<(), DiskError> {
        let contents = [
            (file::CERT, files.cert),
            (file::CHAIN, files.chain),
            (file::FULLCHAIN, files.fullchain),
            (file::PRIVKEY, files.privkey.as_slice()),
        ];
        let sums = contents.map(|(name, bytes)| (name.to_owned(), sealed::sha256(bytes)));
        let manifest = sealed::seal(&Manifest {
            generation,
            mode: files.access.mode,
            owner: files.access.owner,
            sha256: BTreeMap::from(sums),
            meta: files.meta.clone(),
        });
        let all = contents.into_iter().chain([(file::META, manifest.as_slice())]);
        let access = files.access;
        let new = |(name, bytes)| NewFile { path: dir.join(name), bytes, access };
        self.disk.create(&all.map(new).collect::<Vec<_>>())
    }

    /// Makes the archive folder of a certificate, so that it survives a power cut.
    pub(super) fn make_archive(&self, name: &CertName) -> Result<(), DiskError> {
        let archive = self.layout.archive(name);
        match self.disk.make_dir(&archive, 0o700) {
            Err(error) if error.already_exists() => {}
            made => made?,
        }
        // Also where it was there: the run that made it may have been cut off before this.
        self.disk.sync_dir(&self.layout.archive_dir())
    }

    /// Makes a folder no reader takes for a generation. Ours alone, for we hold the lock.
    pub(super) fn make_temporary_dir(&self, archive: &Path) -> Result<PathBuf, DiskError> {
        let mut tried = 0_u32;
        loop {
            let path = archive.join(format!("{TEMPORARY}{tried}"));
            match self.disk.make_dir(&path, 0o700) {
                Err(error) if error.already_exists() => tried += 1,
                made => return made.map(|()| path),
            }
        }
    }

    /// The first number that neither the archive, nor live, nor a snapshot has ever given away.
    fn next_generation(&self, name: &CertName) -> Result<Generation, StoreError> {
        let archived = self.generations(name)?.pop();
        let live = self.manifest_in(&self.layout.live(name)).ok().map(|found| found.generation);
        let kept = self.generations_in_snapshots(name)?.into_iter().max();
        let last = archived.into_iter().chain(live).chain(kept).max();
        Ok(last.map_or(Generation::FIRST, Generation::next))
    }

    /// Reads a generation back from the disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a file is missing or differs from the manifest,
    /// [`StoreError::Refused`] when the key is open to others than declared.
    pub(crate) fn read(
        &self,
        name: &CertName,
        generation: Generation,
    ) -> Result<Stored, StoreError> {
        let dir = self.layout.generation(name, generation);
        let stored = self.read_in(&dir)?;
        if stored.generation == generation {
            return Ok(stored);
        }
        let what = format!("it holds generation {}", stored.generation);
        Err(StoreError::Damaged { path: dir, what })
    }

    /// Reads only where a generation comes from, without its key.
    pub(crate) fn meta(&self, name: &CertName, generation: Generation) -> Result<Meta, StoreError> {
        Ok(self.manifest_in(&self.layout.generation(name, generation))?.meta)
    }

    /// The generations in the archive, oldest first; their contents are not looked at.
    pub(crate) fn generations(&self, name: &CertName) -> Result<Vec<Generation>, StoreError> {
        let folders = self.disk.list(&self.layout.archive(name))?;
        let parse = |folder: &std::ffi::OsString| layout::parse_generation_folder(folder.to_str()?);
        let mut generations: Vec<_> = folders.iter().filter_map(parse).collect();
        generations.sort_unstable();
        Ok(generations)
    }

    /// Reads the files of a generation from any folder that holds them, and checks every sum.
    pub(super) fn read_in(&self, dir: &Path) -> Result<Stored, StoreError> {
        let manifest = self.manifest_in(dir)?;
        let key = dir.join(file::PRIVKEY);
        if let Some(facts) = self.disk.look(&key)? {
            permissions::check_private(&key, &facts, manifest.mode, manifest.owner)?;
        }
        let read = |name| self.read_summed(dir, name, &manifest.sha256);
        Ok(Stored {
            generation: manifest.generation,
            cert: read(file::CERT)?.to_vec(),
            chain: read(file::CHAIN)?.to_vec(),
            fullchain: read(file::FULLCHAIN)?.to_vec(),
            privkey: read(file::PRIVKEY)?,
            meta: manifest.meta.clone(),
        })
    }

    /// Reads a file and holds it against its sum.
    pub(super) fn read_summed(
        &self,
        dir: &Path,
        name: &str,
        sums: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let path = dir.join(name);
        let damaged =
            |what: &str| StoreError::Damaged { path: path.clone(), what: what.to_owned() };
        let bytes = match self.disk.read(&path, LARGEST) {
            Ok(bytes) => Zeroizing::new(bytes.ok_or_else(|| damaged("it is missing"))?),
            Err(error) if error.is_misshapen() => return Err(damaged(&error.source.to_string())),
            Err(error) => return Err(error.into()),
        };
        if sums.get(name) != Some(&sealed::sha256(&bytes)) {
            return Err(damaged("it differs from its SHA-256 in the manifest"));
        }
        Ok(bytes)
    }

    pub(super) fn manifest_in(&self, dir: &Path) -> Result<Manifest, StoreError> {
        self.read_sealed(&dir.join(file::META))
    }

    /// Puts the files of a generation back into the archive from a folder that holds them whole.
    pub(super) fn link_generation(
        &self,
        from: &Path,
        name: &CertName,
        generation: Generation,
    ) -> Result<(), StoreError> {
        let archive = self.layout.archive(name);
        self.make_archive(name)?;
        let temporary = self.make_temporary_dir(&archive)?;
        for file in file::ALL {
            self.disk.link_or_copy(&from.join(file), &temporary.join(file))?;
        }
        self.disk.sync_dir(&temporary)?;
        let place = self.layout.generation(name, generation);
        if self.disk.look(&place)?.is_some() {
            // What is damaged there is in the way; the good copy is complete beside it.
            self.disk.remove_tree(&place)?;
        }
        self.disk.rename_new(&temporary, &place)?;
        Ok(self.disk.sync_dir(&archive)?)
    }
}

/// How the names of folders begin that are not yet a generation.
pub(super) const TEMPORARY: &str = ".tmp-";
