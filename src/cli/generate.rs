//! `generate`: man pages and completions from the command line's own definition, rules and dashboard
//! from the table of metrics.

use std::process::ExitCode;

use clap::CommandFactory;

use super::args::{Cli, Generate};
use super::context::Context;
use super::exit::Exit;
use super::report::Failure;
use super::{complete, man};
use crate::observe::{dashboard, rules};

pub(super) fn run(context: &Context, args: &Generate) -> ExitCode {
    match made(args) {
        Ok(page) => {
            // A reader that went away is no error of ours.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), &page);
            Exit::Ok.into()
        }
        Err(failure) => context.talk.finish("generate", Err(failure)).into(),
    }
}

fn made(args: &Generate) -> Result<Vec<u8>, Failure> {
    match args {
        Generate::Man { verb: None } => Ok(man::page(Cli::command()).into_bytes()),
        Generate::Man { verb: Some(verb) } => {
            let page = man::page_of(Cli::command(), verb);
            let page = page.ok_or_else(|| {
                let known = man::verbs(&Cli::command()).join(", ");
                Failure::config(format!("there is no command {verb:?}"))
                    .hint(format!("known are {known}"))
            })?;
            Ok(page.into_bytes())
        }
        Generate::Completions { shell } => {
            let mut stub = Vec::new();
            complete::write_stub(*shell, &mut stub)
                .map_err(|error| Failure::of(Exit::Internal, &error))?;
            Ok(stub)
        }
        Generate::Rules => Ok(rules::text().into_bytes()),
        Generate::Dashboard => Ok(dashboard::text().into_bytes()),
    }
}
