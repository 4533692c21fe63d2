//! `revoke`.

use super::aftermath;
use super::args::Revoke;
use super::context::Context;
use super::report::{Failure, Report};
use crate::acme::Reason;
use crate::agent::aftermath::Ran;
use crate::model::generation::Generation;

pub(super) fn run(context: &Context, args: &Revoke) -> Result<Report, Failure> {
    let name = context.existing(&args.name)?;
    let reason = Reason::parse(&args.reason).ok_or_else(|| {
        let known = Reason::ALL.map(Reason::as_str).join(", ");
        Failure::config(format!("{:?} is no reason", args.reason))
            .hint(format!("known are {known}"))
    })?;
    let generation = args
        .generation
        .map(|number| {
            Generation::new(number).ok_or_else(|| Failure::config("generations count from 1"))
        })
        .transpose()?;
    let agent = context.agent()?;
    let revoked = context.block_on(async { agent.revoke(&name, generation, reason).await })?;
    aftermath::of_run(context, &agent, Ran::ByHand);
    let generation = revoked?;
    let text = format!(
        "{name}: generation {generation} is revoked ({}); `acmeagent renew` orders another, with a new key\n",
        reason.as_str()
    );
    Ok(Report { text, ..Report::default() })
}
