//! `serve`: standing in front of an application that has port 80.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::args::Serve;
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, print_json};
use crate::agent;
use crate::challenge::PortHolder;
use crate::challenge::front::{Front, FrontError};
use crate::store::Store;
use crate::store::disk::Real;

pub(super) fn run(context: &Context, args: &Serve) -> ExitCode {
    let served = Store::open(context.layout.clone(), Arc::new(Real))
        .map_err(Failure::from)
        .and_then(|store| context.block_on(stand(context, &store, args))?);
    match served {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => context.talk.finish("serve", Err(failure)).into(),
    }
}

async fn stand(context: &Context, store: &Store, args: &Serve) -> Result<(), Failure> {
    let _held = store.lock_desk()?;
    allow_many_connections();
    let desk = store.layout().desk();
    let mut stopped = context.stopped();
    let front = tokio::select! {
        front = Front::open(&args.listen, args.upstream.clone(), &desk, &context.handed) => front.map_err(failure)?,
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    };
    // Whoever finds the port taken is told by whom: not by a run, which would soon be done.
    let _ = prctl::set_name(PortHolder::FRONT);
    say_ready(context, args, &front);
    agent::front::serve(front, context.stopped()).await;
    Ok(())
}

/// Each visitor takes two descriptors, of which few are given unless one asks.
fn allow_many_connections() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With fewer it serves fewer at a time.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

fn say_ready(context: &Context, args: &Serve, front: &Front) {
    let (addresses, upstream) = (front.addresses(), args.upstream.to_string());
    if context.talk.json {
        let pid = std::process::id();
        print_json(&json!({
            "schema": 1, "command": "serve", "addresses": addresses, "upstream": upstream, "pid": pid,
        }));
    } else if !context.talk.quiet {
        let mut text = "challenges are answered at".to_owned();
        for address in addresses {
            let _ = write!(text, " {address}");
        }
        let _ = writeln!(io::stdout(), "{text}; all else goes to {upstream}");
    }
}

fn failure(error: FrontError) -> Failure {
    let failure = Failure::of(Exit::Config, &error);
    match error {
        FrontError::PortInUse { .. } => {
            failure.hint("give that server another port, and name it in --upstream")
        }
        FrontError::PortForbidden { .. } => {
            failure.hint("grant CAP_NET_BIND_SERVICE, as by AmbientCapabilities= of a service")
        }
        FrontError::Itself { .. } => {
            failure.hint("--upstream names the application, which needs a port of its own")
        }
        FrontError::Listen(_) | FrontError::Desk { .. } => failure,
    }
}
