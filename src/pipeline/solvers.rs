//! Who answers which challenge. Listeners are shared by all runs of the process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Wanted;
use super::slot::Slots;
use crate::challenge::dns01::Dns01;
use crate::challenge::http01::Standalone;
use crate::challenge::tls_alpn01::TlsAlpn;
use crate::challenge::webroot::Webroot;
use crate::challenge::{Handed, Http01, Listen, Solver, SolverError};
use crate::model::challenge::{AccountLabel, ChallengeKind, ValidationPorts};
use crate::store::Store;

type Shared<T> = Mutex<HashMap<(Listen, u16), Arc<T>>>;

/// The listeners of this process, one for each address and port, opened only while needed, and its
/// hands in web roots.
pub(crate) struct Solvers {
    /// Where a `serve` of this home takes answers.
    desk: PathBuf,
    store: Arc<Store>,
    handed: Arc<Handed>,
    http01: Shared<Standalone>,
    tls_alpn01: Shared<TlsAlpn>,
    webroots: Mutex<HashMap<PathBuf, Weak<Webroot>>>,
}

/// What a solver has to know of the CA.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looker {
    /// Whether it can be told the port: then a free one does unless one is given.
    pub(crate) any_port: bool,
    /// Our account there, if we have one.
    pub(crate) account: Option<AccountLabel>,
}

/// A solver, and how the embedded CA learns where it listens.
pub(crate) struct Chosen {
    pub(crate) solver: Arc<dyn Solver>,
    port: Arc<dyn Fn() -> Option<u16> + Send + Sync>,
}

impl Chosen {
    /// Tells a CA inside this process where the solver listens now.
    pub(crate) fn announce(&self, ports: &ValidationPorts) {
        let Some(port) = (self.port)() else { return };
        match self.solver.kind() {
            ChallengeKind::Http01 => ports.set_http_01(port),
            ChallengeKind::TlsAlpn01 => ports.set_tls_alpn_01(port),
            ChallengeKind::Dns01 | ChallengeKind::DnsAccount01 | ChallengeKind::DnsPersist01 => {}
        }
    }
}

impl Solvers {
    /// Opens nothing yet.
    pub(crate) fn new(store: Arc<Store>, handed: Arc<Handed>) -> Self {
        let desk = store.layout().desk();
        let (http01, tls_alpn01, webroots) = Default::default();
        Self { desk, store, handed, http01, tls_alpn01, webroots }
    }

    /// The solver of `kind` as it is wanted; `None` where this build has none.
    pub(crate) fn choose(
        &self,
        wanted: &Wanted<'_>,
        kind: ChallengeKind,
        looker: &Looker,
    ) -> Result<Option<Chosen>, SolverError> {
        let any_port = looker.any_port;
        let or_default =
            |port: Option<u16>, usual| port.unwrap_or(if any_port { 0 } else { usual });
        let wide = if any_port { Listen::Loopback } else { Listen::Everywhere };
        let listen = |address: Option<IpAddr>| address.map_or(wide, Listen::At);
        match (kind, wanted.http01) {
            (ChallengeKind::Http01, Http01::Webroot(root)) => {
                Ok(Some(Chosen { solver: self.webroot(root)?, port: Arc::new(|| None) }))
            }
            (ChallengeKind::Http01, Http01::Standalone { address, port }) => {
                let port = or_default(*port, 80);
                let standalone =
                    |listen, port| Standalone::new(listen, port, self.desk.clone(), &self.handed);
                let solver = shared(&self.http01, listen(*address), port, standalone);
                let its_port = Arc::clone(&solver);
                Ok(Some(Chosen { solver, port: Arc::new(move || its_port.port()) }))
            }
            (ChallengeKind::TlsAlpn01, http01) => {
                let address = match http01 {
                    Http01::Standalone { address, .. } => *address,
                    Http01::Webroot(_) => None,
                };
                let port = or_default(wanted.tls_alpn01_port, 443);
                let alone = |listen, port| TlsAlpn::new(listen, port, &self.handed);
                let solver = shared(&self.tls_alpn01, listen(address), port, alone);
                let its_port = Arc::clone(&solver);
                if !Slots::exist(&wanted.targets) {
                    return Ok(Some(Chosen { solver, port: Arc::new(move || its_port.port()) }));
                }
                let (targets, store) = (wanted.targets.clone(), Arc::clone(&self.store));
                let solver = Arc::new(Slots { targets, store, alone: solver });
                // Where a server of others listens nobody but the settings can tell.
                let given = wanted.tls_alpn01_port;
                Ok(Some(Chosen { solver, port: Arc::new(move || its_port.port().or(given)) }))
            }
            (ChallengeKind::Dns01 | ChallengeKind::DnsAccount01, _) => {
                let account = looker.account.clone();
                let solver = |dns| Arc::new(Dns01::new(kind, account, Arc::clone(dns)));
                let chosen = wanted.dns.as_ref().map(solver);
                Ok(chosen.map(|solver| Chosen { solver, port: Arc::new(|| None) }))
            }
            (ChallengeKind::DnsPersist01, _) => Ok(None),
        }
    }

    /// The one solver for this web root while anybody uses it: it knows which folders it made, and
    /// removes them with the last answer.
    fn webroot(&self, root: &Path) -> Result<Arc<Webroot>, SolverError> {
        let mut all = self.webroots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(in_use) = all.get(root).and_then(Weak::upgrade) {
            return Ok(in_use);
        }
        let new = Arc::new(Webroot::new(root.to_owned())?);
        all.insert(root.to_owned(), Arc::downgrade(&new));
        Ok(new)
    }
}

fn shared<T>(
    all: &Shared<T>,
    listen: Listen,
    port: u16,
    make: impl FnOnce(Listen, u16) -> T,
) -> Arc<T> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry((listen, port)).or_insert_with(|| Arc::new(make(listen, port))))
}
