//! Accounts, issued certificates and what was spent of the limits: what the CA remembers beyond one
//! process.
//!
//! The ledger is a log of records; a later record of the same thing replaces the earlier one. Readers
//! follow the log; a change is decided and written under its lock, so that two processes over one
//! directory never decide on stale facts.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::CaError;
use super::keep::{Keep, Log};
use super::limits::{Bucket, Level};
use super::problem::Problem;
use super::profile::{BACKDATE, Profile};
use super::public_key::PublicKey;
use super::serial::Serial;
use crate::model::name::Identifier;
use crate::model::time::{Timestamp, Validity, Window};

pub(super) type AccountId = u64;

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AccountStatus {
    Valid,
    Deactivated,
}

/// A registered client (RFC 8555 §7.1.2).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) key: PublicKey,
    /// Those it had before, the oldest first: records that name it by them stay good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former_keys: Vec<PublicKey>,
    pub(super) contact: Vec<String>,
    pub(super) status: AccountStatus,
    /// The external account it was bound to when it was made.
    pub(super) external: Option<String>,
}

/// When and why a certificate was revoked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Revocation {
    pub(super) at: Timestamp,
    pub(super) reason: u8,
}

/// An issued certificate and what became of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Certificate {
    pub(super) serial: Serial,
    pub(super) account: AccountId,
    pub(super) identifiers: Vec<Identifier>,
    pub(super) profile: Profile,
    pub(super) validity: Validity,
    pub(super) pem: String,
    pub(super) replaced_by: Option<Serial>,
    pub(super) revoked: Option<Revocation>,
    /// A renewal window set by hand.
    pub(super) window: Option<Window>,
}

impl Certificate {
    /// When it was issued, which `notBefore` is earlier than.
    pub(super) fn issued(&self) -> Timestamp {
        self.validity.not_before.plus(BACKDATE)
    }
}

/// One line of the ledger.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Record {
    Account(Account),
    Certificate(Certificate),
    Level(Level),
}

/// Everything the ledger says.
#[derive(Default)]
pub(super) struct Books {
    accounts: BTreeMap<AccountId, Account>,
    by_key: HashMap<PublicKey, AccountId>,
    certificates: HashMap<Serial, Certificate>,
    levels: HashMap<Bucket, i64>,
}

impl Books {
    pub(super) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    pub(super) fn account_of(&self, key: &PublicKey) -> Option<&Account> {
        self.by_key.get(key).and_then(|id| self.account(*id))
    }

    pub(super) fn next_account(&self) -> AccountId {
        self.accounts.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    pub(super) fn certificate(&self, serial: &Serial) -> Option<&Certificate> {
        self.certificates.get(serial)
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates.values()
    }

    /// When a bucket is full again, in milliseconds since the Unix epoch; never touched, it is full.
    pub(super) fn full_at(&self, bucket: &Bucket) -> i64 {
        self.levels.get(bucket).copied().unwrap_or(i64::MIN)
    }

    fn enter(&mut self, record: Record) {
        match record {
            Record::Account(account) => {
                if let Some(earlier) = self.accounts.get(&account.id) {
                    self.by_key.remove(&earlier.key);
                }
                self.by_key.insert(account.key.clone(), account.id);
                self.accounts.insert(account.id, account);
            }
            Record::Certificate(certificate) => {
                self.certificates.insert(certificate.serial.clone(), certificate);
            }
            Record::Level(Level { bucket, full_at }) => {
                self.levels.insert(bucket, full_at);
            }
        }
    }
}

/// The books of this process, kept level with the log that all processes share.
pub(super) struct Ledger {
    keep: Keep,
    shared: Mutex<Shared>,
}

struct Shared {
    log: Log,
    books: Books,
}

impl Ledger {
    const FILE: &str = "ledger.jsonl";

    /// Reads the log; a line that is no record is damage and refused.
    pub(super) fn open(keep: &Keep) -> Result<Self, CaError> {
        let log = Log::new(keep.open_growing(Self::FILE)?);
        let mut shared = Shared { log, books: Books::default() };
        let damaged =
            |why: io::Error| CaError::Damaged { path: keep.path(Self::FILE), why: why.to_string() };
        shared.catch_up().map_err(damaged)?;
        Ok(Self { keep: keep.clone(), shared: Mutex::new(shared) })
    }

    /// Looks something up in the books as they stand now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Books) -> T) -> Result<T, Problem> {
        let mut shared = self.shared();
        shared.catch_up().map_err(|why| Problem::internal(&why))?;
        Ok(look(&shared.books))
    }

    /// Decides on a change while nobody else can make one, and writes what was decided.
    ///
    /// Nothing is synchronised to the disk: a process that dies loses nothing, and a CA whose
    /// machine lost power is a test that is run again.
    pub(super) fn change<T>(
        &self,
        decide: impl FnOnce(&Books) -> Result<(T, Vec<Record>), Problem>,
    ) -> Result<T, Problem> {
        let mut shared = self.shared();
        let internal = |why: io::Error| Problem::internal(&why);
        let locked = self.keep.lock().map_err(|why| Problem::internal(&why))?;
        shared.catch_up().map_err(internal)?;
        let (outcome, records) = decide(&shared.books)?;
        let mut lines = String::new();
        for record in records {
            lines += &serde_json::to_string(&record).expect("a record is plain data");
            lines.push('\n');
        }
        shared.log.append(&locked, &lines).map_err(internal)?;
        shared.catch_up().map_err(internal)?;
        Ok(outcome)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn catch_up(&mut self) -> io::Result<()> {
        for line in self.log.news()?.lines() {
            self.books.enter(serde_json::from_str(line)?);
        }
        Ok(())
    }
}
