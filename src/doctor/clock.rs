//! The clock: a wrong one makes every date a lie.

use std::time::Duration;

use super::host::Host;
use super::{HOST, Patient};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::config::choice::CaChoice;
use crate::model::finding::{Finding, Severity};
use crate::model::time::{Timestamp, in_words};

/// How far the CA's clock may be from ours without meaning anything.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Compares our clock with that of each CA in use, and says what keeps it right.
pub(super) async fn examine(agent: &Agent, patients: &[Patient], host: &Host) -> Vec<Finding> {
    let mut findings = Findings::about(HOST);
    let keeper = keeper(host);
    if let Some((ca, theirs)) = time_of_a_ca(agent, patients).await {
        let now = agent.hands.clock.now();
        judge_offset(&ca, theirs, now, keeper, &mut findings);
    }
    findings.add(Severity::Ok, "ntp", keeper.says());
    findings.found
}

/// Holds our clock against what the certificates say of their beginning.
pub(super) fn glance(patients: &[Patient], now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for patient in patients {
        let newest = patient.standing.as_ref().and_then(|standing| standing.newest.as_ref());
        let Some((_, meta)) = newest.filter(|(_, meta)| meta.validity.not_before > now) else {
            continue;
        };
        let mut about = Findings::about(patient.name.to_string());
        let ahead = in_words(meta.validity.not_before.since(now));
        let text = format!("the clock is behind: what is held begins to be valid in {ahead}");
        about.add(Severity::Critical, "clock", text);
        about.hint(Keeper::Unseen.command());
        findings.extend(about.found);
    }
    findings
}

/// The `Date` of the first CA that answers; one inside this process has no clock of its own.
async fn time_of_a_ca(agent: &Agent, patients: &[Patient]) -> Option<(String, Timestamp)> {
    for patient in patients {
        let root = patient.settings.ca_root.as_ref().map(|root| root.as_path());
        let cas = patient.settings.cas.iter().filter(|choice| **choice != CaChoice::Embedded);
        for choice in cas {
            let Ok(authority) = agent.authorities.find(choice, root).await else { continue };
            if let Some(at) = authority.session().await.ok().and_then(|session| session.ca_time()) {
                return Some((authority.name().to_owned(), at));
            }
        }
    }
    None
}

fn judge_offset(
    ca: &str,
    theirs: Timestamp,
    ours: Timestamp,
    keeper: Keeper,
    findings: &mut Findings,
) {
    let (ahead, behind) = (ours.since(theirs), theirs.since(ours));
    let (off, way) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    if off <= TOLERANCE {
        let text = format!("the clock agrees with that of {ca} to {}", in_words(off));
        return findings.add(Severity::Ok, "clock", text);
    }
    let text = format!("the clock is {} {way} that of {ca}", in_words(off));
    findings.add(Severity::Critical, "clock", text);
    findings.hint(keeper.command());
}

/// What keeps the clock of this machine right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keeper {
    Timesyncd { synchronized: bool },
    Chrony,
    Ntpd,
    Unseen,
}

impl Keeper {
    fn says(self) -> &'static str {
        match self {
            Self::Timesyncd { synchronized: true } => "systemd-timesyncd has set the clock",
            Self::Timesyncd { synchronized: false } => {
                "systemd-timesyncd has not yet set the clock"
            }
            Self::Chrony => "chronyd keeps the clock",
            Self::Ntpd => "ntpd keeps the clock",
            Self::Unseen => "nothing was seen that keeps the clock; in a container the host does",
        }
    }

    /// What sets the clock right.
    fn command(self) -> &'static str {
        match self {
            Self::Chrony => "`chronyc makestep`",
            Self::Ntpd => "`systemctl restart ntpd`",
            Self::Timesyncd { .. } | Self::Unseen => "`timedatectl set-ntp true`",
        }
    }
}

fn keeper(host: &Host) -> Keeper {
    let any = |paths: &[&str]| paths.iter().any(|path| host.has(path));
    if any(&["/run/chrony/chronyd.pid", "/run/chrony/chronyd.sock", "/run/chronyd.pid"]) {
        Keeper::Chrony
    } else if any(&["/run/ntpd.pid"]) {
        Keeper::Ntpd
    } else if any(&["/run/systemd/timesync"]) {
        Keeper::Timesyncd { synchronized: host.has("/run/systemd/timesync/synchronized") }
    } else {
        Keeper::Unseen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_five_minutes_are_wrong() {
        let theirs = Timestamp::from_unix(1_800_000_000);
        let table = [
            (0, Severity::Ok, "to 0 s"),
            (300, Severity::Ok, "to 5 min"),
            (-300, Severity::Ok, "to 5 min"),
            (301, Severity::Critical, "5 min ahead of that of ca"),
            (-7200, Severity::Critical, "2 h behind that of ca"),
        ];
        for (off, severity, says) in table {
            let mut findings = Findings::about("x");
            let ours = Timestamp::from_unix(theirs.unix() + off);
            judge_offset("ca", theirs, ours, Keeper::Chrony, &mut findings);
            let found = &findings.found[0];
            assert_eq!(
                (found.severity, found.message.contains(says)),
                (severity, true),
                "{found:?}"
            );
            assert_eq!(found.hint.is_some(), severity > Severity::Ok);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn what_keeps_the_clock() {
        let table = [
            (None, Keeper::Unseen),
            (Some("run/systemd/timesync/clock"), Keeper::Timesyncd { synchronized: false }),
            (Some("run/systemd/timesync/synchronized"), Keeper::Timesyncd { synchronized: true }),
            (Some("run/ntpd.pid"), Keeper::Ntpd),
            (Some("run/chrony/chronyd.pid"), Keeper::Chrony),
        ];
        for (file, keeper) in table {
            let root = tempfile::tempdir().unwrap();
            if let Some(file) = file.map(|file| root.path().join(file)) {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, "").unwrap();
            }
            assert_eq!(super::keeper(&Host::below(root.path())), keeper);
        }
    }
}
