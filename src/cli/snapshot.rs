//! `snapshot`: copies of what is in service.

use std::path::Path;

use serde_json::json;

use super::args::Snapshot;
use super::context::Context;
use super::exit::Exit;
use super::report::{CertificateLine, Failure, Report};
use super::{aftermath, failure, renew};
use crate::agent::aftermath::Ran;
use crate::agent::put_back::Destination;
use crate::agent::{Agent, Done};
use crate::model::generation::SnapshotId;
use crate::model::name::CertName;
use crate::store::snapshot::{MismatchKind, SnapshotInfo};

pub(super) fn run(context: &Context, args: Snapshot) -> Result<Report, Failure> {
    match args {
        Snapshot::Create { names } => create(context, &names),
        Snapshot::List => list(context),
        Snapshot::Verify { id } => verify(context, id.as_deref()),
        Snapshot::Restore { id, names } => restore(context, &id, &names),
        Snapshot::Prune { keep } => prune(context, keep),
        Snapshot::Export { id, file } => export(context, &id, &file),
    }
}

fn parse(id: &str) -> Result<SnapshotId, Failure> {
    SnapshotId::parse(id).ok_or_else(|| Failure::config(format!("{id:?} is no snapshot id")))
}

fn create(context: &Context, names: &[String]) -> Result<Report, Failure> {
    let agent = context.agent()?;
    let names = context.named_or_all(names)?;
    let locks = names.iter().map(|name| agent.store().lock(name)).collect::<Result<Vec<_>, _>>()?;
    let id = agent.store().take_snapshot(
        &locks.iter().collect::<Vec<_>>(),
        "by command",
        context.now(),
    )?;
    let more = Some(("snapshot", json!({"id": id, "certificates": names})));
    let text = format!("{id}: holds {} certificates\n", names.len());
    Ok(Report { more, text, ..Report::default() })
}

fn list(context: &Context) -> Result<Report, Failure> {
    let snapshots = context.store().snapshots()?;
    let rows = snapshots.iter().map(|SnapshotInfo { id, at, reason, certificates }| {
        json!({"id": id, "at": at, "reason": reason, "certificates": certificates})
    });
    let more = Some(("snapshots", rows.collect()));
    let mut table = super::status::table(["ID", "TAKEN", "REASON", "CERTIFICATES"]);
    for SnapshotInfo { id, at, reason, certificates } in &snapshots {
        let names: Vec<&str> = certificates.iter().map(CertName::as_str).collect();
        table.add_row([id.to_string(), at.to_string(), reason.clone(), names.join(" ")]);
    }
    let text = match snapshots.len() {
        0 => "no snapshots yet\n".to_owned(),
        _ => format!("{table}\n"),
    };
    Ok(Report { more, text, ..Report::default() })
}

/// Compares one snapshot, or all, with the recorded sums. A difference is exit STORE.
fn verify(context: &Context, id: Option<&str>) -> Result<Report, Failure> {
    let store = context.store();
    let ids = match id {
        Some(id) => vec![parse(id)?],
        None => store.snapshots()?.into_iter().map(|snapshot| snapshot.id).collect(),
    };
    let (mut text, mut rows) = (String::new(), Vec::new());
    for id in &ids {
        let mismatches = store.verify_snapshot(id)?;
        if mismatches.is_empty() {
            text += &format!("{id}: as recorded\n");
        }
        for wrong in mismatches {
            let what = match wrong.what {
                MismatchKind::Missing => "missing",
                MismatchKind::Changed => "changed",
            };
            text += &format!("{id}: {} of {} is {what}\n", wrong.file, wrong.name);
            rows.push(json!({"id": id, "name": wrong.name, "file": wrong.file, "what": what}));
        }
    }
    let exit = Some(if rows.is_empty() { Exit::Ok } else { Exit::Store });
    Ok(Report { exit, more: Some(("mismatches", rows.into())), text, ..Report::default() })
}

fn restore(context: &Context, id: &str, names: &[String]) -> Result<Report, Failure> {
    let id = parse(id)?;
    let agent = context.agent()?;
    let held = agent.store().snapshots()?.into_iter().find(|snapshot| snapshot.id == id);
    let held = held.ok_or_else(|| crate::store::StoreError::NoSnapshot(id.clone()))?.certificates;
    let names = match names {
        [] => held,
        some => some
            .iter()
            .map(|name| CertName::parse(name).map_err(|error| Failure::of(Exit::Config, &error)))
            .collect::<Result<_, _>>()?,
    };
    let done = context.block_on(restore_all(&agent, &id, &names))?;
    aftermath::of_run(context, &agent, Ran::ByHand);
    let mut report = renew::report(context, agent.store().layout(), &done, false);
    report.exit = Some(Exit::of_all(done.iter().map(failure::exit_of)));
    Ok(report)
}

async fn restore_all(agent: &Agent, id: &SnapshotId, names: &[CertName]) -> Vec<Done> {
    let mut done = Vec::with_capacity(names.len());
    for name in names {
        done.push(agent.put_back(name, &Destination::Snapshot(id.clone()), false).await);
    }
    done
}

fn prune(context: &Context, keep: usize) -> Result<Report, Failure> {
    let agent = context.agent()?;
    let removed = agent.store().prune(keep)?;
    let text = format!("removed {} snapshots\n", removed.len());
    Ok(Report { more: Some(("removed", json!(removed))), text, ..Report::default() })
}

fn export(context: &Context, id: &str, file: &Path) -> Result<Report, Failure> {
    let id = parse(id)?;
    context.store().export_to(&id, file)?;
    let text = format!("{id} written to {} (it holds private keys)\n", file.display());
    let certificates: Vec<CertificateLine> = Vec::new();
    Ok(Report { text, certificates, ..Report::default() })
}
