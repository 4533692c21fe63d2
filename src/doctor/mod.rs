//! Floor 7: why the next renewal would fail, found before a CA is asked for anything.
//!
//! A check gathers thinly and then judges purely; what it judged is a [`Finding`], also where all is
//! well. Nothing is changed but what `--fix` names, and that only where it cannot do harm.

mod account;
mod admission;
mod clock;
mod dns;
mod host;
mod jobs;
mod limits;
mod live;
mod network;
mod others;
mod ports;
mod servers;
mod system;
mod timer;
mod trust;

use crate::agent::{Agent, Insistence, Standing};
use crate::config::cert::CertSettings;
use crate::model::fault::in_full;
use crate::model::finding::{Finding, Severity};
use crate::model::name::CertName;
use admission::admit;
use host::Host;
use jobs::Jobs;

/// The subject of what concerns the whole machine.
pub(crate) const HOST: &str = "host";

/// A certificate as the checks look at it.
pub(crate) struct Patient {
    pub(crate) name: CertName,
    pub(crate) settings: CertSettings,
    /// `None` where the store cannot be read.
    pub(crate) standing: Option<Standing>,
}

impl Patient {
    /// A certificate that is wanted like this, whatever its file says.
    pub(crate) fn new(agent: &Agent, name: &CertName, settings: CertSettings) -> Self {
        Self { name: name.clone(), settings, standing: agent.standing(name).ok() }
    }

    /// A certificate as its settings say; `None` where they cannot be read.
    pub(crate) fn read(agent: &Agent, name: &CertName) -> Option<Self> {
        let (settings, _) = agent.settings(name).ok()??;
        Some(Self::new(agent, name, settings))
    }

    fn would_order(&self, agent: &Agent, insistence: Insistence) -> bool {
        let standing = self.standing.as_ref();
        standing.is_some_and(|standing| agent.would_order(standing, &self.settings, insistence))
    }
}

/// Examines these certificates and the machine: everything there is a check for.
///
/// With `fix`, mends what can be mended safely.
pub(crate) async fn examine(agent: &Agent, names: &[CertName], fix: bool) -> Vec<Finding> {
    let (patients, mut findings) = admit(agent, names);
    let (host, store, now) = (Host::here(), agent.store(), agent.hands.clock.now());
    let jobs = Jobs::gather(&host);
    findings.extend(account::examine(agent, &patients, fix).await);
    findings.extend(ports::examine(agent, &patients).await);
    findings.extend(dns::examine(agent, &patients).await);
    findings.extend(clock::glance(&patients, now));
    findings.extend(clock::examine(agent, &patients, &host).await);
    findings.extend(live::glance(store, &patients));
    findings.extend(servers::examine(agent, &patients, &host).await);
    findings.extend(system::examine(store, &host));
    findings.extend(others::examine(&patients, &host, &jobs));
    findings.extend(limits::examine(agent, &patients));
    findings.extend(timer::examine(agent, &patients, &jobs));
    findings.extend(trust::examine(agent, &patients));
    findings.extend(network::examine(agent, &patients).await);
    findings
}

/// What costs nothing to look at, for those of these certificates a run would now order: no
/// network, no other program.
///
/// Only what is wrong is told. Where nothing would be ordered nothing is looked at.
pub(crate) async fn glance(
    agent: &Agent,
    patients: impl IntoIterator<Item = Patient>,
    insistence: Insistence,
) -> Vec<Finding> {
    let orders = |patient: &Patient| patient.would_order(agent, insistence);
    let patients: Vec<Patient> = patients.into_iter().filter(orders).collect();
    if patients.is_empty() {
        return Vec::new();
    }
    let (store, now) = (agent.store(), agent.hands.clock.now());
    let mut findings = account::glance(agent, &patients).await;
    findings.extend(clock::glance(&patients, now));
    findings.extend(live::glance(store, &patients));
    findings.extend(system::glance(store));
    findings.retain(|finding| finding.severity > Severity::Ok);
    findings
}
