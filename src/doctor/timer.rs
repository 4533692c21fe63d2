//! Who runs `renew`? Without anybody the best certificate ends.

use std::time::Duration;

use super::jobs::Jobs;
use super::{HOST, Patient};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::agent::cadence::OFTEN_ENOUGH;
use crate::model::finding::{Finding, Severity};
use crate::model::time::Timestamp;

/// A run this long ago still speaks for a timer.
const RECENT: Duration = Duration::from_secs(25 * 3600);

/// Looks for a timer, a line of cron, or the record of runs nobody made by hand; and whether they
/// come often enough.
pub(super) fn examine(agent: &Agent, patients: &[Patient], jobs: &Jobs) -> Vec<Finding> {
    let now = agent.hands.clock.now();
    let last_run = agent.store().runs(now).at.last().copied();
    let mut findings = judge(jobs.running("acmeagent"), last_run, now);
    for patient in patients {
        let standing = patient.standing.as_ref();
        if let Some(too_coarse) = standing.and_then(|standing| agent.too_coarse(standing)) {
            let mut coarse = Findings::about(patient.name.as_str());
            coarse.add(Severity::Warning, "cadence", too_coarse.to_string());
            coarse.hint(OFTEN_ENOUGH);
            findings.extend(coarse.found);
        }
    }
    findings
}

fn judge(job: Option<String>, last_run: Option<Timestamp>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Findings::about(HOST);
    let recent = last_run.filter(|at| now.since(*at) <= RECENT);
    match (job, recent) {
        (Some(job), _) => findings.add(Severity::Ok, "timer", format!("{job} runs acmeagent")),
        (None, Some(at)) => {
            findings.add(Severity::Ok, "timer", format!("no timer was seen, but a run at {at}"));
        }
        (None, None) => {
            let text = "neither a systemd timer nor cron was seen to run `acmeagent renew`";
            findings.add(Severity::Warning, "timer", text);
            findings.hint(
                "in /etc/cron.d/acmeagent: `17,47 * * * * root acmeagent renew -q`; or let `acmeagent renew --loop` run as a service",
            );
        }
    }
    findings.found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_or_its_traces() {
        let now = Timestamp::from_unix(1_800_000_000);
        let ago = |hours: u64| Some(now.minus(Duration::from_secs(hours * 3600)));
        let timer = || Some("acmeagent.timer".to_owned());
        let table = [
            (None, None, Severity::Warning),
            (None, ago(26), Severity::Warning),
            (None, ago(25), Severity::Ok),
            (timer(), None, Severity::Ok),
            (timer(), ago(300), Severity::Ok),
        ];
        for (job, last, severity) in table {
            assert_eq!(judge(job.clone(), last, now)[0].severity, severity, "{job:?} {last:?}");
        }
    }
}
