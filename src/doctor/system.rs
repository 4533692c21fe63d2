//! The machine beneath: limits of the kernel, the disk of the store, who may write there.

use nix::sys::resource::{Resource, getrlimit};

use super::host::Host;
use super::{HOST, in_full};
use crate::agent::audit::Findings;
use crate::model::finding::{Finding, Severity};
use crate::store::disk::Room;
use crate::store::fitness::Abilities;
use crate::store::journal::{INODES, ROOM};
use crate::store::{Store, StoreError};

/// Shorter queues than this overflow while many are validated at once.
const BACKLOG: u32 = 1024;
/// Fewer descriptors than this do not do for one run; the other bound is for sixteen at once.
const DESCRIPTORS_NEEDED: u64 = 64;
const DESCRIPTORS: u64 = 512;
/// Room for this many renewals should always be left.
const RENEWALS: u64 = 16;

/// Looks at the kernel's limits and tries what the store needs of its file system.
pub(super) fn examine(store: &Store, host: &Host) -> Vec<Finding> {
    let mut findings = Findings::about(HOST);
    let backlog = host.text("/proc/sys/net/core/somaxconn");
    judge_backlog(backlog.and_then(|text| text.trim().parse().ok()), &mut findings);
    findings.found.extend(glance(store));
    match store.abilities() {
        Ok(abilities) => judge_abilities(abilities, &mut findings),
        Err(error) => add_error(&error, &mut findings),
    }
    findings.found
}

/// Looks at what can be read without trying anything.
pub(super) fn glance(store: &Store) -> Vec<Finding> {
    let mut findings = Findings::about(HOST);
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        judge_descriptors(soft, hard, &mut findings);
    }
    match store.room() {
        Ok(room) => judge_room(room, &mut findings),
        Err(error) => add_error(&error, &mut findings),
    }
    let refused = store.unsafe_ways();
    if refused.is_empty() {
        findings.add(Severity::Ok, "permissions", "nobody else can change the store");
    }
    refused.iter().for_each(|error| add_error(error, &mut findings));
    findings.found
}

fn add_error(error: &StoreError, findings: &mut Findings) {
    let reason = match error {
        StoreError::Refused { .. } => "permissions",
        _ => "store",
    };
    findings.add(Severity::Critical, reason, in_full(error));
    if let StoreError::Refused { mend, .. } = error {
        findings.hint(mend.clone());
    }
}

fn judge_backlog(somaxconn: Option<u32>, findings: &mut Findings) {
    let Some(somaxconn) = somaxconn else { return };
    if somaxconn >= BACKLOG {
        let text = format!("{somaxconn} connections may wait to be accepted");
        return findings.add(Severity::Ok, "backlog", text);
    }
    let text = format!("only {somaxconn} connections may wait to be accepted (net.core.somaxconn)");
    findings.add(Severity::Warning, "backlog", text);
    findings.hint(
        "`echo 'net.core.somaxconn = 4096' >/etc/sysctl.d/60-acmeagent.conf && sysctl --system`",
    );
}

fn judge_descriptors(soft: u64, hard: u64, findings: &mut Findings) {
    let severity = match soft {
        0..DESCRIPTORS_NEEDED => Severity::Critical,
        DESCRIPTORS_NEEDED..DESCRIPTORS => Severity::Warning,
        _ => Severity::Ok,
    };
    findings.add(severity, "descriptors", format!("{soft} files and sockets may be open at once"));
    if severity == Severity::Ok {
        return;
    }
    findings.hint(match hard {
        0..DESCRIPTORS => "LimitNOFILE=4096 in the service, or /etc/security/limits.conf",
        _ => "`ulimit -n 4096` in the shell or script that runs acmeagent",
    });
}

fn judge_room(room: Option<Room>, findings: &mut Findings) {
    let Some(room) = room else { return };
    let of_one = |left: u64, need: u64| match left {
        left if left < need => Severity::Critical,
        left if left < need * RENEWALS => Severity::Warning,
        _ => Severity::Ok,
    };
    let bytes = of_one(room.bytes, ROOM as u64);
    let inodes = room.inodes.map_or(Severity::Ok, |inodes| of_one(inodes, INODES));
    let left = match room.inodes {
        Some(inodes) => format!("{} MiB and {inodes} inodes are left", room.bytes >> 20),
        None => format!("{} MiB are left", room.bytes >> 20),
    };
    findings.add(bytes.max(inodes), "room", format!("{left} on the disk of the store"));
    if bytes.max(inodes) > Severity::Ok {
        findings.hint("make room there; `acmeagent snapshot prune` removes old snapshots");
    }
}

fn judge_abilities(abilities: Option<Abilities>, findings: &mut Findings) {
    let Some(Abilities { links, exchanges }) = abilities else { return };
    let mut lacks = Vec::new();
    if !links {
        lacks.push("files cannot have two names, so each is copied");
    }
    if !exchanges {
        lacks.push("two directories cannot be swapped in one act, so for a moment live is missing");
    }
    if lacks.is_empty() {
        let text = "the file system of the store can link and exchange";
        return findings.add(Severity::Ok, "filesystem", text);
    }
    let text = format!("on the file system of the store {}", lacks.join(", and "));
    findings.add(Severity::Warning, "filesystem", text);
    findings.hint("keep the store on ext4, XFS, btrfs or tmpfs");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity_of(judge: impl Fn(&mut Findings)) -> Option<Severity> {
        let mut findings = Findings::about(HOST);
        judge(&mut findings);
        let found = findings.found.first()?;
        assert_eq!(found.hint.is_some(), found.severity > Severity::Ok, "{found:?}");
        Some(found.severity)
    }

    #[test]
    fn limits() {
        use Severity::{Critical, Ok, Warning};
        let backlogs = [(None, None), (Some(128), Some(Warning)), (Some(1024), Some(Ok))];
        for (somaxconn, severity) in backlogs {
            assert_eq!(severity_of(|findings| judge_backlog(somaxconn, findings)), severity);
        }
        for (soft, severity) in [(16, Critical), (64, Warning), (511, Warning), (1024, Ok)] {
            for hard in [soft, 4096] {
                let found = severity_of(|findings| judge_descriptors(soft, hard, findings));
                assert_eq!(found, Some(severity), "{soft} of {hard}");
            }
        }
    }

    #[test]
    fn room_is_judged_by_what_is_scarcer() {
        use Severity::{Critical, Ok, Warning};
        let table = [
            (0, None, Critical),
            (ROOM as u64 - 1, Some(1000), Critical),
            (ROOM as u64 * 2, Some(1000), Warning),
            (1 << 30, Some(1000), Ok),
            (1 << 30, None, Ok),
            (1 << 30, Some(INODES - 1), Critical),
            (1 << 30, Some(INODES * 2), Warning),
        ];
        for (bytes, inodes, severity) in table {
            let room = Room { bytes, inodes };
            assert_eq!(severity_of(|f| judge_room(Some(room), f)), Some(severity), "{room:?}");
        }
        assert_eq!(severity_of(|findings| judge_room(None, findings)), None);
    }

    #[test]
    fn what_a_file_system_lacks_is_named() {
        for (links, exchanges, severity) in [
            (true, true, Severity::Ok),
            (false, true, Severity::Warning),
            (true, false, Severity::Warning),
        ] {
            let abilities = Some(Abilities { links, exchanges });
            assert_eq!(
                severity_of(|findings| judge_abilities(abilities, findings)),
                Some(severity)
            );
        }
    }
}
