//! Why a run did not renew.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::acme::{AcmeError, CsrError};
use crate::certificate::{ChainError, KeyError, Refusal};
use crate::challenge::SolverError;
use crate::deploy::TargetError;
use crate::hook::HookError;
use crate::hook::directory::DirectoryError;
use crate::model::challenge::ChallengeKind;
use crate::model::fault::Fault;
use crate::model::generation::Generation;
use crate::model::name::Identifier;
use crate::model::proof::{Setback, reason};
use crate::model::time::Timestamp;
use crate::schedule::budget::Shortage;
use crate::store::StoreError;

/// Whatever ended a run; the rooms' own errors, and what only their meeting can show.
#[derive(Debug, Error)]
pub(crate) enum Cause {
    #[error("{kind} is not supported by this version")]
    NoSolver { kind: ChallengeKind },
    #[error("the CA {ca} does not offer the profile {profile} (it offers {offered})")]
    NoProfile { ca: String, profile: String, offered: String },
    #[error("the CA offers none of the challenges that were allowed for {identifier}")]
    NoChallenge { identifier: String },
    #[error("the account key for the CA {ca} is missing from the store")]
    AccountLost { ca: String, directory: String, path: PathBuf },
    #[error("the stored account for the CA {ca} is damaged")]
    AccountFile { ca: String, directory: String, path: PathBuf, source: serde_json::Error },
    /// The ledger shows that the CA would refuse, or that it would cost what is held back.
    #[error("the CA {ca} is not asked: {shortage}")]
    Limited { ca: String, shortage: Shortage },
    /// Shared: what one certificate learns of a CA all others need not try again.
    #[error(transparent)]
    Acme(Arc<AcmeError>),
    #[error("the order took longer than {} min in all", .after.as_secs() / 60)]
    TooSlow { after: Duration },
    #[error(transparent)]
    Csr(#[from] CsrError),
    #[error(transparent)]
    Solver(Box<SolverError>),
    #[error("what the CA sent is no certificate chain")]
    Chain(#[from] ChainError),
    #[error("a stored private key is unusable")]
    Key(#[from] KeyError),
    #[error("the certificate may not be put into service: {0}")]
    Refused(#[from] Refusal),
    #[error("cert.pem and chain.pem of generation {generation} are not what fullchain.pem holds")]
    Inconsistent { generation: Generation },
    #[error("generation {generation} is not what is live after the switch")]
    NotLive { generation: Generation },
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("clients do not see generation {generation} as they should: {places}")]
    Unseen { generation: Generation, places: String, condemns: bool },
    #[error("the CA revoked generation {generation} at {at}")]
    Revoked { generation: Generation, at: Timestamp },
    #[error("{target}: {why}")]
    Clients { target: String, why: String, condemns: bool },
    #[error("generation {generation} was revoked or found bad while it was rolled out")]
    FoundBad { generation: Generation },
    /// Why it was, an earlier run knew; its words.
    #[error("{message}")]
    Earlier { message: String },
    #[error("there is no better generation to go back to: generation {generation} {why}")]
    NoWayBack { generation: Generation, why: String },
    #[error("not tried, as a pre hook failed in this run: {why}")]
    PreHook { why: String },
    #[error(transparent)]
    HookDirectory(#[from] DirectoryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("interrupted")]
    Interrupted,
    /// Tried from here before anything was asked of the CA.
    #[error("{kind} would not prove {}: {why}", listed(.names))]
    Foreseen { kind: ChallengeKind, names: BTreeSet<Identifier>, why: String },
    /// The last of several challenge types that did not work, and those before it.
    #[error("{}; then {cause}", reason(.earlier, true))]
    Exhausted { cause: Box<Self>, earlier: Vec<Setback> },
    #[error("{cause}; going back failed too: {rollback}")]
    Stuck { cause: Box<Self>, rollback: Box<Self> },
}

impl From<SolverError> for Cause {
    fn from(error: SolverError) -> Self {
        Self::Solver(Box::new(error))
    }
}

impl From<AcmeError> for Cause {
    fn from(error: AcmeError) -> Self {
        Self::Acme(Arc::new(error))
    }
}

impl Cause {
    /// The same where challenge types had failed before.
    pub(crate) fn after(self, earlier: Vec<Setback>) -> Self {
        if earlier.is_empty() {
            return self;
        }
        Self::Exhausted { cause: Box::new(self), earlier }
    }

    /// What ended the run in the end, whatever had failed before.
    pub(crate) fn last(&self) -> &Self {
        match self {
            Self::Exhausted { cause, .. } => cause.last(),
            other => other,
        }
    }

    /// Whether the certificate or its key is at fault, so that only another one can help.
    ///
    /// Dates that do not hold speak of a clock as well, and a server that did not take it of the server.
    pub(crate) fn condemns(&self) -> bool {
        match self {
            Self::Refused(Refusal::NotYetValid { .. } | Refusal::Expired { .. }) => false,
            Self::Refused(_) | Self::Chain(_) | Self::Key(_) | Self::Inconsistent { .. } => true,
            Self::Store(StoreError::Damaged { .. }) => true,
            Self::Unseen { condemns, .. } | Self::Clients { condemns, .. } => *condemns,
            Self::Revoked { .. } | Self::FoundBad { .. } => true,
            Self::Stuck { cause, .. } | Self::Exhausted { cause, .. } => cause.condemns(),
            _ => false,
        }
    }

    /// Whether another CA may do what this one did not.
    pub(crate) fn is_the_cas(&self) -> bool {
        match self {
            Self::Acme(_)
            | Self::Limited { .. }
            | Self::TooSlow { .. }
            | Self::NoProfile { .. }
            | Self::NoChallenge { .. }
            | Self::AccountLost { .. }
            | Self::AccountFile { .. }
            | Self::Chain(_)
            | Self::Revoked { .. }
            | Self::Refused(_) => true,
            Self::NoSolver { .. }
            | Self::Csr(_)
            | Self::Solver(_)
            | Self::Foreseen { .. }
            | Self::Key(_)
            | Self::Inconsistent { .. }
            | Self::NotLive { .. }
            | Self::Hook(_)
            | Self::Target(_)
            | Self::Unseen { .. }
            | Self::Clients { .. }
            | Self::FoundBad { .. }
            | Self::Earlier { .. }
            | Self::NoWayBack { .. }
            | Self::PreHook { .. }
            | Self::HookDirectory(_)
            | Self::Store(_)
            | Self::Interrupted
            | Self::Stuck { .. } => false,
            Self::Exhausted { cause, earlier } => {
                cause.is_the_cas() || earlier.iter().any(|setback| setback.spent)
            }
        }
    }

    /// Whether it was the disk of this host that failed, not a server.
    pub(crate) fn is_the_disks(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Stuck { cause, .. } | Self::Exhausted { cause, .. } => cause.is_the_disks(),
            _ => false,
        }
    }

    /// The word by which it is counted. What a way back failed of comes after why it was taken.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Acme(error) => error.kind(),
            Self::Limited { shortage, .. } if shortage.is_pause() => "paused",
            Self::Limited { .. } => "limited",
            Self::Solver(error) => error.kind(),
            Self::Target(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::NoSolver { .. } | Self::NoProfile { .. } | Self::NoChallenge { .. } => "config",
            Self::AccountLost { .. } | Self::AccountFile { .. } => "account",
            Self::TooSlow { .. } => "timeout",
            Self::Foreseen { .. } => "selftest",
            Self::Csr(_) => "internal",
            Self::Chain(_) | Self::Refused(_) => "refused",
            Self::Key(_) | Self::Inconsistent { .. } | Self::NotLive { .. } => "store",
            Self::Hook(_) | Self::PreHook { .. } | Self::HookDirectory(_) => "hook",
            Self::Unseen { .. } => "unseen",
            Self::Clients { .. } => "clients",
            Self::Revoked { .. } | Self::FoundBad { .. } => "revoked",
            Self::Earlier { .. } => "earlier",
            Self::NoWayBack { .. } => "no_way_back",
            Self::Interrupted => "interrupted",
            Self::Exhausted { cause, .. } | Self::Stuck { cause, .. } => cause.kind(),
        }
    }

    /// The target that did not take it, by its label.
    pub(crate) fn target(&self) -> Option<String> {
        match self {
            Self::Target(error) => Some(error.target()),
            Self::Clients { target, .. } => Some(target.clone()),
            Self::Stuck { cause, .. } => cause.target(),
            _ => None,
        }
    }

    /// The identifiers the CA says are at fault, as far as it names them.
    pub(crate) fn blamed(&self) -> BTreeSet<Identifier> {
        match self {
            Self::Acme(error) => error.blamed(),
            Self::Foreseen { names, .. } => names.clone(),
            Self::Exhausted { cause, earlier } => {
                let spent = earlier.iter().filter(|setback| setback.spent);
                let names = spent.filter_map(|setback| setback.identifier.clone());
                cause.blamed().into_iter().chain(names).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// Whether trying again can help, and from when on.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Acme(error) => error.fault(),
            Self::Limited { shortage, .. } => Fault::WaitUntil(shortage.until),
            Self::Solver(error) => error.fault(),
            Self::Refused(refusal) => refusal.fault(),
            Self::Hook(error) => error.fault(),
            Self::Target(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::NoSolver { .. }
            | Self::NoProfile { .. }
            | Self::NoChallenge { .. }
            | Self::AccountLost { .. }
            | Self::AccountFile { .. }
            | Self::HookDirectory(_) => Fault::Permanent,
            Self::TooSlow { .. }
            | Self::Foreseen { .. }
            | Self::Csr(_)
            | Self::Chain(_)
            | Self::Key(_)
            | Self::Inconsistent { .. }
            | Self::NotLive { .. }
            | Self::Unseen { .. }
            | Self::Revoked { .. }
            | Self::Clients { .. }
            | Self::FoundBad { .. }
            | Self::Earlier { .. }
            | Self::NoWayBack { .. }
            | Self::PreHook { .. }
            | Self::Interrupted => Fault::Passing,
            Self::Stuck { cause, .. } => cause.fault(),
            // Another type may work again, whatever is wrong with the last.
            Self::Exhausted { cause, earlier } => match cause.fault() {
                Fault::Permanent if earlier.iter().any(|setback| setback.spent) => Fault::Passing,
                fault => fault,
            },
        }
    }
}

fn listed(names: &BTreeSet<Identifier>) -> String {
    let shown: Vec<String> = names.iter().take(10).map(ToString::to_string).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::challenge::dns01::DnsError;
    use crate::store::disk::{Act, DiskError};
    use crate::store::lock::Holder;

    /// Whoever counts by them has a series for each.
    #[test]
    fn each_failure_is_of_a_kind() {
        let (at, generation) = (Timestamp::from_unix(1_800_000_000), Generation::FIRST);
        let text = || "x".to_owned();
        let exited = || HookError::Missing { program: text() };
        let store = |errno: i32| {
            let source = io::Error::from_raw_os_error(errno);
            let error = DiskError { act: Act::Write, path: "x".into(), source };
            Cause::from(StoreError::Disk(error))
        };
        let refused = |target| TargetError::Refused {
            target,
            what: text(),
            output: String::new(),
            hint: None,
        };
        let (held, what) = (Holder { pid: None, since: None }, text());
        let dns = SolverError::Dns(DnsError::NoProvider { apex: text() });
        let webroot = SolverError::Unsafe { path: "x".into(), why: "x" };
        let tls = AcmeError::Tls { why: "x", source: None };
        let unseen = || Cause::Unseen { generation, places: text(), condemns: false };
        let (cause, rollback) = (Box::new(unseen()), Box::new(Cause::Interrupted));
        let earlier = vec![Setback::unspent(None, ChallengeKind::Http01, text())];
        let table = [
            (tls.into(), "network"),
            (Cause::TooSlow { after: Duration::ZERO }, "timeout"),
            (Cause::NoSolver { kind: ChallengeKind::Dns01 }, "config"),
            (webroot.into(), "solver"),
            (dns.into(), "dns_provider"),
            (exited().into(), "hook"),
            (Cause::PreHook { why: text() }, "hook"),
            (TargetError::from(exited()).into(), "hook"),
            (refused(text()).into(), "target"),
            (unseen(), "unseen"),
            (Cause::Clients { target: text(), why: text(), condemns: true }, "clients"),
            (Cause::Revoked { generation, at }, "revoked"),
            (Refusal::ForeignKey.into(), "refused"),
            (store(28), "store_full"),
            (store(5), "store"),
            (StoreError::NothingToKeep.into(), "store"),
            (StoreError::Locked { what, holder: held }.into(), "locked"),
            (Cause::Earlier { message: text() }, "earlier"),
            (Cause::Interrupted, "interrupted"),
            (Cause::Stuck { cause, rollback }, "unseen"),
            (Cause::Interrupted.after(earlier), "interrupted"),
        ];
        for (cause, kind) in table {
            assert_eq!(cause.kind(), kind, "{cause}");
        }
    }

    #[test]
    fn a_generation_is_given_up_only_where_it_is_at_fault() {
        let (at, generation) = (Timestamp::from_unix(1_800_000_000), Generation::FIRST);
        let expired = Refusal::Expired { position: 1, subject: "a".to_owned(), not_after: at };
        let damaged = || {
            let (path, what) = ("cert.pem".into(), "it is missing".to_owned());
            Cause::Store(StoreError::Damaged { path, what })
        };
        let stuck =
            |cause, rollback| Cause::Stuck { cause: Box::new(cause), rollback: Box::new(rollback) };
        let table = [
            (Refusal::ForeignKey.into(), true),
            (Refusal::NotYetValid { not_before: at, now: at }.into(), false),
            (expired.into(), false),
            (Cause::Inconsistent { generation }, true),
            (Cause::Revoked { generation, at }, true),
            (damaged(), true),
            (Cause::NotLive { generation }, false),
            (Cause::Interrupted, false),
            (stuck(damaged(), Cause::Interrupted), true),
            (stuck(Cause::Interrupted, damaged()), false),
        ];
        for (cause, condemns) in table {
            assert_eq!(cause.condemns(), condemns, "{cause}");
        }
    }
}
