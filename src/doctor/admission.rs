//! Who is examined: certificates whose settings can be read.

use super::Patient;
use crate::agent::audit::Findings;
use crate::agent::{Agent, Trouble};
use crate::model::finding::{Finding, Severity};
use crate::model::name::CertName;

/// Reads settings and standing of each; what cannot be read is a finding.
pub(super) fn admit(agent: &Agent, names: &[CertName]) -> (Vec<Patient>, Vec<Finding>) {
    let (mut patients, mut findings) = (Vec::new(), Vec::new());
    for name in names {
        let mut about = Findings::about(name.to_string());
        match agent.settings(name) {
            Ok(Some((settings, _))) => {
                let standing = agent.standing(name);
                if let Err(trouble) = &standing
                    // What is wrong with live is told by who looks at live.
                    && agent.store().live(name).is_ok()
                {
                    add_trouble(&mut about, "store", trouble);
                }
                patients.push(Patient { name: name.clone(), settings, standing: standing.ok() });
            }
            Ok(None) => {
                let path = agent.store().layout().settings(name);
                let text = format!("{} is missing: it is not renewed", path.display());
                about.add(Severity::Warning, "settings", text);
                about.hint("`acmeagent issue` with its names and --cert-name writes it");
            }
            Err(trouble) => add_trouble(&mut about, "settings", &trouble),
        }
        findings.extend(about.found);
    }
    (patients, findings)
}

/// Adds an error with what lies beneath it.
fn add_trouble(about: &mut Findings, reason: &'static str, trouble: &Trouble) {
    about.add(Severity::Critical, reason, super::in_full(trouble));
}
