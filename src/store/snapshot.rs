//! Snapshots: what was in service, hard-linked, with a manifest of SHA-256 sums.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use aws_lc_rs::digest;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::disk::{Access, LARGEST, NewFile};
use super::journal::State;
use super::lock::Lock;
use super::{Store, StoreError, sealed};
use crate::model::file;
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;
use crate::model::time::Timestamp;

/// How many snapshots of each certificate stay.
pub(crate) const KEEP: usize = 7;

/// A snapshot as `snapshot list` shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SnapshotInfo {
    pub(crate) id: SnapshotId,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    pub(crate) certificates: Vec<CertName>,
}

/// A file of a snapshot that is not what it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    pub(crate) name: CertName,
    /// As in `privkey.pem`.
    pub(crate) file: String,
    pub(crate) what: MismatchKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MismatchKind {
    Missing,
    Changed,
}

/// What `manifest.json` holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Manifest {
    at: Timestamp,
    reason: String,
    certificates: BTreeMap<CertName, Held>,
}

/// One certificate of a snapshot.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Held {
    /// What was live; `None` where nothing was.
    generation: Option<Generation>,
    sha256: BTreeMap<String, String>,
}

const MANIFEST: &str = "manifest.json";
const SETTINGS: &str = "settings.toml";
const STATE: &str = "state.json";
/// Stands for the certificates in the id of a snapshot of several.
const SEVERAL: &str = "all";

impl Store {
    /// Takes what is in service of these certificates, their settings and their states.
    ///
    /// A certificate with nothing whole in service is part of it with its settings and state alone.
    ///
    /// # Errors
    /// [`StoreError::NothingToKeep`] without any lock.
    pub(crate) fn take_snapshot(
        &self,
        locks: &[&Lock],
        reason: &str,
        at: Timestamp,
    ) -> Result<SnapshotId, StoreError> {
        let first = locks.first().ok_or(StoreError::NothingToKeep)?.name();
        let next = self.layout.snapshot_next(first);
        self.disk.remove_tree(&next)?;
        let taken = self.fill_snapshot(&next, locks, reason, at).and_then(|()| {
            let label = if locks.len() == 1 { label(first) } else { SEVERAL.to_owned() };
            self.number_snapshot(&next, at, &label)
        });
        if taken.is_err() {
            // The first failure is the one to report; what remains is swept by the next run.
            let _ = self.disk.remove_tree(&next);
        }
        taken
    }

    fn fill_snapshot(
        &self,
        dir: &Path,
        locks: &[&Lock],
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.disk.make_dir(dir, 0o700)?;
        let hold = |lock: &&Lock| {
            let name = lock.name();
            Ok((name.clone(), self.fill_certificate(&dir.join(name.as_str()), name)?))
        };
        let certificates = locks.iter().map(hold).collect::<Result<_, StoreError>>()?;
        let manifest = Manifest { at, reason: reason.to_owned(), certificates };
        self.write_copy(&dir.join(MANIFEST), &sealed::seal(&manifest))?;
        Ok(self.disk.sync_dir(dir)?)
    }

    fn fill_certificate(&self, dir: &Path, name: &CertName) -> Result<Held, StoreError> {
        self.disk.make_dir(dir, 0o700)?;
        let mut held = Held::default();
        match self.read_live(name) {
            Ok(live) => held.generation = live.map(|stored| stored.generation),
            Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let live = self.layout.live(name);
        let files = if held.generation.is_some() { file::ALL.as_slice() } else { &[] };
        for file in files {
            self.disk.link_or_copy(&live.join(file), &dir.join(file))?;
            held.sum(file, &self.disk.read(&dir.join(file), LARGEST)?.unwrap_or_default());
        }
        // Copied, not linked: an operator's editor may write settings in place.
        for (file, path) in
            [(SETTINGS, self.layout.settings(name)), (STATE, self.layout.state(name))]
        {
            if let Some(bytes) = self.disk.read(&path, LARGEST)? {
                self.write_copy(&dir.join(file), &bytes)?;
                held.sum(file, &bytes);
            }
        }
        self.disk.sync_dir(dir)?;
        Ok(held)
    }

    fn write_copy(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.disk.create(&[NewFile {
            path: path.to_owned(),
            bytes,
            access: Access::default(),
        }])?)
    }

    /// Gives a finished snapshot its id: the time, what it is of, and a number where there were
    /// others in that second. A number that pruning set free is not used again: order is by number.
    fn number_snapshot(
        &self,
        finished: &Path,
        at: Timestamp,
        label: &str,
    ) -> Result<SnapshotId, StoreError> {
        let time = at.to_string().replace(['-', ':'], "");
        let ids = self.snapshot_ids()?;
        let same = ids.iter().map(parts).filter(|(t, l, _)| (*t, *l) == (time.as_str(), label));
        let mut number = same.map(|(_, _, number)| number.max(1)).max().map_or(1, |last| last + 1);
        loop {
            let text = match number {
                1 => format!("{time}-{label}"),
                _ => format!("{time}-{label}-{number}"),
            };
            let id = SnapshotId::parse(&text).expect("letters, digits and hyphens");
            match self.disk.rename_new(finished, &self.layout.snapshot(&id)) {
                Err(error) if error.already_exists() => number += 1,
                renamed => {
                    renamed?;
                    self.disk.sync_dir(&self.layout.snapshots_dir())?;
                    return Ok(id);
                }
            }
        }
    }

    /// All snapshots, newest last. One with a damaged manifest is left out.
    pub(crate) fn snapshots(&self) -> Result<Vec<SnapshotInfo>, StoreError> {
        let mut infos = Vec::new();
        for id in self.snapshot_ids()? {
            match self.snapshot_manifest(&id) {
                Ok(Manifest { at, reason, certificates }) => {
                    let certificates = certificates.into_keys().collect();
                    infos.push(SnapshotInfo { id, at, reason, certificates });
                }
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(infos)
    }

    /// The ids of all snapshots, newest last.
    fn snapshot_ids(&self) -> Result<Vec<SnapshotId>, StoreError> {
        let entries = self.disk.list(&self.layout.snapshots_dir())?;
        let parse = |entry: &std::ffi::OsString| SnapshotId::parse(entry.to_str()?);
        let mut ids: Vec<_> = entries.iter().filter_map(parse).collect();
        ids.sort_by_cached_key(|id| {
            let (time, label, number) = parts(id);
            (time.to_owned(), number, label.to_owned())
        });
        Ok(ids)
    }

    fn snapshot_manifest(&self, id: &SnapshotId) -> Result<Manifest, StoreError> {
        let dir = self.layout.snapshot(id);
        if self.disk.look(&dir)?.is_none() {
            return Err(StoreError::NoSnapshot(id.clone()));
        }
        self.read_sealed(&dir.join(MANIFEST))
    }

    /// The generations of a certificate that snapshots hold.
    pub(super) fn generations_in_snapshots(
        &self,
        name: &CertName,
    ) -> Result<Vec<Generation>, StoreError> {
        let label = label(name);
        let of_it = |id: &SnapshotId| [label.as_str(), SEVERAL].contains(&parts(id).1);
        let ids = self.snapshot_ids()?.into_iter().filter(of_it);
        let generation = |id: SnapshotId| {
            let manifest = self.snapshot_manifest(&id).ok()?;
            manifest.certificates.get(name)?.generation
        };
        Ok(ids.filter_map(generation).collect())
    }

    /// Checks every sum of a snapshot. An in-place edit of a live file shows here by name.
    pub(crate) fn verify_snapshot(&self, id: &SnapshotId) -> Result<Vec<Mismatch>, StoreError> {
        let manifest = self.snapshot_manifest(id)?;
        let mut mismatches = Vec::new();
        for (name, held) in &manifest.certificates {
            let dir = self.layout.snapshot(id).join(name.as_str());
            for file in held.sha256.keys() {
                let what = match self.read_summed(&dir, file, &held.sha256) {
                    Ok(_) => continue,
                    Err(StoreError::Damaged { path, .. }) => match self.disk.look(&path)? {
                        Some(_) => MismatchKind::Changed,
                        None => MismatchKind::Missing,
                    },
                    Err(error) => return Err(error),
                };
                mismatches.push(Mismatch { name: name.clone(), file: file.clone(), what });
            }
        }
        Ok(mismatches)
    }

    /// Links a certificate's generation back into the archive, and writes its settings (and a lost
    /// state) back; `live` is not touched. The caller then switches to the generation returned.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the snapshot itself no longer matches its sums.
    pub(crate) fn restore(&self, id: &SnapshotId, lock: &Lock) -> Result<Generation, StoreError> {
        let name = lock.name();
        let manifest = self.snapshot_manifest(id)?;
        let not_held = || StoreError::NotInSnapshot { id: id.clone(), name: name.clone() };
        let held = manifest.certificates.get(name).ok_or_else(not_held)?;
        let generation = held.generation.ok_or_else(not_held)?;
        let dir = self.layout.snapshot(id).join(name.as_str());
        for file in held.sha256.keys() {
            self.read_summed(&dir, file, &held.sha256)?;
        }
        match self.read(name, generation) {
            Err(StoreError::Damaged { .. }) => self.link_generation(&dir, name, generation)?,
            whole => drop(whole?),
        }
        if held.sha256.contains_key(SETTINGS) {
            let settings = self.read_summed(&dir, SETTINGS, &held.sha256)?;
            if self.disk.read(&self.layout.settings(name), LARGEST)?.as_ref() != Some(&*settings) {
                self.write_settings(lock, &settings)?;
            }
        }
        self.restore_state(&dir, lock)?;
        Ok(generation)
    }

    /// Writes back the state a certificate lost, without what was under way at the time.
    fn restore_state(&self, dir: &Path, lock: &Lock) -> Result<(), StoreError> {
        if self.disk.look(&self.layout.state(lock.name()))?.is_some() {
            return Ok(());
        }
        let Ok(kept) = self.read_sealed::<State>(&dir.join(STATE)) else { return Ok(()) };
        let under_way = State { order: None, intent: None, deploy_queue: Vec::new(), ..kept };
        self.save_state(lock, &State { confirmed: None, ..under_way })
    }

    /// Removes every snapshot that is not among the `keep` newest of any certificate it holds.
    ///
    /// Counted per certificate, so that the switches of many never remove the way back of one.
    pub(crate) fn prune(&self, keep: usize) -> Result<Vec<SnapshotId>, StoreError> {
        let mut newer: BTreeMap<String, usize> = BTreeMap::new();
        let mut pruned = Vec::new();
        for id in self.snapshot_ids()?.into_iter().rev() {
            let mut wanted = false;
            for label in self.labels_in(&id)? {
                let count = newer.entry(label).or_default();
                *count += 1;
                wanted |= *count <= keep;
            }
            if !wanted {
                pruned.push(id);
            }
        }
        for id in &pruned {
            // The manifest first: without it there is no snapshot, whatever else a crash leaves.
            self.disk.remove_file(&self.layout.snapshot(id).join(MANIFEST))?;
            self.disk.remove_tree(&self.layout.snapshot(id))?;
        }
        Ok(pruned)
    }

    /// The labels of the certificates in a snapshot; only for one of several is it opened.
    fn labels_in(&self, id: &SnapshotId) -> Result<BTreeSet<String>, StoreError> {
        let (_, of, _) = parts(id);
        if of != SEVERAL {
            return Ok([of.to_owned()].into());
        }
        match self.snapshot_manifest(id) {
            Ok(manifest) => Ok(manifest.certificates.keys().map(label).collect()),
            Err(StoreError::Damaged { .. } | StoreError::NoSnapshot(_)) => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    }

    /// Writes a snapshot as a tar archive into a new file, for us alone.
    pub(crate) fn export_to(&self, id: &SnapshotId, path: &Path) -> Result<(), StoreError> {
        let mut archive = Zeroizing::new(Vec::new());
        self.export(id, &mut *archive)?;
        let access = Access { mode: 0o600, ..Access::default() };
        Ok(self.disk.create(&[NewFile { path: path.to_owned(), bytes: &archive, access }])?)
    }

    /// Writes a snapshot as a tar archive. It contains private keys.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a file no longer matches its sum; [`StoreError::Export`] when
    /// the writer fails.
    pub(crate) fn export(&self, id: &SnapshotId, to: &mut dyn io::Write) -> Result<(), StoreError> {
        let manifest = self.snapshot_manifest(id)?;
        let dir = self.layout.snapshot(id);
        let mut tar = tar::Builder::new(to);
        let mut add = |path: String, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o400);
            header.set_mtime(u64::try_from(manifest.at.unix()).unwrap_or(0));
            tar.append_data(&mut header, format!("{id}/{path}"), bytes).map_err(StoreError::Export)
        };
        let own = self.disk.read(&dir.join(MANIFEST), LARGEST)?;
        add(MANIFEST.to_owned(), &own.unwrap_or_default())?;
        for (name, held) in &manifest.certificates {
            for file in held.sha256.keys() {
                let bytes = self.read_summed(&dir.join(name.as_str()), file, &held.sha256)?;
                add(format!("{name}/{file}"), &bytes)?;
            }
        }
        tar.finish().map_err(StoreError::Export)
    }
}

impl Held {
    fn sum(&mut self, file: &str, bytes: &[u8]) {
        self.sha256.insert(file.to_owned(), sealed::sha256(bytes));
    }
}

/// Eight letters that stand for a certificate in the ids of its snapshots.
fn label(name: &CertName) -> String {
    let digest = digest::digest(&digest::SHA256, name.as_str().as_bytes());
    BASE32_NOPAD.encode(&digest.as_ref()[..5]).to_ascii_lowercase()
}

/// Time, label and number of an id; empty and zero where it has none.
fn parts(id: &SnapshotId) -> (&str, &str, u32) {
    let mut parts = id.as_str().split('-');
    let (time, label) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    (time, label, parts.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}
