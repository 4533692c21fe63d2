//! What follows a run that came to its end: see [`crate::agent::aftermath`].

use super::context::Context;
use super::exit::Exit;
use super::report::Report;
use crate::agent::Agent;
use crate::agent::aftermath::{Complaints, Ran};

impl Ran {
    /// An unattended run that came to this.
    pub(super) fn by_itself(report: &Report) -> Self {
        Self::Unattended { good: report.exit.unwrap_or(Exit::Ok).is_good() }
    }
}

/// Follows up a run of this agent.
pub(super) fn of_run(context: &Context, agent: &Agent, ran: Ran) {
    complain(context, agent.write_down(ran));
    if agent.has_listeners() {
        // A failure to start telling has no one to be told to.
        let told = context.block_on(agent.tell(ran));
        complain(context, told.unwrap_or_default());
    }
}

/// [`of_run`] for one in which nothing was due, so that it needed no agent.
pub(super) fn of_idle_run(context: &Context, ran: Ran) {
    // Settings that are wrong make the index stale, and are complained of where it is made anew.
    if let Ok(agent) = context.reader() {
        of_run(context, &agent, ran);
    }
}

/// [`of_run`] for one that stays.
pub(super) async fn of_pass(context: &Context, agent: &Agent, ran: Ran) {
    complain(context, agent.write_down(ran));
    if agent.has_listeners() {
        complain(context, agent.tell(ran).await);
    }
}

fn complain(context: &Context, complaints: Complaints) {
    complaints.iter().for_each(|complaint| context.talk.complain(complaint));
}
