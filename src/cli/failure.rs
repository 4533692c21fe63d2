//! From what went wrong to an exit code, and to the one thing to do.

use super::exit::Exit;
use super::report::Failure;
use crate::acme::{AcmeError, Endpoint};
use crate::agent::authorities::ca_name;
use crate::agent::{Done, Ended, Trouble};
use crate::challenge::SolverError;
use crate::config::cert::Contradiction;
use crate::config::choice::CaChoice;
use crate::drill::ca::CaError;
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::pipeline::Cause;
use crate::schedule::budget::{Lack, Shortage};
use crate::store::StoreError;

/// The code of one certificate's part of a run.
pub(crate) fn exit_of(done: &Done) -> Exit {
    match done.ended {
        Ended::Renewed | Ended::Stocked | Ended::Deployed | Ended::NotDue | Ended::Retry
            if done.trouble.is_none() && !done.left_out.is_empty() =>
        {
            Exit::Partial
        }
        Ended::Soaking => done.trouble.as_ref().map_or(Exit::Ok, of_trouble),
        Ended::Renewed | Ended::Stocked | Ended::Deployed | Ended::NotDue => Exit::Ok,
        Ended::NotDeployed | Ended::RolledBack if failed_at_disk(done) => Exit::Store,
        Ended::NotDeployed => Exit::NotDeployed,
        Ended::RolledBack => Exit::RolledBack,
        Ended::NeedsOperator => Exit::ServingBad,
        Ended::Locked => Exit::Locked,
        Ended::Retry | Ended::Failed => done.trouble.as_ref().map_or(Exit::Retry, of_trouble),
    }
}

/// Whether it was the disk that did not take the certificate, not the server.
fn failed_at_disk(done: &Done) -> bool {
    matches!(&done.trouble, Some(Trouble::Cause(Cause::Store(error))) if of_store(error) == Exit::Store)
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        of(&trouble)
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        of(&Trouble::Cause(cause))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        of(&Trouble::from(error))
    }
}

/// The failure as it is told, with its causes and hints.
pub(crate) fn of(trouble: &Trouble) -> Failure {
    let mut failure = Failure::of(of_trouble(trouble), trouble);
    failure.hints.extend(hint(trouble));
    let Trouble::Cause(cause) = trouble else { return failure };
    if let Fault::WaitUntil(until) = cause.fault() {
        failure.retry_at = Some(until);
    }
    failure.causes.extend(printed(cause));
    failure
}

/// What the hook printed that ended a run.
fn printed(cause: &Cause) -> Option<String> {
    match cause {
        Cause::Hook(error) => error.output().and_then(last_lines),
        Cause::Target(error) => error.output().and_then(last_lines),
        Cause::Solver(error) => match &**error {
            SolverError::Dns(error) => error.output().and_then(last_lines),
            _ => None,
        },
        Cause::Stuck { cause, rollback } => printed(cause).or_else(|| printed(rollback)),
        Cause::Exhausted { cause, .. } => printed(cause),
        _ => None,
    }
}

/// The end of what a hook printed; a line of it may be as long as all of it.
fn last_lines(output: &str) -> Option<String> {
    const SHOWN: usize = 10;
    const LONGEST: usize = 2000;
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    let more = tail.chars().count().saturating_sub(LONGEST);
    let mark = if more > 0 { "…" } else { "" };
    let tail: String = tail.chars().skip(more).collect();
    (!tail.is_empty()).then(|| format!("it printed: {mark}{tail}"))
}

fn of_trouble(trouble: &Trouble) -> Exit {
    match trouble {
        Trouble::Cause(cause) => of_cause(cause),
        Trouble::Embedded(error) => of_embedded(error.as_ref()),
        Trouble::Crashed => Exit::Internal,
        Trouble::RollingOut => Exit::Retry,
        Trouble::Config(error) if error.is_unsafe() => Exit::Refused,
        Trouble::DnsSecret { source, .. } if source.is_unsafe() => Exit::Refused,
        Trouble::Unfit { .. } => Exit::Refused,
        _ => Exit::Config,
    }
}

/// The CA in our own process keeps its files in the home, and shares the fate of its disk.
fn of_embedded(error: &(dyn std::error::Error + 'static)) -> Exit {
    match error.downcast_ref() {
        Some(CaError::Keep { .. } | CaError::Damaged { .. }) => Exit::Store,
        None if error.is::<std::io::Error>() => Exit::Store,
        _ => Exit::Internal,
    }
}

fn of_cause(cause: &Cause) -> Exit {
    match cause {
        Cause::NoSolver { .. }
        | Cause::NoProfile { .. }
        | Cause::NoChallenge { .. }
        | Cause::AccountLost { .. } => Exit::Config,
        Cause::AccountFile { .. } | Cause::Inconsistent { .. } | Cause::Key(_) => Exit::Store,
        Cause::HookDirectory(_) => Exit::Refused,
        Cause::Acme(error) => of_acme(error),
        Cause::Solver(error) if matches!(**error, SolverError::Unsafe { .. }) => Exit::Refused,
        Cause::Solver(error) if error.fault() == Fault::Permanent => Exit::Config,
        Cause::Store(error) => of_store(error),
        Cause::NotLive { .. } | Cause::NoWayBack { .. } | Cause::Stuck { .. } => Exit::ServingBad,
        Cause::Limited { .. }
        | Cause::TooSlow { .. }
        | Cause::Foreseen { .. }
        | Cause::Solver(_)
        | Cause::Csr(_)
        | Cause::Chain(_)
        | Cause::Refused(_)
        | Cause::Hook(_)
        | Cause::Target(_)
        | Cause::Unseen { .. }
        | Cause::Revoked { .. }
        | Cause::Clients { .. }
        | Cause::FoundBad { .. }
        | Cause::Earlier { .. }
        | Cause::PreHook { .. }
        | Cause::Interrupted => Exit::Retry,
        Cause::Exhausted { cause: last, .. } => match of_cause(last) {
            Exit::Config if cause.fault() != Fault::Permanent => Exit::Retry,
            exit => exit,
        },
    }
}

fn of_acme(error: &AcmeError) -> Exit {
    match error {
        AcmeError::Unacceptable { .. }
        | AcmeError::Redirected { .. }
        | AcmeError::OtherIdentifiers { .. } => Exit::Refused,
        _ if error.fault() == Fault::Permanent => Exit::Config,
        _ => Exit::Retry,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Refused { .. } => Exit::Refused,
        StoreError::Locked { .. } => Exit::Locked,
        StoreError::NewerSchema { .. }
        | StoreError::NoSnapshot(_)
        | StoreError::NotInSnapshot { .. }
        | StoreError::NothingToKeep => Exit::Config,
        StoreError::Damaged { .. }
        | StoreError::Disk(_)
        | StoreError::Export(_)
        | StoreError::Full { .. } => Exit::Store,
    }
}

/// The one thing to do.
fn hint(trouble: &Trouble) -> Option<String> {
    match trouble {
        Trouble::Cause(cause) => hint_of_cause(cause),
        Trouble::Config(error) => error.hint(),
        Trouble::Contradiction(contradiction) => hint_of_contradiction(contradiction),
        Trouble::Secret(error) => error.hint(),
        Trouble::DnsSecret { source, .. } => source.hint(),
        Trouble::NoTarget(error) => Some(error.hint().to_owned()),
        Trouble::NoDns(error) => Some(error.hint().to_owned()),
        Trouble::UnknownCa { nearest: Some(nearest), .. } => {
            Some(format!("did you mean {nearest}?"))
        }
        Trouble::UnknownCa { nearest: None, .. } => {
            let known: Vec<&str> = Endpoint::builtin_names().collect();
            Some(format!("known are {}; any other by its --server URL", known.join(", ")))
        }
        Trouble::EndedCa(ended) => Some(format!("choose another, as in --ca {}", ended.instead)),
        Trouble::NoCertificate { nearest: Some(nearest), .. } => {
            Some(format!("did you mean {nearest}?"))
        }
        Trouble::NoCertificate { .. } => {
            Some("`acmeagent status` lists those there are".to_owned())
        }
        Trouble::NoSettings { .. } => {
            Some("run `acmeagent issue` for it again, or `acmeagent delete` it".to_owned())
        }
        _ => None,
    }
}

pub(super) fn hint_of_contradiction(contradiction: &Contradiction) -> Option<String> {
    let hint = match contradiction {
        Contradiction::Unprovable { identifier: Identifier::Dns(_), .. } => {
            "a wildcard needs dns-01: add --dns PROVIDER"
        }
        Contradiction::Unprovable { identifier: Identifier::Ip(_), .. } => {
            "an IP address takes http-01 or tls-alpn-01"
        }
        Contradiction::NoProvider(_) => {
            "add --dns PROVIDER (`dns` in [challenge]); acmeagent-dns(7) lists those there are"
        }
        Contradiction::NoAuthHook => {
            "add --manual-auth-hook COMMAND (`manual-auth-hook` in [challenge])"
        }
        Contradiction::SharedRoot => "give each private CA a [[ca]] with its `root`",
        Contradiction::EmbeddedRoot => "leave --ca-root (`ca-root`) out",
        Contradiction::NoIdentifier
        | Contradiction::Twice(_)
        | Contradiction::SameCa(_)
        | Contradiction::SameTarget(_)
        | Contradiction::SameProvider(_)
        | Contradiction::NotInTargets { .. }
        | Contradiction::Redundant { .. } => {
            return None;
        }
    };
    Some(hint.to_owned())
}

fn hint_of_store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Refused { mend, .. } => Some(format!("run: {mend}")),
        StoreError::NoSnapshot(_) => {
            Some("`acmeagent snapshot list` shows those there are".to_owned())
        }
        StoreError::Full { dir, .. } => {
            Some(format!("make room in {}, then run this again", dir.display()))
        }
        StoreError::Disk(error) if error.is_full() => Some(format!(
            "make room on the file system of {}, then run this again",
            error.path.display()
        )),
        StoreError::Disk(error) if error.is_broken() => Some(format!(
            "what is live stays; do not restart servers before the file system of {} is repaired",
            error.path.display()
        )),
        StoreError::Disk(error) if error.is_denied() => Some(
            "run this as root or as the user who owns the store; in a container, its volume must \
             belong to the container's user"
                .to_owned(),
        ),
        _ => None,
    }
}

const PAUSED: &str = "`acmeagent status` shows the page: visit it, then run this by hand once more";

fn hint_of_acme(error: &AcmeError) -> Option<&'static str> {
    Some(match error {
        AcmeError::TermsNotAgreed { .. } => "read them, then add --agree-tos",
        AcmeError::EabRequired { by_email: true } => {
            "the CA hands them out for an e-mail address: add --email"
        }
        AcmeError::EabRequired { by_email: false } | AcmeError::EabNotGiven { .. } => {
            "get them from the CA, then add --eab-kid and --eab-hmac-key-file"
        }
        AcmeError::EabRefused { .. } => {
            "some CAs take a binding only once, and soon: get a new one from the CA, then add --eab-kid and --eab-hmac-key-file"
        }
        error if error.is_untimely() => {
            "if this host's clock is wrong that is why: set it right, and let NTP keep it so"
        }
        error if error.is_untrusted() => {
            "if this is a private CA, give the root of its HTTPS certificate with --ca-root"
        }
        AcmeError::Unreachable { .. } | AcmeError::TimedOut { .. } => {
            "check that this host resolves names and reaches the CA by HTTPS"
        }
        AcmeError::Unproven { failures } if failures.iter().any(|f| f.challenge == "http-01") => {
            "port 80 of every name must reach this host, or the web server of --webroot"
        }
        AcmeError::Unproven { failures }
            if failures.iter().any(|f| f.challenge.contains("dns")) =>
        {
            "every name server of the zone must show the TXT record to the CA, whose resolvers may \
             remember one that was there before for as long as its TTL"
        }
        AcmeError::Unproven { .. } => "port 443 of every name must reach this host",
        _ => return None,
    })
}

fn hint_of_cause(cause: &Cause) -> Option<String> {
    match cause {
        Cause::Hook(error) => error.hint(),
        Cause::Target(error) => error.hint(),
        Cause::HookDirectory(error) => error.hint(),
        Cause::Solver(error) => error.hint(),
        Cause::Stuck { cause, rollback } => {
            hint_of_cause(rollback).or_else(|| hint_of_cause(cause))
        }
        Cause::Exhausted { cause, .. } => hint_of_cause(cause),
        Cause::Store(error) => hint_of_store(error),
        Cause::Acme(error) if matches!(**error, AcmeError::Paused { .. }) => {
            Some(PAUSED.to_owned())
        }
        Cause::Limited { shortage: Shortage { why: Lack::Paused { .. }, .. }, .. } => {
            Some(PAUSED.to_owned())
        }
        Cause::AccountLost { ca, directory, path } => Some(format!(
            "bring {} back from a copy; if there is none, register anew with `acmeagent account register {} --agree-tos`",
            path.display(),
            flag_of(ca, directory)
        )),
        Cause::AccountFile { ca, directory, path, .. } => Some(format!(
            "bring {} back from a copy; if there is none, move it away and register anew with `acmeagent account register {} --agree-tos`",
            path.display(),
            flag_of(ca, directory)
        )),
        Cause::Acme(error) => hint_of_acme(error).map(str::to_owned),
        Cause::Foreseen { .. } => {
            Some("`acmeagent doctor` says what a CA sees, and what to do about it".to_owned())
        }
        Cause::NoSolver { .. } => {
            Some("use http-01, tls-alpn-01, or dns-01 with --dns PROVIDER".to_owned())
        }
        _ => None,
    }
}

/// How the command line is told which CA is meant: by its name, or by its URL if it has none.
fn flag_of(ca: &str, directory: &str) -> String {
    match CaChoice::parse(directory) {
        Ok(url) if ca_name(&url) == ca => format!("--server {directory}"),
        _ => format!("--ca {ca}"),
    }
}
