//! `status`: every certificate at a glance.

use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use super::args::Status;
use super::context::Context;
use super::lines;
use super::report::{CertificateLine, Failure, Report};
use crate::agent::Standing;
use crate::agent::outlook::Depth;
use crate::model::time::Timestamp;
use crate::observe::page::page;
use crate::schedule::until_in_words;
use crate::store::ledger::Paused;

mod history;

/// What is said where there is no certificate.
pub(super) const NONE_YET: &str = "no certificates yet: `acmeagent issue -d NAME` gets the first\n";

/// A plain table with these headings, readable without colour and easy to cut.
pub(super) fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(headings);
    table
}

pub(super) fn run(context: &Context, args: &Status) -> Result<Report, Failure> {
    if args.history {
        return history::run(context, &args.names);
    }
    if let Some(file) = &args.html {
        return html(context, args, file);
    }
    let agent = context.reader()?;
    let now = context.now();
    let mut rows = table([
        "NAME",
        "IDENTIFIERS",
        "CA",
        "SERVED UNTIL",
        "LIFE LEFT",
        "NEXT RENEWAL",
        "LAST RESULT",
    ]);
    let mut certificates = Vec::new();
    for name in context.named_or_all(&args.names)? {
        let standing = agent.standing(&name)?;
        let line = lines::of_standing(&name, &standing, agent.store().layout(), now);
        rows.add_row(row(&line, &standing, now));
        certificates.push(line);
    }
    let paused = agent.store().paused(now)?;
    let pages = paused.iter().map(|paused| {
        let Paused { ca, identifier, page } = paused;
        format!("{ca} has paused {identifier} until a person visits {page}\n")
    });
    let pages: String = pages.collect();
    let text = match certificates.len() {
        0 => format!("{NONE_YET}{pages}"),
        _ => format!("{rows}\n{pages}"),
    };
    let more = Some(("paused", json!(paused)));
    Ok(Report { certificates, more, text, ..Report::default() })
}

/// Writes the status page to where everybody may read it: there are no secrets in it.
fn html(context: &Context, args: &Status, file: &Path) -> Result<Report, Failure> {
    let agent = context.reader()?;
    let outlook = agent.outlook(&context.named_or_all(&args.names)?, Depth::Past);
    let page = page(&outlook);
    let text = if file == Path::new("-") {
        page
    } else {
        agent.store().hand_out(&context.around.cwd.join(file), page.as_bytes())?;
        format!("written to {}\n", file.display())
    };
    Ok(Report { text, ..Report::default() })
}

fn row(line: &CertificateLine, standing: &Standing, now: Timestamp) -> [String; 7] {
    let names: Vec<String> = line.identifiers.iter().map(ToString::to_string).collect();
    let ca = match (&line.ca, &line.profile) {
        (Some(ca), Some(profile)) => format!("{ca} ({profile})"),
        (Some(ca), None) => ca.clone(),
        (None, _) => "-".to_owned(),
    };
    let served = line.not_after.map_or("nothing".to_owned(), |at| at.to_string());
    let life = line.lifetime_left.map_or("-".to_owned(), bar);
    let facts = &standing.facts;
    // Revoked, as a rule.
    let bad = line.generation.filter(|live| facts.bad.contains(live));
    let next = match (&line.next_renewal, line.pinned) {
        _ if bad.is_some() => "next run".to_owned(),
        (_, true) => "pinned".to_owned(),
        (Some(next), false) => format!("{} ({})", until_in_words(next.at, now), next.source),
        (None, false) => "next run".to_owned(),
    };
    let last = match (&facts.last_failure, bad, facts.last_success) {
        (None, Some(live), _) => format!("generation {live} is bad, to be replaced"),
        _ if facts.intent.is_some() => lines::soaking(standing, now),
        _ if facts.halted.is_some() => "too many rollbacks: nothing is deployed".to_owned(),
        _ if !facts.deploy_queue.is_empty() => {
            let queued = &facts.deploy_queue[0];
            let again = until_in_words(queued.next_at, now);
            format!("generation {} not put to use, again {again}", queued.generation)
        }
        (Some(failure), ..) => match facts.failures {
            0 | 1 => format!("failed: {}", failure.message),
            several => format!("failed {several} times: {}", failure.message),
        },
        (None, None, Some(at)) => format!("ok {at}"),
        (None, None, None) => "-".to_owned(),
    };
    [
        line.name.to_string(),
        names.join(" "),
        ca,
        served,
        life,
        next,
        super::report::printable(&last),
    ]
}

/// Ten cells of life and the share in numbers.
fn bar(left: f64) -> String {
    let full = (0..10).filter(|cell| left * 10.0 > f64::from(*cell)).count();
    format!("{}{} {:3.0} %", "█".repeat(full), "░".repeat(10 - full), left * 100.0)
}
