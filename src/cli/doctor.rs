//! `doctor`: why the next renewal would fail.

use std::process::ExitCode;

use super::args::{Doctor, Format};
use super::context::Context;
use super::findings;
use super::report::Failure;
use crate::agent::tick::Pass;
use crate::agent::{Agent, Insistence, Wish};
use crate::doctor::{self, Patient};
use crate::model::finding::Finding;
use crate::model::name::CertName;

pub(super) fn run(context: &Context, args: &Doctor) -> ExitCode {
    findings::show(context, "doctor", Format::Text, gather(context, args))
}

fn gather(context: &Context, args: &Doctor) -> Result<Vec<Finding>, Failure> {
    let agent = context.reader()?;
    let names = context.named_or_all(&args.names)?;
    context.block_on(async { doctor::examine(&agent, &names, args.fix).await })
}

/// Tells what may hinder the order of `issue`; hinders nothing itself.
pub(super) async fn before_issue(context: &Context, agent: &Agent, wish: &Wish) {
    let patient = Patient::new(agent, &wish.name, wish.settings.clone());
    tell(context, &doctor::glance(agent, [patient], wish.insistence).await);
}

/// Tells what may hinder the orders of `renew`; hinders nothing itself.
pub(super) async fn before_renewal(
    context: &Context,
    agent: &Agent,
    due: &[CertName],
    pass: &Pass,
) {
    let by_hand = !pass.names.is_empty();
    let insistence = Insistence { force: pass.force, by_hand, ..Insistence::default() };
    // Most of what wakes without being asked for only wants advice, and often a thousand at once.
    let may_order = |name: &&CertName| !insistence.is_none() || agent.may_order(name);
    let patients = due.iter().filter(may_order).filter_map(|name| Patient::read(agent, name));
    tell(context, &doctor::glance(agent, patients, insistence).await);
}

fn tell(context: &Context, findings: &[Finding]) {
    findings.iter().for_each(|finding| context.talk.complain(&findings::line(finding)));
}
