//! `delete`.

use super::args::Delete;
use super::context::Context;
use super::report::{Failure, Report};

pub(super) fn run(context: &Context, args: &Delete) -> Result<Report, Failure> {
    let name = context.existing(&args.name)?;
    let agent = context.agent()?;
    let lock = agent.store().lock(&name)?;
    agent.store().forget(lock)?;
    let text = format!("{name}: removed with its keys and settings; snapshots that hold it stay\n");
    Ok(Report { text, ..Report::default() })
}
