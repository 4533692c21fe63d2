//! The certificates of a server, and how they are exchanged while it serves.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pair::{Files, Fingerprint, Pair, Reader};
use crate::stats::Stats;
use crate::table::{Challenge, ChangeError, Entry, Table};

/// The protocol of a CA's visit for its challenge (RFC 8737, section 6.2), to be added to a server's
/// `alpn_protocols` if it is to answer tls-alpn-01.
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// What a server may want to write into its log; see [`on_change`](crate::Builder::on_change).
#[derive(Debug)]
#[non_exhaustive]
pub enum Change<'a> {
    /// Another certificate is served to all clients.
    InService {
        /// The name it is held under.
        name: &'a str,
        /// The certificate.
        fingerprint: Fingerprint,
    },
    /// A folder holds what cannot be served; what was served before still is.
    Refused {
        /// The name it is held under.
        name: &'a str,
        /// What is wrong.
        error: &'a ChangeError,
    },
}

/// Who is told of changes.
pub(crate) type Listener = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// The certificates of a server, by name; a resolver for rustls.
///
/// A handshake takes no lock and allocates nothing here. A change replaces everything at once, so
/// each handshake has the old certificate or the new one, whole.
pub struct LiveCert {
    table: ArcSwap<Table>,
    /// Held while a changed table is made; a handshake never waits for it.
    writing: Mutex<()>,
    reader: Reader,
    listener: Listener,
    is_observed: AtomicBool,
    has_master: AtomicBool,
}

impl LiveCert {
    pub(crate) fn new(table: Table, reader: Reader, listener: Listener) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::from_pointee(table),
            writing: Mutex::new(()),
            reader,
            listener,
            is_observed: AtomicBool::new(false),
            has_master: AtomicBool::new(false),
        })
    }

    /// Loads again the folders whose chain has changed, and returns what was refused.
    ///
    /// What is refused leaves in service what was. While another certificate is being tried under
    /// the name, its folder is refused, too.
    pub fn reload(&self) -> Vec<(String, ChangeError)> {
        let table = self.table();
        let reload = |entry: &Arc<Entry>| {
            let error = self.reload_entry(entry).err()?;
            Some((entry.name.clone(), error))
        };
        table.entries.iter().filter_map(reload).collect()
    }

    fn reload_entry(&self, entry: &Entry) -> Result<(), ChangeError> {
        let pair = Arc::new(self.reader.folder(&entry.folder, now())?);
        if entry.active.is(&pair) {
            return Ok(());
        }
        self.change(&entry.name, |entry| entry.reload(pair)).map(drop)
    }

    /// How the handshakes with the certificates of a name ended; none if there is no such name.
    pub fn stats(&self, name: &str) -> Option<Stats> {
        let table = self.table();
        let entry = &table.entries[table.place_of(name).ok()?];
        Some(Stats::of(entry, self.is_observed()))
    }

    pub(crate) fn prepare(&self, name: &str, files: &Files) -> Result<Prepared, ChangeError> {
        // A name nobody knows is refused before its files are looked at.
        self.table().place_of(name)?;
        let pair = Arc::new(self.reader.pair(files, now())?);
        let entry = self.change(name, |entry| Ok(entry.prepare(pair.clone())))?;
        Ok(Prepared { is_active: entry.active.is(&pair), pair })
    }

    pub(crate) fn canary(&self, name: &str, percent: u64) -> Result<Arc<Entry>, ChangeError> {
        self.change(name, |entry| entry.canary(percent))
    }

    pub(crate) fn commit(
        &self,
        name: &str,
        expected: Option<&str>,
    ) -> Result<Arc<Entry>, ChangeError> {
        self.change(name, |entry| entry.commit(expected))
    }

    pub(crate) fn rollback(&self, name: &str) -> Result<Arc<Entry>, ChangeError> {
        self.change(name, |entry| entry.rollback(now()))
    }

    pub(crate) fn challenge(&self, server_name: &str, files: &Files) -> Result<(), ChangeError> {
        let certified = Arc::new(self.reader.challenge(files)?);
        let server_name = server_name.to_ascii_lowercase();
        let challenge = Challenge { server_name, certified };
        let _writing = self.writing();
        let table = Table::clone(&self.table.load()).with_challenge(challenge)?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Forgets the challenge for one server name, or all, and returns how many there were.
    pub(crate) fn clear(&self, server_name: Option<&str>) -> usize {
        let _writing = self.writing();
        let mut table = Table::clone(&self.table.load());
        let before = table.challenges.len();
        table.challenges.retain(|challenge| {
            server_name.is_some_and(|name| !name.eq_ignore_ascii_case(&challenge.server_name))
        });
        let cleared = before - table.challenges.len();
        self.table.store(Arc::new(table));
        cleared
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Notes that handshakes are told the end of.
    pub(crate) fn observe(&self) {
        // Written once: what is written is taken from all other cores.
        if !self.is_observed() {
            self.is_observed.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.is_observed.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, change: &Change<'_>) {
        (self.listener)(change);
    }

    /// Becomes the one by whose word certificates change, unless there is one already.
    pub(crate) fn master(self: &Arc<Self>) -> Option<Master> {
        let was_free = !self.has_master.swap(true, Ordering::AcqRel);
        was_free.then(|| Master(self.clone()))
    }

    /// What a client gets; the one place where this is decided.
    pub(crate) fn choose(&self, hello: &ClientHello<'_>) -> Option<Choice> {
        let table = self.table.load();
        let name = hello.server_name();
        if is_for_challenge(hello) {
            return table.challenge(name).cloned().map(Choice::Challenge);
        }
        let pair = table.choose(name);
        pair.counters.chosen();
        Some(Choice::Certificate(pair.clone()))
    }

    /// Puts another entry in the place of one, and tells if other clients now see another certificate.
    fn change(
        &self,
        name: &str,
        to: impl FnOnce(&Entry) -> Result<Entry, ChangeError>,
    ) -> Result<Arc<Entry>, ChangeError> {
        let writing = self.writing();
        let table = self.table();
        let place = table.place_of(name)?;
        let before = &table.entries[place];
        let after = to(before)?;
        let is_in_service = !Arc::ptr_eq(&before.active, &after.active);
        let changed = Table::clone(&table).with(place, after);
        let after = changed.entries[place].clone();
        self.table.store(Arc::new(changed));
        drop(writing);
        if is_in_service {
            self.tell(&Change::InService { name, fingerprint: after.active.fingerprint() });
        }
        Ok(after)
    }

    fn writing(&self) -> impl Drop {
        // What a panic left is the old table, whole.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for LiveCert {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(&hello).as_ref().map(Choice::certified)
    }
}

impl fmt::Debug for LiveCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        let names = table.entries.iter().map(|entry| &entry.name).collect::<Vec<_>>();
        f.debug_struct("LiveCert").field("names", &names).finish_non_exhaustive()
    }
}

/// What a client was given.
#[derive(Clone)]
pub(crate) enum Choice {
    Certificate(Arc<Pair>),
    Challenge(Arc<CertifiedKey>),
}

impl Choice {
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        match self {
            Self::Certificate(pair) => pair.certified().clone(),
            Self::Challenge(certified) => certified.clone(),
        }
    }
}

/// What was prepared, or is active already.
pub(crate) struct Prepared {
    pub(crate) pair: Arc<Pair>,
    pub(crate) is_active: bool,
}

/// Held by the socket or by the watcher, whichever came first.
pub(crate) struct Master(Arc<LiveCert>);

impl Drop for Master {
    fn drop(&mut self) {
        self.0.has_master.store(false, Ordering::Release);
    }
}

/// A CA offers its own protocol and nothing else (RFC 8737, section 3).
fn is_for_challenge(hello: &ClientHello<'_>) -> bool {
    let Some(mut offered) = hello.alpn() else { return false };
    offered.next() == Some(ACME_TLS_ALPN) && offered.next().is_none()
}

/// Unix time in seconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
