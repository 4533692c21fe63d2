//! `drill`, and the embedded CA as `--ca embedded` wants it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use super::args::{Drill, DrillCa};
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, Report, print_json};
use crate::acme::Endpoint;
use crate::agent::authorities::{EMBEDDED, EmbeddedCa, Launch};
use crate::certificate::Roots;
use crate::drill::ca::{self, Behaviour};
use crate::model::challenge::ValidationPorts;
use crate::model::time::Clock;

pub(super) fn run(context: &Context, args: Drill) -> Result<Report, Failure> {
    let Drill::Ca(args) = args;
    // Opening the store makes the home and checks who may write there.
    context.agent()?;
    context.block_on(serve(context, &args))?
}

async fn serve(context: &Context, args: &DrillCa) -> Result<Report, Failure> {
    let behaviour = args.behaviour.as_deref().map(behaviour).transpose()?.unwrap_or_default();
    let ports = Arc::new(ValidationPorts::new(args.http_01_port, args.tls_alpn_01_port));
    let dir = context.layout.embedded_ca();
    let settings = ca::Settings {
        dns_server: args.dns_server,
        ..settings(args.listen, dir, ports, &context.clock, behaviour)
    };
    let running = ca::start(settings).await.map_err(|error| Failure::of(Exit::Config, &error))?;
    let pid = std::process::id();
    if context.talk.json {
        print_json(&json!({
            "schema": 1, "directory": running.directory, "tls_root": running.tls_root,
            "issuing_root": running.issuing_root, "management": running.management, "pid": pid,
        }));
    } else {
        let _ = writeln!(
            io::stdout(),
            "a CA that nobody trusts is ready\n  directory     {}\n  TLS root      {}\n  issuing root  {}\n  management    {}",
            running.directory,
            running.tls_root.display(),
            running.issuing_root.display(),
            running.management,
        );
    }
    let mut stopped = context.stopped();
    let _ = stopped.wait_for(|stop| *stop).await;
    running.shutdown().await;
    std::process::exit(0)
}

fn settings(
    listen: SocketAddr,
    dir: PathBuf,
    ports: Arc<ValidationPorts>,
    clock: &Arc<dyn Clock>,
    behaviour: Behaviour,
) -> ca::Settings {
    ca::Settings {
        listen,
        dir,
        ports,
        dns_server: None,
        eab: Default::default(),
        clock: Arc::clone(clock),
        behaviour,
    }
}

fn behaviour(file: &Path) -> Result<Behaviour, Failure> {
    let text = std::fs::read_to_string(file).map_err(anyhow::Error::from);
    let behaviour = text.and_then(|text| Ok(Behaviour::parse(&text)?));
    behaviour
        .with_context(|| format!("cannot use {} for --behaviour", file.display()))
        .map_err(|error| Failure::of(Exit::Config, error.as_ref()))
}

/// Starts the embedded CA on a free loopback port when a certificate wants it.
pub(super) fn launcher(dir: PathBuf, clock: Arc<dyn Clock>) -> Launch {
    Box::new(move || {
        let (dir, clock) = (dir.clone(), Arc::clone(&clock));
        Box::pin(async move {
            let ports = Arc::new(ValidationPorts::default());
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let running =
                ca::start(settings(listen, dir, Arc::clone(&ports), &clock, Behaviour::default()))
                    .await?;
            let endpoint = Endpoint {
                roots: Some(std::fs::read(&running.tls_root)?),
                ..Endpoint::new(EMBEDDED, &running.directory)
            };
            let issuing_roots = Roots::parse(&std::fs::read(&running.issuing_root)?)?;
            Ok(EmbeddedCa { endpoint, issuing_roots, ports, _alive: Box::new(running) })
        })
    })
}
