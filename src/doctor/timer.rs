//! Who runs `renew`? Without anybody the best certificate ends.

use std::time::Duration;

use super::jobs::Jobs;
use super::{HOST, Patient};
use crate::agent::audit::Findings;
use crate::model::finding::{Finding, Severity};
use crate::model::time::Timestamp;

/// A run this long ago still speaks for a timer.
const RECENT: Duration = Duration::from_secs(25 * 3600);
/// What follows the issuance itself by less is that very run.
const SAME_RUN: Duration = Duration::from_secs(10 * 60);

/// Looks for a timer, a line of cron, or the traces of a run nobody made by hand.
pub(super) fn examine(patients: &[Patient], jobs: &Jobs, now: Timestamp) -> Vec<Finding> {
    let standings = patients.iter().filter_map(|patient| patient.standing.as_ref());
    let run = standings.filter_map(|standing| {
        let issued = standing.newest.as_ref().map(|(_, meta)| meta.issued_at);
        let last = standing.facts.last_run?;
        issued.is_none_or(|issued| last > issued.plus(SAME_RUN)).then_some(last)
    });
    judge(jobs.running("acmeagent"), run.max(), now)
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
                "`systemctl enable --now acmeagent.timer`, or in crontab `17,47 * * * * acmeagent renew -q`",
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
