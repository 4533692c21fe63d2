//! Does this machine itself trust what it serves?

use std::collections::BTreeSet;

use super::Patient;
use crate::acme::Endpoint;
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::certificate::{Chain, Expectation, Refusal, Roots, verify_served};
use crate::model::finding::{Finding, Severity};

/// Builds each live chain of a public CA to the roots of this machine.
pub(super) fn examine(agent: &Agent, patients: &[Patient]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut native = None;
    for patient in patients {
        let live = patient.standing.as_ref().and_then(|standing| standing.live.as_ref());
        let Some((generation, meta)) = live.filter(|(_, meta)| is_public(&meta.ca)) else {
            continue;
        };
        let stored = agent.store().read(&patient.name, *generation);
        let Some(chain) = stored.ok().and_then(|stored| Chain::parse(&stored.fullchain).ok())
        else {
            continue;
        };
        let roots = native.get_or_insert_with(|| {
            Roots::from_ders(rustls_native_certs::load_native_certs().certs)
        });
        let identifiers: BTreeSet<_> = meta.identifiers.iter().cloned().collect();
        // Whether its time is over is another matter: each chain is judged as of its best days.
        let now = meta.validity.not_before;
        let expectation =
            Expectation { identifiers: &identifiers, now, roots: Some(roots), profile: None };
        let verdict = verify_served(&chain, &expectation);
        let mut about = Findings::about(patient.name.to_string());
        judge(&meta.ca, verdict.as_ref().err(), &mut about);
        findings.extend(about.found);
    }
    findings
}

/// A CA everybody is meant to trust: of the built-in ones those that do not rehearse.
fn is_public(ca: &str) -> bool {
    Endpoint::builtin(ca).is_some() && !ca.ends_with("-staging")
}

fn judge(ca: &str, refusal: Option<&Refusal>, findings: &mut Findings) {
    let Some(refusal) = refusal else {
        return findings.add(Severity::Ok, "trust", format!("this machine trusts {ca}"));
    };
    let text = format!("this machine does not trust what {ca} issued: {refusal}");
    findings.add(Severity::Warning, "trust", text);
    findings.hint("update the package ca-certificates; programs here that connect will fail");
}
