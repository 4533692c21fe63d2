//! `renew --max-wait` and `renew --loop`: runs that stay to be there at the exact instant.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{nothing_due, report};
use crate::agent::serve::{Serving, Stay, serve};
use crate::agent::tick::{Candidates, Pass};
use crate::agent::{Done, Ended, certificates};
use crate::cli::args::Renew;
use crate::cli::context::Context;
use crate::cli::doctor;
use crate::cli::exit::Exit;
use crate::cli::report::{Failure, Report};
use crate::model::name::CertName;

/// What came of one pass.
struct Passed {
    tried: Vec<CertName>,
    done: Vec<Done>,
    /// Those that wait for their next attempt.
    failing: Vec<Done>,
}

/// `--max-wait`: one report of all that became due within `most`.
pub(super) fn a_while(context: &Context, args: &Renew, most: Duration) -> Result<Report, Failure> {
    let mut all = BTreeMap::new();
    let mut failed = None;
    stay(context, args, Stay::AtMost(most), |passed| match passed {
        Ok(Passed { done, failing, .. }) => {
            for one in done.into_iter().chain(failing) {
                if tells_more(&one) || !all.contains_key(&one.name) {
                    all.insert(one.name.clone(), one);
                }
            }
        }
        Err(failure) => failed = Some(failure),
    })?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    let done: Vec<Done> = all.into_values().collect();
    if done.is_empty()
        && let Some(idle) = nothing_due(context)?
    {
        return Ok(idle);
    }
    Ok(report(context, &context.layout, &done, true))
}

/// `--loop`: a report of every pass in which anything was done. However a pass ends, it stays.
pub(in crate::cli) fn ever(context: &Context, args: &Renew) -> ExitCode {
    let stayed = stay(context, args, Stay::Ever, |passed| match passed {
        Ok(Passed { done, .. }) if done.iter().all(|one| one.ended == Ended::NotDue) => {}
        Ok(Passed { done, .. }) => {
            let report = report(context, &context.layout, &done, true);
            context.talk.finish("renew", Ok(report));
        }
        Err(failure) => {
            context.talk.finish("renew", Err(failure));
        }
    });
    match stayed {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => context.talk.finish("renew", Err(failure)).into(),
    }
}

/// Whether something was tried: what is not due, or waits, says nothing new of a certificate.
fn tells_more(done: &Done) -> bool {
    let waits = done.ended == Ended::Retry && done.trouble.is_none();
    !waits && done.ended != Ended::NotDue
}

fn stay(
    context: &Context,
    args: &Renew,
    stay: Stay,
    mut take: impl FnMut(Result<Passed, Failure>),
) -> Result<(), Failure> {
    let store = context.store();
    let pass = super::pass(context, args)?;
    let jobs = certificates(&store).map_or(pass.jobs, |names| names.len().clamp(1, pass.jobs));
    // What a cron job says is sent by mail; what a service says is its log.
    let talks = context.talk.verbose || context.talk.shows_progress() || stay == Stay::Ever;
    let say = |status: &str| {
        if talks && !context.talk.quiet {
            anstream::eprintln!("{status}");
        }
    };
    context.block_on_jobs(jobs, async {
        let serving = Serving {
            store: &store,
            clock: context.clock.as_ref(),
            stay,
            stop: context.stopped(),
            reload: signal(SignalKind::hangup()).expect("the runtime takes signals"),
            say: &say,
        };
        let passes = async |offered: Option<&BTreeSet<CertName>>| {
            let passed = one_pass(context, &pass, offered).await;
            let tried = passed.as_ref().ok().map(|passed| passed.tried.clone());
            take(passed);
            tried
        };
        serve(serving, passes).await;
    })
}

/// A pass with an agent of its own: it reads the settings anew, and tries a CA that was down.
async fn one_pass(
    context: &Context,
    pass: &Pass,
    offered: Option<&BTreeSet<CertName>>,
) -> Result<Passed, Failure> {
    let agent = context.agent()?;
    let Candidates { mut due, failing } = agent.candidates(pass)?;
    due.retain(|name| offered.is_none_or(|offered| offered.contains(name)));
    doctor::before_renewal(context, &agent, &due, pass).await;
    let done = agent.renew(due.clone(), pass).await;
    let failing = agent.still_failing(&failing);
    Ok(Passed { tried: due, done, failing })
}
