//! `renew --max-wait` and `renew --loop`: runs that stay to be there at the exact instant.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::scraped::Scraped;
use super::{nothing_due, report};
use crate::agent::aftermath::Ran;
use crate::agent::serve::{Serving, Stay, serve};
use crate::agent::tick::{Candidates, Pass};
use crate::agent::{Done, Ended, certificates};
use crate::cli::args::Renew;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::report::{Failure, Report};
use crate::cli::{aftermath, doctor};
use crate::model::name::CertName;
use crate::store::Store;
use crate::store::disk::Real;

/// What came of one pass.
struct Passed {
    tried: Vec<CertName>,
    done: Vec<Done>,
    /// Those that wait for their next attempt.
    failing: Vec<Done>,
    /// Whether nothing that is served is at risk by all that.
    good: bool,
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
        if is_unattended(args) {
            aftermath::of_idle_run(context, Ran::by_itself(&idle));
        }
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

/// Whether what is to be done was left to the agent, as a timer does.
fn is_unattended(args: &Renew) -> bool {
    args.stay || (args.names.is_empty() && !args.force)
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
            context.talk.remark(status);
        }
    };
    // What the last pass came to holds while those it tried in vain are left alone.
    let was_good = Cell::new(true);
    context.block_on_jobs(jobs, async {
        let scraped = match stay {
            Stay::Ever => Scraped::open(context).await?,
            Stay::AtMost(_) => Scraped::nowhere(context),
        };
        let serving = Serving {
            store: &store,
            clock: context.clock.as_ref(),
            stay,
            stop: context.stopped(),
            reload: signal(SignalKind::hangup()).expect("the runtime takes signals"),
            say: &say,
        };
        let passes = async |offered: Option<&BTreeSet<CertName>>| {
            scraped.read_settings_anew();
            let passed = one_pass(context, args, &pass, offered).await;
            was_good.set(passed.as_ref().is_ok_and(|passed| passed.good));
            let tried = passed.as_ref().ok().map(|passed| passed.tried.clone());
            take(passed);
            tried
        };
        let idle = async || {
            let idle = nothing_due(context).ok().flatten();
            let before = Ran::Unattended { good: was_good.get() };
            let ran = idle.map_or(before, |idle| Ran::by_itself(&idle));
            if let Ok(agent) = context.reader() {
                aftermath::of_pass(context, &agent, ran).await;
            }
        };
        let at_sockets = tokio::spawn(attend_sockets(context));
        serve(serving, passes, idle).await;
        at_sockets.abort();
        Ok(())
    })?
}

/// Attends the sockets that were handed over, until it is dropped: turns visitors away, and answers
/// there for other runs of this home; where a `serve` does that already it goes on.
fn attend_sockets(context: &Context) -> impl Future<Output = ()> + use<> {
    let (layout, handed) = (context.layout.clone(), Arc::clone(&context.handed));
    async move {
        // Where that fails presenting does as well, and says so.
        let _ = handed.attend().await;
        if !handed.answers_http() {
            return;
        }
        let Ok(store) = Store::open(layout, Arc::new(Real)) else { return };
        let Ok(_held) = store.lock_desk() else { return };
        let _ = handed.stand_in(&store.layout().desk()).await;
    }
}

/// A pass with an agent of its own: it reads the settings anew, and tries a CA that was down.
async fn one_pass(
    context: &Context,
    args: &Renew,
    pass: &Pass,
    offered: Option<&BTreeSet<CertName>>,
) -> Result<Passed, Failure> {
    let agent = context.agent()?;
    let Candidates { mut due, failing } = agent.candidates(pass)?;
    due.retain(|name| offered.is_none_or(|offered| offered.contains(name)));
    doctor::before_renewal(context, &agent, &due, pass).await;
    let done = agent.renew(due.clone(), pass).await;
    let failing = agent.still_failing(&failing);
    let reports = [&done, &failing].map(|part| report(context, &context.layout, part, true));
    let good = reports.iter().all(|part| part.exit.is_none_or(Exit::is_good));
    let ran = if is_unattended(args) { Ran::Unattended { good } } else { Ran::ByHand };
    aftermath::of_pass(context, &agent, ran).await;
    Ok(Passed { tried: due, done, failing, good })
}
