//! Floor 6: wiring. The only place that builds real clocks, disks and clients.

pub(crate) mod aftermath;
pub(crate) mod alerts;
mod attempt;
pub(crate) mod audit;
pub(crate) mod authorities;
pub(crate) mod cadence;
pub(crate) mod clock;
pub(crate) mod forecast;
pub(crate) mod front;
mod history;
pub(crate) mod home;
mod hooks_once;
mod leftovers;
pub(crate) mod metrics;
pub(crate) mod outlook;
mod plan;
pub(crate) mod put_back;
pub(crate) mod reconcile;
mod record;
mod recorder;
mod records;
mod revoke;
mod secrets;
pub(crate) mod serve;
mod standing;
mod targets;
pub(crate) mod tick;
mod trouble;
pub(crate) mod underway;
mod work;
mod zones;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::watch;

use crate::challenge::Handed;
use crate::challenge::dns01::Turns;
use crate::config::cert::CertSettings;
use crate::config::main_settings::MainSettings;
use crate::model::event::Sink;
use crate::model::name::CertName;
use crate::model::time::Clock;
use crate::pipeline::{Hands, Solvers};
use crate::schedule::window::Seed;
use crate::store::{Store, StoreError};
use authorities::{Authorities, Launch};
use clock::Corrected;
use hooks_once::HooksOnce;
use recorder::Recorder;
use tick::LookedAt;

pub(crate) use crate::model::ended::Ended;
pub(crate) use plan::{Insistence, Standing};
pub(crate) use trouble::Trouble;
pub(crate) use work::{Done, Wish};

/// Everything a verb needs to work on certificates.
pub(crate) struct Agent {
    pub(crate) hands: Hands,
    pub(crate) authorities: Authorities,
    hooks: HooksOnce,
    looked_at: LookedAt,
    /// Providers are shared: what is told them for one certificate waits for what another tells.
    dns_turns: Arc<Turns>,
    /// Of each CA we have no account at: whether there was one.
    lost_accounts: Mutex<BTreeMap<String, bool>>,
    clock: Arc<Corrected>,
    /// What happened, until it is counted.
    recorder: Arc<Recorder>,
    /// What tells this host from others of a fleet.
    host: Vec<u8>,
}

/// What the floor above brings.
pub(crate) struct Wiring {
    pub(crate) store: Arc<Store>,
    pub(crate) main: MainSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) launch: Launch,
    /// The listening sockets that the service manager gave.
    pub(crate) handed: Arc<Handed>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Agent {
    pub(crate) fn new(wiring: Wiring) -> Self {
        let Wiring { store, main, clock, sink, launch, handed, stop } = wiring;
        let corrected = Arc::new(Corrected::new(clock));
        let clock: Arc<dyn Clock> = Arc::<Corrected>::clone(&corrected);
        let recorder = Arc::new(Recorder::new(sink, Arc::clone(&clock)));
        let sink: Arc<dyn Sink> = Arc::<Recorder>::clone(&recorder);
        let authorities = Authorities::new(main, Arc::clone(&clock), launch);
        let solvers = Solvers::new(Arc::clone(&store), handed);
        let (turns, system_roots, revocations) = (Arc::default(), OnceLock::new(), OnceLock::new());
        let hands = Hands { store, clock, sink, solvers, stop, turns, system_roots, revocations };
        Self {
            hands,
            authorities,
            hooks: HooksOnce::default(),
            looked_at: LookedAt::default(),
            dns_turns: Arc::default(),
            lost_accounts: Mutex::default(),
            clock: corrected,
            recorder,
            host: host_id(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.hands.store
    }

    /// The settings of a certificate, with the text they were read from; `None` without a file.
    pub(crate) fn settings(
        &self,
        name: &CertName,
    ) -> Result<Option<(CertSettings, String)>, Trouble> {
        Ok(CertSettings::load(&self.store().layout().settings(name))?)
    }

    fn seed(&self, standing: &Standing) -> Seed {
        let newest = standing.newest.as_ref().map(|(_, meta)| meta.fingerprint.as_bytes());
        Seed::new(newest.unwrap_or_default(), &self.host)
    }
}

/// The certificates there are: those with settings, and those that are live without.
pub(crate) fn certificates(store: &Store) -> Result<Vec<CertName>, StoreError> {
    Ok(store.names()?.into_iter().filter(|name| exists(store, name)).collect())
}

/// What a first `issue` left to be taken up again is no certificate yet.
fn exists(store: &Store, name: &CertName) -> bool {
    store.layout().settings(name).exists() || store.layout().live(name).exists()
}

/// The machine id, else the host name.
fn host_id() -> Vec<u8> {
    let id = std::fs::read("/etc/machine-id").unwrap_or_default();
    if id.is_empty() { rustix::system::uname().nodename().to_bytes().to_vec() } else { id }
}
