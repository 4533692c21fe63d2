//! Whether those who edit the DNS for a certificate let us in.

use std::collections::BTreeSet;

use super::{Patient, in_full};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::challenge::dns01::{Dns, DnsError};
use crate::model::challenge::{AccountLabel, ChallengeKind};
use crate::model::fault::Fault;
use crate::model::finding::{Finding, Severity};

/// Tries the credentials of every provider on each zone it would have to edit; nothing is changed.
///
/// The zones are those a run would find, aliases and delegations followed.
pub(super) async fn examine(agent: &Agent, patients: &[Patient]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for patient in patients {
        let kinds = [ChallengeKind::Dns01, ChallengeKind::DnsAccount01];
        if !patient.settings.challenges.iter().any(|kind| kinds.contains(kind)) {
            continue;
        }
        let mut about = Findings::about(patient.name.to_string());
        match agent.dns(&patient.name, &patient.settings).await {
            Ok(None) => {}
            Ok(Some(dns)) => look(&dns, asked(agent, patient).await, &mut about).await,
            Err(trouble) => about.add(Severity::Critical, "dns", in_full(&trouble)),
        }
        findings.extend(about.found);
    }
    findings
}

/// The names at which records would be written; of dns-account-01 for every account there is.
async fn asked(agent: &Agent, patient: &Patient) -> BTreeSet<String> {
    let settings = &patient.settings;
    let mut accounts: Vec<Option<AccountLabel>> = vec![None];
    if settings.challenges.contains(&ChallengeKind::DnsAccount01) {
        for choice in &settings.cas {
            // A CA that cannot be made out is told elsewhere.
            let root = settings.ca_root.as_ref().map(|root| root.as_path());
            let Ok(authority) = agent.authorities.find(choice, root).await else { continue };
            accounts.push(authority.looker(agent.store()).account);
        }
    }
    let mut names = BTreeSet::new();
    for kind in &settings.challenges {
        for identifier in &settings.identifiers {
            let name = |account: &Option<_>| kind.record_name(identifier, account.as_ref());
            names.extend(accounts.iter().filter_map(name));
        }
    }
    names
}

async fn look(dns: &Dns, asked: BTreeSet<String>, findings: &mut Findings) {
    // A thousand names of one zone are one question.
    let mut zones = BTreeSet::new();
    for found in dns.survey(asked.into_iter()).await {
        match found {
            Ok(zone) => _ = zones.insert(zone),
            Err(error) => fail(&error, findings),
        }
    }
    for (provider, apex) in zones {
        let provider = &dns.providers[provider].zone;
        let label = provider.label();
        match provider.check(&apex).await {
            Ok(()) if apex.is_empty() => {
                findings.add(Severity::Ok, "dns", format!("{label} needs to know no zone"));
            }
            Ok(()) => {
                let text = match provider.can_check() {
                    true => format!("{label} lets us see to the zone {apex}"),
                    false => {
                        format!("{label} cannot be tried for {apex} without changing a record")
                    }
                };
                findings.add(Severity::Ok, "dns", text);
            }
            Err(error) => fail(&error, findings),
        }
    }
}

/// A zone that is not found may be found the next time.
fn fail(error: &DnsError, findings: &mut Findings) {
    let severity = match error {
        DnsError::Nowhere { .. } if error.fault() != Fault::Permanent => Severity::Warning,
        _ => Severity::Critical,
    };
    findings.add(severity, "dns", in_full(error));
    if let Some(hint) = error.hint() {
        findings.hint(hint);
    }
}
