//! `status --history`: what was done.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::report::{Failure, Report, printable};
use crate::model::history::Record;
use crate::model::name::CertName;
use crate::store::history::HistoryFault;

pub(super) fn run(context: &Context, names: &[String]) -> Result<Report, Failure> {
    let store = context.store();
    // Also of certificates that are no more: that they were deleted stands in it.
    let wanted = names.iter().map(|name| CertName::parse(name)).collect::<Result<Vec<_>, _>>();
    let wanted = wanted.map_err(|error| Failure::config(error.to_string()))?;
    let records = store.history(&wanted)?;
    let (head, broken) = match store.verify_history() {
        Ok(head) => (head, None),
        Err(fault @ HistoryFault::Broken { .. }) => (None, Some(fault.to_string())),
        Err(HistoryFault::Store(error)) => return Err(error.into()),
    };
    let mut text: String = records.iter().map(line).collect();
    if text.is_empty() {
        text = match names {
            [] => "nothing was done yet\n".to_owned(),
            names => format!("nothing is known of {}\n", printable(&names.join(", "))),
        };
    }
    if let Some(broken) = &broken {
        text += &format!("not to be relied on: {broken} (see `acmeagent check`)\n");
    }
    let more = json!({"records": records, "head": head, "broken": broken});
    Ok(Report { more: Some(("history", more)), text, ..Report::default() })
}

/// One record as one line.
fn line(record: &Record) -> String {
    let deed = &record.deed;
    let text = printable(&deed.what.to_string()).replace('\n', " ");
    format!("{}  {}  {text}\n", deed.at, deed.name)
}
