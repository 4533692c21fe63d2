//! Rollouts that are under way, or kept from beginning: in words, and judged.

use super::audit::Findings;
use super::plan::{Standing, is_undeployed};
use crate::config::cert::CertSettings;
use crate::model::finding::Severity;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::schedule::{until_in_words, window};
use crate::store::journal::Intent;

/// How far a rollout has come, as in `step 1 of 3 (nginx) is watched until …`.
pub(crate) fn progress(intent: &Intent, now: Timestamp) -> String {
    let rollout = &intent.rollout;
    if let Some(why) = &rollout.back {
        return format!("is being undone: {why}");
    }
    let step = rollout.step();
    let targets = step.map(|step| step.targets.join(", ")).unwrap_or_default();
    let share = step.filter(|step| !step.is_whole()).map(|step| format!(" at {} %", step.percent));
    let (at, of) = (rollout.at + 1, rollout.steps.len().max(1));
    let state = match rollout.soak_until {
        Some(until) if until > now => {
            format!("is watched until {until} ({})", until_in_words(until, now))
        }
        Some(_) if rollout.waits_for_approval() => "waits to be approved".to_owned(),
        Some(_) => "was watched for long enough".to_owned(),
        None => "is under way".to_owned(),
    };
    format!("step {at} of {of} ({targets}{}) {state}", share.unwrap_or_default())
}

/// Judges what keeps the newest generation from its clients, besides failures and pins.
pub(super) fn judge(
    name: &CertName,
    standing: &Standing,
    settings: &CertSettings,
    now: Timestamp,
    findings: &mut Findings,
) {
    if let Some(intent) = &standing.facts.intent {
        let text = format!("generation {}: {}", intent.to, progress(intent, now));
        findings.add(Severity::Warning, "rollout", text);
        if intent.rollout.soak_until.is_some_and(|until| until <= now) {
            let approve = if intent.rollout.waits_for_approval() { " --approve" } else { "" };
            findings.hint(format!("`acmeagent renew {name}{approve}` goes on with it"));
        }
    }
    if let Some(since) = standing.facts.halted {
        let text = format!("nothing is deployed since {since}: too many rollouts had to be undone");
        findings.add(Severity::Critical, "halted", text);
        findings.hint(format!(
            "once the cause is mended, `acmeagent renew {name} --force` or `acmeagent rollback \
             {name} --unpin` goes on"
        ));
    }
    if let Some(until) = settings.rollout.freeze_until.filter(|until| now < *until) {
        let lapses = standing.live.as_ref().map(|(_, meta)| window::last_twentieth(meta.validity));
        let text = match lapses.filter(|lapses| *lapses < until) {
            Some(lapses) => format!("deploys are frozen until {until}, but from {lapses} on not"),
            None => format!("deploys are frozen until {until}"),
        };
        let waits = if is_undeployed(standing) { "; a newer generation waits" } else { "" };
        let severity =
            if lapses.is_some_and(|at| at < until) { Severity::Warning } else { Severity::Ok };
        findings.add(severity, "frozen", format!("{text}{waits}"));
    }
}

#[cfg(test)]
mod tests;
