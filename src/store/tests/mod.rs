//! What the room promises, tried on a real file system.

mod alerts;
mod crash;
mod faults;
mod fitness;
mod history;
mod index;
mod ledger;
mod records;
mod runs;
mod tally;
mod verbs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::archive::{GenerationFiles, Meta};
use super::crashing::{Crashing, Failure, Lacks};
use super::disk::{Access, Disk, Real};
use super::journal::{OrderJournal, Rollout};
use super::layout::Layout;
use super::lock::Lock;
use super::{Store, StoreError};
use crate::model::file;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::proof::Proof;
use crate::model::time::{Timestamp, Validity};

/// A home of its own, in memory where the machine has a file system for that.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(made.unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn layout(&self) -> Layout {
        Layout::in_home(self.path())
    }

    fn open(&self) -> Store {
        self.open_on(Arc::new(Real)).unwrap()
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Store, StoreError> {
        Store::open(self.layout(), disk)
    }

    /// Every path below, relative; for finding leftovers.
    fn tree(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), found);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.path(), &mut found);
        found.iter().map(|path| path.strip_prefix(self.path()).unwrap().to_owned()).collect()
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let is_leftover = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            let hidden = name.starts_with('.') && !path.starts_with("locks");
            hidden || name.ends_with(".key") || name.ends_with(".room")
        };
        self.tree().into_iter().filter(is_leftover).collect()
    }
}

fn name() -> CertName {
    CertName::parse("example.com").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + seconds)
}

fn number(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

fn meta(serial: &str) -> Meta {
    Meta {
        identifiers: vec![Identifier::parse("example.com").unwrap()],
        ca: "test".to_owned(),
        profile: Some("shortlived".to_owned()),
        account_url: "https://ca.test/account/1".to_owned(),
        order_url: format!("https://ca.test/order/{serial}"),
        issued_at: at(0),
        validity: Validity { not_before: at(0), not_after: at(576_000) },
        fingerprint: "00".repeat(32),
        ari_id: None,
        serial: "00ff".to_owned(),
        key_type: "p256".to_owned(),
        proof: Proof::default(),
    }
}

/// Publishes a generation whose every file says `serial`.
fn publish(store: &Store, lock: &Lock, serial: &str) -> Result<Generation, StoreError> {
    let text = |what: &str| format!("{what} of {serial}\n").into_bytes();
    let [cert, chain, fullchain] = ["cert", "chain", "fullchain"].map(text);
    let files = GenerationFiles {
        cert: &cert,
        chain: &chain,
        fullchain: &fullchain,
        privkey: Zeroizing::new(text("privkey")),
        meta: meta(serial),
        access: Access::default(),
    };
    store.publish(lock, &files)
}

/// Publishes and puts in service.
fn deploy(store: &Store, lock: &Lock, serial: &str) -> Result<Generation, StoreError> {
    let generation = publish(store, lock, serial)?;
    let snapshot = store.take_snapshot(&[lock], "before a test", at(0))?;
    store.switch(lock, generation, &snapshot, Rollout::default())?;
    store.confirm(lock)?;
    Ok(generation)
}

/// What a server would read: the one serial all live files agree on. `None` without live directory.
fn served(store: &Store) -> Option<String> {
    let live = store.layout().live(&name());
    if !live.exists() {
        return None;
    }
    let serial = |what: &str| {
        let text = std::fs::read_to_string(live.join(format!("{what}.pem"))).unwrap();
        text.strip_prefix(&format!("{what} of ")).expect(what).trim_end().to_owned()
    };
    let serials = ["cert", "chain", "fullchain", "privkey"].map(serial);
    assert!(serials.iter().all(|other| *other == serials[0]), "mixed: {serials:?}");
    assert!(store.read_live(&name()).unwrap().is_some());
    Some(serials[0].clone())
}

#[expect(clippy::disallowed_methods, reason = "damages what a test looks at")]
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "damages what a test looks at")]
fn remove_tree(path: &Path) {
    std::fs::remove_dir_all(path).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
fn make_dir(path: &Path) {
    std::fs::create_dir(path).unwrap();
}

/// The whole way back from a switch that proved bad; what is live then.
fn go_back(store: &Store, lock: &Lock) -> Result<Option<Generation>, StoreError> {
    let live = store.turn_back(lock, "a test", true)?;
    store.went_back(lock)?;
    Ok(live)
}
