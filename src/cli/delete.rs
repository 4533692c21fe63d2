//! `delete`.

use super::aftermath;
use super::args::Delete;
use super::context::Context;
use super::report::{Failure, Report};
use crate::agent::aftermath::Ran;

pub(super) fn run(context: &Context, args: &Delete) -> Result<Report, Failure> {
    let name = context.existing(&args.name)?;
    let agent = context.agent()?;
    let deleted = agent.delete(&name);
    aftermath::of_run(context, &agent, Ran::ByHand);
    deleted?;
    let text = format!("{name}: removed with its keys and settings; snapshots that hold it stay\n");
    Ok(Report { text, ..Report::default() })
}
