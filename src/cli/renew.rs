//! `renew`: what cron or a timer runs.

use super::args::Renew;
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, Report};
use super::{aftermath, doctor, failure, lines, rehearsal, status};
use crate::agent::aftermath::Ran;
use crate::agent::tick::{Candidates, Pass};
use crate::agent::{Done, Ended};
use crate::schedule::until_in_words;
use crate::store::index::IndexRead;
use crate::store::layout::Layout;

mod plan;
mod scraped;
pub(super) mod stay;

pub(super) fn run(context: &Context, args: &Renew) -> Result<Report, Failure> {
    if args.plan {
        return plan::run(context, &args.names);
    }
    if args.dry_run {
        return rehearsal::of_renewals(context, &context.named_or_all(&args.names)?);
    }
    if let Some(most) = args.max_wait {
        return stay::a_while(context, args, most);
    }
    let unattended = args.names.is_empty() && !args.force;
    if unattended {
        context.store().note_run(context.now(), false);
        let leftovers = context.store().with_leftovers().is_ok_and(|names| !names.is_empty());
        if let Some(idle) = nothing_due(context)?.filter(|_| !leftovers) {
            aftermath::of_idle_run(context, Ran::by_itself(&idle));
            return Ok(idle);
        }
    }
    let pass = pass(context, args)?;
    let agent = context.agent()?;
    let Candidates { due, failing } = agent.candidates(&pass)?;
    let jobs = pass.jobs.min(due.len());
    let mut done = context.block_on_jobs(jobs, async {
        doctor::before_renewal(context, &agent, &due, &pass).await;
        agent.renew(due, &pass).await
    })?;
    done.extend(agent.still_failing(&failing));
    let idle = if done.is_empty() { nothing_due(context)? } else { None };
    let report = idle.unwrap_or_else(|| report(context, agent.store().layout(), &done, unattended));
    let ran = if unattended { Ran::by_itself(&report) } else { Ran::ByHand };
    aftermath::of_run(context, &agent, ran);
    Ok(report)
}

fn pass(context: &Context, args: &Renew) -> Result<Pass, Failure> {
    let names = context.named(&args.names)?;
    Ok(Pass { names, force: args.force, approve: args.approve, jobs: usize::from(args.jobs) })
}

/// The answer when the index shows that nothing is due: of those that are failing how they stand,
/// and no other certificate is looked at.
fn nothing_due(context: &Context) -> Result<Option<Report>, Failure> {
    let now = context.now();
    let (failing, held, next) = match context.store().due_from_index(now) {
        Ok(IndexRead::Fresh { due, failing, held, next }) if due.is_empty() => {
            (failing, held, next)
        }
        _ => return Ok(None),
    };
    if !failing.is_empty() {
        let done = context.reader()?.still_failing(&failing);
        if !done.is_empty() {
            return Ok(Some(report(context, &context.layout, &done, true)));
        }
    }
    let next = next.map(|at| format!("; the next is looked at {}", until_in_words(at, now)));
    let next = next.unwrap_or_default();
    let text = match held {
        0 => status::NONE_YET.to_owned(),
        1 => format!("nothing is due of 1 certificate{next}\n"),
        several => format!("nothing is due of {several} certificates{next}\n"),
    };
    Ok(Some(Report { text, ..Report::default() }))
}

/// What a run over several certificates says. Unasked, those with nothing to do are passed over.
pub(super) fn report(context: &Context, layout: &Layout, done: &[Done], only_busy: bool) -> Report {
    let now = context.now();
    let mut text = String::new();
    let mut certificates = Vec::with_capacity(done.len());
    for one in done {
        let line = lines::of_done(one, layout, now);
        if !(only_busy && one.ended == Ended::NotDue) {
            text += &lines::text(&line, one, layout, now);
        }
        certificates.push(line);
    }
    if text.is_empty() && certificates.iter().all(|line| line.error.is_none()) {
        text = format!("nothing was due of the {} looked at\n", done.len());
    }
    let codes = done.iter().zip(&certificates);
    let codes = codes
        .map(|(one, line)| line.error.as_ref().map_or_else(|| failure::exit_of(one), |e| e.exit));
    Report { exit: Some(Exit::of_all(codes)), certificates, text, ..Report::default() }
}
