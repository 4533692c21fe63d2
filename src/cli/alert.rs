//! `alert`: are those told who should be?

use serde_json::json;

use super::args::Alert;
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, Report};
use crate::agent::alerts::Tried;
use crate::config::alert::AlertTable;
use crate::model::word::nearest;

pub(super) fn run(context: &Context, args: &Alert) -> Result<Report, Failure> {
    let Alert::Test { names } = args;
    let agent = context.agent()?;
    let tables = chosen(agent.authorities.main().alerts(), names)?;
    let tried = context.block_on(agent.test_alerts(&tables))??;
    Ok(report(&tried))
}

/// The receivers of these names, or all there are.
fn chosen(known: &[AlertTable], names: &[String]) -> Result<Vec<AlertTable>, Failure> {
    if known.is_empty() {
        let hint = "see [[alert]] in acmeagent.toml(5)";
        return Err(Failure::config("the settings name nobody to be told").hint(hint));
    }
    if names.is_empty() {
        return Ok(known.to_vec());
    }
    let found = names.iter().map(|name| {
        let found = known.iter().find(|table| table.terms.name == *name).cloned();
        found.ok_or_else(|| unknown(known, name))
    });
    found.collect()
}

fn unknown(known: &[AlertTable], name: &str) -> Failure {
    let names: Vec<&str> = known.iter().map(|table| table.terms.name.as_str()).collect();
    let hint = match nearest(name, &names) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there are {}", names.join(", ")),
    };
    Failure::config(format!("there is no [[alert]] named {name:?}")).hint(hint)
}

fn report(tried: &[Tried]) -> Report {
    let mut text = String::new();
    let mut rows = Vec::with_capacity(tried.len());
    for Tried { name, kind, result } in tried {
        let error = result.as_ref().err();
        let hint = error.and_then(|error| error.hint());
        text += &match error {
            None => format!("{name} ({kind}): told, and told that it is over\n"),
            Some(error) => format!("{name} ({kind}): NOT told: {error}\n"),
        };
        text += &hint.as_ref().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        let error = error.map(ToString::to_string);
        rows.push(json!({"name": name, "kind": kind, "error": error, "hint": hint}));
    }
    let all = tried.iter().all(|one| one.result.is_ok());
    let exit = if all { Exit::Ok } else { Exit::Retry };
    let text = super::report::printable(&text);
    Report { exit: Some(exit), more: Some(("alerts", rows.into())), text, ..Report::default() }
}
