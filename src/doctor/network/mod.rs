//! What a CA will see from outside, as far as this host can see it: the DNS, and who answers there.
//!
//! Each file gathers thinly and judges purely. Everything that comes over the network is untrusted:
//! bounded in size and time, escaped where it is shown.

mod agreement;
mod caa;
mod issuers;
mod lookup;
mod reach;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;
use tokio::time::timeout;

use super::Patient;
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::config::cert::CertSettings;
use crate::config::choice::CaChoice;
use crate::dns::{self, Kind, Resolvers};
use crate::model::challenge::ChallengeKind;
use crate::model::finding::{Finding, Severity};
use crate::model::name::{DnsName, Identifier};
use lookup::Standing;

/// So many identifiers are looked at together: each may take dozens of sockets.
const AT_ONCE: usize = 4;

/// How long the DNS may take, for one identifier.
const PATIENCE: Duration = Duration::from_secs(10);

/// A CA as far as the network is concerned.
struct Ca {
    name: String,
    /// Whether it is one of those that systems trust, and looks from outside.
    is_public: bool,
    /// The names by which CAA records mean it.
    identities: Vec<String>,
    account: Option<String>,
}

/// An identifier, and who is to certify it how.
struct Subject<'a> {
    patient: &'a Patient,
    identifier: &'a Identifier,
    /// The ways of proving control that fit it, in the order in which they are tried.
    kinds: Vec<ChallengeKind>,
    cas: &'a [Ca],
}

impl Subject<'_> {
    /// How bad it is for each CA to be kept from issuing: there are others after the first.
    fn severities(&self) -> impl Iterator<Item = Severity> {
        [Severity::Critical].into_iter().chain(std::iter::repeat(Severity::Warning))
    }

    /// How bad it is if this way of proving control does not work.
    fn severity(&self, kind: ChallengeKind) -> Severity {
        if self.kinds.first() == Some(&kind) { Severity::Critical } else { Severity::Warning }
    }

    fn needs_address(&self) -> bool {
        self.kinds.iter().any(|kind| !kind.is_dns())
    }

    fn settings(&self) -> &CertSettings {
        &self.patient.settings
    }
}

/// Looks at every identifier of every certificate that a CA on the network is to certify.
pub(super) async fn examine(agent: &Agent, patients: &[Patient]) -> Vec<Finding> {
    let resolvers = Resolvers::of_system();
    let mut cas = Vec::new();
    for patient in patients {
        cas.push(cas_of(agent, &patient.settings).await);
    }
    let subjects = patients.iter().zip(&cas).filter(|(_, cas)| !cas.is_empty());
    let subjects = subjects.flat_map(|(patient, cas)| {
        patient.settings.identifiers.iter().map(move |identifier| {
            let kinds = patient.settings.challenges.iter().copied();
            let kinds = kinds.filter(|kind| kind.proves(identifier)).collect();
            Subject { patient, identifier, kinds, cas }
        })
    });
    let resolvers = &resolvers;
    let looks = subjects.map(|subject| async move { look(agent, &subject, resolvers).await });
    let found = stream::iter(looks).buffered(AT_ONCE).flat_map(stream::iter);
    let mut findings: Vec<Finding> = found.collect().await;
    for patient in patients {
        let mut about = Findings::about(patient.name.to_string());
        let standing = patient.standing.as_ref();
        // What is wrong with a CA itself is not the network's concern.
        _ = agent.audit_records(&patient.settings, standing, &mut about).await;
        findings.extend(about.found);
    }
    // What is wrong with a zone is wrong for each name in it, and is told once.
    let mut told = BTreeSet::new();
    findings.retain(|one| told.insert((one.subject.clone(), one.message.clone())));
    findings
}

/// The CAs that look at the DNS; the one inside the process sees this host only.
async fn cas_of(agent: &Agent, settings: &CertSettings) -> Vec<Ca> {
    let root = settings.ca_root.as_ref().map(|path| path.as_path());
    let mut cas = Vec::new();
    for choice in settings.cas.iter().filter(|choice| **choice != CaChoice::Embedded) {
        // What is wrong with a CA itself is not the network's concern.
        let Ok(authority) = agent.authorities.find(choice, root).await else { continue };
        let session = authority.session().await;
        let identities = session.map(|session| session.directory().caa_identities.clone());
        let account = authority.account_file(agent.store()).ok().flatten();
        cas.push(Ca {
            name: authority.name().to_owned(),
            is_public: authority.endpoint.roots.is_none(),
            identities: identities.unwrap_or_default(),
            account: account.and_then(|file| file.url),
        });
    }
    cas
}

async fn look(agent: &Agent, subject: &Subject<'_>, resolvers: &Resolvers) -> Vec<Finding> {
    let mut findings = Findings::about(subject.patient.name.to_string());
    let addresses = match subject.identifier {
        Identifier::Ip(ip) => vec![*ip],
        Identifier::Dns(name) => {
            let dns = look_at_dns(subject, name, resolvers, &mut findings);
            match timeout(PATIENCE, dns).await {
                Ok(addresses) => addresses,
                Err(_) => {
                    let text =
                        format!("the DNS of {} took longer than {PATIENCE:?}", name.as_str());
                    findings.add(Severity::Warning, "dns", text);
                    findings.hint("name a faster resolver in /etc/resolv.conf");
                    Vec::new()
                }
            }
        }
    };
    let asks_addresses = |kind: &ChallengeKind| !kind.is_dns();
    for kind in subject.kinds.iter().copied().filter(asks_addresses) {
        let seen = reach::gather(agent, subject, kind, &addresses).await;
        reach::judge(subject, kind, &seen, &mut findings);
    }
    findings.found
}

/// Judges what the DNS says of a name; returns the addresses it leads to.
async fn look_at_dns(
    subject: &Subject<'_>,
    name: &DnsName,
    resolvers: &Resolvers,
    findings: &mut Findings,
) -> Vec<IpAddr> {
    let Some(base) = dns::name(name.base()) else { return Vec::new() };
    let mut addresses = Vec::new();
    if subject.needs_address() {
        let standing = lookup::gather(&base, &[Kind::A, Kind::Aaaa], resolvers).await;
        lookup::judge_addresses(subject, &standing, findings);
        match standing {
            Standing::Found { data, .. } => addresses = lookup::addresses(&data),
            Standing::Missing { .. } => {}
            _ => return Vec::new(),
        }
    }
    let servers = look_at_servers(subject, name, resolvers);
    let (caa, servers) = join(caa::gather(name, resolvers), servers).await;
    caa::judge(subject, &caa, findings);
    findings.found.extend(servers);
    addresses
}

/// Judges the name servers: on the addresses, and on what dns-01 needs.
async fn look_at_servers(
    subject: &Subject<'_>,
    name: &DnsName,
    resolvers: &Resolvers,
) -> Vec<Finding> {
    let mut findings = Findings::about(subject.patient.name.to_string());
    let mut places: Vec<(String, &[Kind], &str)> = Vec::new();
    if subject.needs_address() {
        places.push((name.base().to_owned(), &[Kind::A, Kind::Aaaa], "the addresses"));
    }
    if subject.kinds.contains(&ChallengeKind::Dns01) {
        places.push((format!("_acme-challenge.{}", name.base()), &[Kind::Txt], "the TXT records"));
    }
    for (place, kinds, what) in places {
        let Some(place) = dns::name(&place) else { continue };
        match agreement::gather(&place, kinds, resolvers).await {
            Ok(survey) => agreement::judge(&survey, what, &mut findings),
            Err(error) => {
                findings.add(Severity::Warning, "dns", error.to_string());
                findings.hint("see that the name servers of the zone run and are delegated to");
            }
        }
    }
    findings.found
}
