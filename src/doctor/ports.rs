//! Whether challenges can be answered from here: the ports and the web root that are wanted.

use std::collections::BTreeMap;

use super::{Patient, in_full};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::challenge::SolverError;
use crate::config::choice::CaChoice;
use crate::model::challenge::ChallengeKind;
use crate::model::finding::{Finding, Severity};
use crate::pipeline::Looker;

/// How one type of challenge fared: what stands in its way, and what to do about it.
type Tried = Result<(), (String, Option<&'static str>)>;

/// Tries every challenge type that is wanted, as a run would before it orders.
pub(super) async fn examine(agent: &Agent, patients: &[Patient]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A thousand certificates that want the same port are one question.
    let mut tried = BTreeMap::new();
    for patient in patients {
        let settings = &patient.settings;
        let mut of_patient = Vec::new();
        for kind in &settings.challenges {
            let any_port = settings.cas == [CaChoice::Embedded];
            let key =
                format!("{kind} {any_port} {:?} {:?}", settings.http01, settings.tls_alpn01_port);
            if !tried.contains_key(&key) {
                tried.insert(key.clone(), attempt(agent, patient, *kind, any_port).await);
            }
            of_patient.push((*kind, tried[&key].clone()));
        }
        let mut about = Findings::about(patient.name.to_string());
        let proves_all =
            |kind: ChallengeKind| settings.identifiers.iter().all(|one| kind.proves(one));
        judge(&of_patient, proves_all, &mut about);
        findings.extend(about.found);
    }
    findings
}

async fn attempt(agent: &Agent, patient: &Patient, kind: ChallengeKind, any_port: bool) -> Tried {
    let wanted = agent
        .wanted(&patient.name, &patient.settings, &patient.settings.identifiers)
        .await
        .map_err(|trouble| (in_full(&trouble), None))?;
    let looker = Looker { any_port, account: None };
    let solver = match agent.hands.solvers.choose(&wanted, kind, &looker) {
        Ok(Some(chosen)) => chosen.solver,
        Ok(None) => return Err((format!("{kind} is not supported by this version"), None)),
        Err(error) => return Err((in_full(&error), hint(&error))),
    };
    solver.precheck(&[]).await.map_err(|error| (in_full(&error), hint(&error)))
}

/// What the error's own words do not say already.
fn hint(error: &SolverError) -> Option<&'static str> {
    match error {
        SolverError::PortForbidden { .. } => {
            Some("a service gets it by AmbientCapabilities=CAP_NET_BIND_SERVICE")
        }
        SolverError::Webroot { .. } | SolverError::Unsafe { .. } => {
            Some("--webroot names the directory the web server serves, and it must be writable")
        }
        _ => None,
    }
}

/// A type that fails is no disaster while another one proves every name.
fn judge(
    tried: &[(ChallengeKind, Tried)],
    proves_all: impl Fn(ChallengeKind) -> bool,
    findings: &mut Findings,
) {
    let another_works = tried.iter().any(|(kind, tried)| tried.is_ok() && proves_all(*kind));
    for (kind, tried) in tried {
        match tried {
            Ok(()) => {
                findings.add(Severity::Ok, "challenge", format!("{kind} can be answered here"))
            }
            Err((text, hint)) => {
                let severity = if another_works { Severity::Warning } else { Severity::Critical };
                findings.add(severity, "challenge", text.clone());
                if let Some(hint) = hint {
                    findings.hint(*hint);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_type_that_works_is_enough() {
        use ChallengeKind::{Http01, TlsAlpn01};
        let bad = || Err(("port 80 is in use".to_owned(), Some("stop it")));
        let table = [
            (vec![(Http01, Ok(()))], vec![Severity::Ok]),
            (vec![(Http01, bad())], vec![Severity::Critical]),
            (vec![(Http01, bad()), (TlsAlpn01, Ok(()))], vec![Severity::Warning, Severity::Ok]),
            (vec![(Http01, bad()), (TlsAlpn01, bad())], vec![Severity::Critical; 2]),
        ];
        for (tried, severities) in table {
            let mut findings = Findings::about("a");
            judge(&tried, |_| true, &mut findings);
            let found: Vec<_> = findings.found.iter().map(|finding| finding.severity).collect();
            assert_eq!(found, severities, "{tried:?}");
            // What does not prove every name is no way out.
            let mut findings = Findings::about("a");
            judge(&tried, |_| false, &mut findings);
            assert!(findings.found.iter().all(|finding| finding.severity != Severity::Warning));
        }
    }
}
