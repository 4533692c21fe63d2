//! The servers' configurations: do they name what is live, and each file where it belongs?

mod contents;
mod judge;
mod nginx;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::host::Host;
use super::{HOST, Patient};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::deploy::files::list;
use crate::deploy::haproxy;
use crate::model::finding::{Finding, Severity};
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::store::layout::HookKind;
use contents::Contents;

/// One of our certificates, as a mention is compared with it.
struct Ours {
    name: CertName,
    /// Where servers should read, links resolved.
    live: PathBuf,
    archive: PathBuf,
    identifiers: BTreeSet<Identifier>,
    live_generation: Option<Generation>,
    /// Every generation by the fingerprint of its leaf.
    generations: Vec<(Generation, String)>,
    /// Whether hooks may bring it to other places.
    has_hooks: bool,
}

/// Reads the configurations of nginx and HAProxy and judges what concerns these certificates.
pub(super) async fn examine(agent: &Agent, patients: &[Patient], host: &Host) -> Vec<Finding> {
    let ours: Vec<Ours> = patients.iter().map(|patient| Ours::of(agent, patient)).collect();
    let (mut findings, mut mentions) =
        (Findings::about(HOST), haproxy::configuration::mentions(&host.at("/")));
    if let Some(nginx) = nginx::examine().await {
        if let Some(complaint) = nginx.complaint {
            let text = format!("nginx refuses its configuration: {complaint}");
            findings.add(Severity::Critical, "server", text);
            findings.hint("`nginx -t` shows it; until it is mended no renewal can be put to use");
        }
        mentions.extend(nginx.mentions);
    }
    let mut findings = findings.found;
    for mention in mentions {
        let contents = Contents::of(&mention.path);
        findings.extend(judge::judge(&mention, &contents, &ours));
    }
    findings
}

impl Ours {
    fn of(agent: &Agent, patient: &Patient) -> Self {
        let (store, name) = (agent.store(), &patient.name);
        let layout = store.layout();
        let resolved = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let generations = store.generations(name).unwrap_or_default().into_iter();
        let fingerprint =
            |generation| Some((generation, store.meta(name, generation).ok()?.fingerprint));
        let live = patient.standing.as_ref().and_then(|standing| standing.live.as_ref());
        let has_hooks = !patient.settings.hooks.deploy.is_empty()
            || !list(&layout.hooks(HookKind::Deploy)).is_empty();
        Self {
            name: name.clone(),
            live: resolved(layout.live(name)),
            archive: resolved(layout.archive(name)),
            identifiers: patient.settings.identifiers.iter().cloned().collect(),
            live_generation: live.map(|(generation, _)| *generation),
            generations: generations.filter_map(fingerprint).collect(),
            has_hooks,
        }
    }
}
