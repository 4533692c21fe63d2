//! `rollback`: an earlier generation back in service.

use comfy_table::Table;
use serde::Serialize;

use super::args::Rollback;
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, Report, printable};
use super::{aftermath, lines, renew, status};
use crate::agent::aftermath::Ran;
use crate::agent::put_back::Destination;
use crate::agent::underway::progress;
use crate::agent::{Agent, Done, Standing};
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::schedule::until_in_words;
use crate::store::archive::Meta;
use crate::store::journal::FateKind;

pub(super) fn run(context: &Context, args: &Rollback) -> Result<Report, Failure> {
    let name = context.existing(&args.name)?;
    if args.list {
        return list(context, &name);
    }
    let agent = context.agent()?;
    let done = context.block_on(async {
        Ok::<Done, Failure>(if args.unpin {
            agent.unpin(&name).await
        } else {
            agent.put_back(&name, &destination(args)?, args.force).await
        })
    })??;
    aftermath::of_run(context, &agent, Ran::ByHand);
    let went_well = done.trouble.is_none();
    let mut report = renew::report(context, agent.store().layout(), &[done], false);
    if went_well {
        report.text += &pinned(&agent, &name, context.now())?;
    }
    Ok(report)
}

fn destination(args: &Rollback) -> Result<Destination, Failure> {
    if let Some(id) = &args.snapshot {
        let id = SnapshotId::parse(id)
            .ok_or_else(|| Failure::config(format!("{id:?} is no snapshot id")))?;
        return Ok(Destination::Snapshot(id));
    }
    match args.to {
        None => Ok(Destination::Earlier),
        Some(number) => Generation::new(number)
            .map(Destination::Generation)
            .ok_or_else(|| Failure::config("generations count from 1")),
    }
}

fn pinned(agent: &Agent, name: &CertName, now: Timestamp) -> Result<String, Failure> {
    let pin = agent.standing(name)?.facts.pin;
    Ok(pin.map_or_else(String::new, |pin| {
        format!(
            "  pinned     at generation {} until {} ({}); `acmeagent rollback {name} --unpin` lets go\n",
            pin.generation,
            pin.until,
            until_in_words(pin.until, now)
        )
    }))
}

#[derive(Serialize)]
struct Listed {
    generation: Generation,
    issued_at: Timestamp,
    not_after: Timestamp,
    fingerprint_sha256: String,
    live: bool,
    /// live, pinned, soaking, revoked, bad, expired, queued, rolled_back or held
    fate: &'static str,
    why: Option<String>,
}

fn list(context: &Context, name: &CertName) -> Result<Report, Failure> {
    let agent = context.reader()?;
    let (standing, now) = (agent.standing(name)?, context.now());
    let live = standing.live.as_ref().map(|(live, _)| *live);
    let mut listed = Vec::new();
    for generation in agent.store().generations(name)? {
        let meta = agent.store().meta(name, generation)?;
        let (fate, why) = fate(generation, &meta, &standing, now);
        listed.push(Listed {
            generation,
            issued_at: meta.issued_at,
            not_after: meta.validity.not_after,
            fingerprint_sha256: meta.fingerprint,
            live: live == Some(generation),
            fate,
            why,
        });
    }
    let line = lines::of_standing(name, &standing, agent.store().layout(), now);
    let text = format!("{}\n", table(&listed));
    let generations = serde_json::to_value(listed).expect("plain values");
    Ok(Report {
        exit: Some(Exit::Ok),
        certificates: vec![line],
        more: Some(("generations", generations)),
        text,
    })
}

/// What became of a generation, in a word and where there is more to say in a sentence.
fn fate(
    generation: Generation,
    meta: &Meta,
    standing: &Standing,
    now: Timestamp,
) -> (&'static str, Option<String>) {
    let facts = &standing.facts;
    let known = facts.fates.get(&generation);
    let told = known.map(|fate| format!("{}: {}", fate.at, fate.why));
    let soaking = facts.intent.as_ref().filter(|intent| intent.to == generation);
    // Of those that wait only the newest is ever tried again.
    let newest = standing.newest.as_ref().is_some_and(|(newest, _)| *newest == generation);
    let queued = facts.deploy_queue.iter().find(|one| newest && one.generation == generation);
    let live = standing.live.as_ref().is_some_and(|(live, _)| *live == generation);
    if let Some(intent) = soaking {
        return ("soaking", Some(progress(intent, now)));
    }
    if facts.bad.contains(&generation) {
        let revoked = known.is_some_and(|fate| fate.kind == FateKind::Revoked);
        return (if revoked { "revoked" } else { "bad" }, told);
    }
    if live {
        return (if facts.pin.is_some() { "pinned" } else { "live" }, None);
    }
    if meta.validity.not_after < now {
        return ("expired", None);
    }
    match (queued, told) {
        (Some(queued), told) => {
            let next = format!("next attempt {}", until_in_words(queued.next_at, now));
            ("queued", Some(told.map_or(next.clone(), |told| format!("{next}; {told}"))))
        }
        (None, Some(told)) => ("rolled_back", Some(told)),
        (None, None) => ("held", None),
    }
}

fn table(listed: &[Listed]) -> Table {
    let mut table =
        status::table(["GENERATION", "ISSUED", "VALID UNTIL", "FATE", "SHA-256", "WHY"]);
    for one in listed {
        let beside =
            if one.live && !["live", "pinned"].contains(&one.fate) { ", live" } else { "" };
        table.add_row([
            one.generation.to_string(),
            one.issued_at.to_string(),
            one.not_after.to_string(),
            format!("{}{beside}", one.fate.replace('_', " ")),
            one.fingerprint_sha256.chars().take(16).collect(),
            one.why.as_deref().map(printable).unwrap_or_default().replace('\n', " "),
        ]);
    }
    table
}
