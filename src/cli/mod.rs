//! Floor 8: people. One file per verb; what they share stands in [`context`] and [`report`].

mod account;
mod aftermath;
mod alert;
pub(crate) mod args;
mod check;
mod complete;
mod context;
mod delete;
mod dns_record;
mod doctor;
mod drill;
pub(crate) mod exit;
mod failure;
mod findings;
mod generate;
mod identity;
mod issue;
mod lines;
mod man;
mod progress;
mod rehearsal;
mod renew;
pub(crate) mod report;
mod revoke;
mod rollback;
mod serve;
mod snapshot;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Verb};
use context::Context;
use exit::Exit;
use report::{Failure, Talk};

/// Reads the command line, does what it says, says what came of it.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    harden();
    if complete::answered(&args) {
        return Exit::Ok.into();
    }
    let json = args.iter().any(|arg| arg == "--json");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, json),
    };
    let talk = Talk::new(&cli.global);
    let context = match Context::new(talk.clone(), &cli.global) {
        Ok(context) => context,
        Err(failure) => return talk.finish(cli.verb.word(), Err(failure)).into(),
    };
    if let Err(failure) = identity::settle(&context, &cli.verb) {
        return talk.finish(cli.verb.word(), Err(failure)).into();
    }
    dispatch(&context, cli.verb)
}

fn dispatch(context: &Context, verb: Verb) -> ExitCode {
    let word = verb.word();
    let result = match verb {
        Verb::Issue(args) => issue::run(context, &args),
        Verb::Renew(args) if args.stay => return renew::stay::ever(context, &args),
        Verb::Renew(args) => renew::run(context, &args),
        Verb::Serve(args) => return serve::run(context, &args),
        Verb::Check(args) => return check::run(context, &args),
        Verb::Doctor(args) => return doctor::run(context, &args),
        Verb::Rollback(args) => rollback::run(context, &args),
        Verb::Snapshot(args) => snapshot::run(context, args),
        Verb::Status(args) => status::run(context, &args),
        Verb::Revoke(args) => revoke::run(context, &args),
        Verb::Delete(args) => delete::run(context, &args),
        Verb::Account(args) => account::run(context, &args),
        Verb::Alert(args) => alert::run(context, &args),
        Verb::Drill(args) => drill::run(context, args),
        Verb::Generate(args) => return generate::run(context, &args),
    };
    context.talk.finish(word, result).into()
}

impl Verb {
    fn word(&self) -> &'static str {
        match self {
            Self::Issue(_) => "issue",
            Self::Renew(_) => "renew",
            Self::Serve(_) => "serve",
            Self::Check(_) => "check",
            Self::Doctor(_) => "doctor",
            Self::Rollback(_) => "rollback",
            Self::Snapshot(_) => "snapshot",
            Self::Status(_) => "status",
            Self::Revoke(_) => "revoke",
            Self::Delete(_) => "delete",
            Self::Account(_) => "account",
            Self::Alert(_) => "alert",
            Self::Drill(_) => "drill",
            Self::Generate(_) => "generate",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What clap has to say: help and version as they are, a mistake as JSON where JSON was asked for.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !asked_for {
        let talk = Talk { json: true, quiet: false, verbose: false, log: None };
        return talk.finish("", Err(misuse(&error.render().to_string()))).into();
    }
    // A reader that went away is no error of ours.
    let _ = error.print();
    if error.use_stderr() { Exit::Config.into() } else { Exit::Ok.into() }
}

/// clap's text taken apart: the mistake, its tips, and what it says of usage.
fn misuse(text: &str) -> Failure {
    let mut parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let mistake = parts.next().unwrap_or_default().trim_start_matches("error: ");
    let hints = parts.map(|part| part.trim_start_matches("tip: ").to_owned()).collect();
    Failure { hints, ..Failure::config(mistake) }
}

/// Keys live in our memory and files: no core dumps, nothing readable by others even for a moment.
fn harden() {
    use nix::sys::{prctl, resource, stat};
    stat::umask(stat::Mode::from_bits_truncate(0o077));
    // Refusing to start because a sandbox forbids one of these would help nobody.
    let _ = prctl::set_dumpable(false);
    let _ = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
}
