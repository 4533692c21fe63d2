//! `rollback`: an earlier generation back in service.

use serde::Serialize;

use super::args::Rollback;
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, Report};
use super::{lines, renew};
use crate::agent::put_back::Destination;
use crate::agent::{Agent, Done};
use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::schedule::until_in_words;

pub(super) fn run(context: &Context, args: &Rollback) -> Result<Report, Failure> {
    let name = context.existing(&args.name)?;
    if args.list {
        return list(context, &name);
    }
    let agent = context.agent()?;
    let done = context.block_on(async {
        let done = if args.unpin {
            agent.unpin(&name).await
        } else {
            agent.put_back(&name, &destination(args)?, args.force).await
        };
        Ok::<Done, Failure>(done.unwrap_or_else(|trouble| agent.refused(&name, trouble)))
    })??;
    let went_well = done.trouble.is_none();
    let mut report = renew::report(context, agent.store().layout(), &[done], false);
    if went_well {
        report.text += &aftermath(&agent, &name, context.now())?;
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

fn aftermath(agent: &Agent, name: &CertName, now: Timestamp) -> Result<String, Failure> {
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
struct Fate {
    generation: Generation,
    issued_at: Timestamp,
    not_after: Timestamp,
    fingerprint_sha256: String,
    /// live, pinned, bad, expired or held
    fate: &'static str,
}

fn list(context: &Context, name: &CertName) -> Result<Report, Failure> {
    let agent = context.reader()?;
    let (standing, now) = (agent.standing(name)?, context.now());
    let live = standing.live.as_ref().map(|(live, _)| *live);
    let mut fates = Vec::new();
    for generation in agent.store().generations(name)? {
        let meta = agent.store().meta(name, generation)?;
        let fate = if standing.facts.bad.contains(&generation) {
            "bad"
        } else if live == Some(generation) {
            if standing.facts.pin.is_some() { "pinned" } else { "live" }
        } else if meta.validity.not_after < now {
            "expired"
        } else {
            "held"
        };
        fates.push(Fate {
            generation,
            issued_at: meta.issued_at,
            not_after: meta.validity.not_after,
            fingerprint_sha256: meta.fingerprint,
            fate,
        });
    }
    let mut table =
        super::status::table(["GENERATION", "ISSUED", "VALID UNTIL", "FATE", "SHA-256"]);
    for fate in &fates {
        let print = fate.fingerprint_sha256.chars().take(16).collect::<String>();
        table.add_row([
            fate.generation.to_string(),
            fate.issued_at.to_string(),
            fate.not_after.to_string(),
            fate.fate.to_owned(),
            print,
        ]);
    }
    let line = lines::of_standing(name, &standing, agent.store().layout(), now);
    let fates = serde_json::to_value(fates).expect("plain values");
    Ok(Report {
        exit: Some(Exit::Ok),
        certificates: vec![line],
        more: Some(("generations", fates)),
        text: format!("{table}\n"),
    })
}
