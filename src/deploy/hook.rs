//! The operator's programs, run by argv without a shell in an environment built from nothing.
//!
//! A hook may do its worst: hang, fork, ignore signals, print without end. [`run`] returns when
//! the program itself has ended or its time is over, holds no more than a bounded tail of what
//! was printed, and leaves nothing of a timed-out or abandoned program behind. What a hook that
//! ended well left running (a restarted server) is not touched.

mod command;
mod directory;
mod environment;
mod process;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub(crate) use command::{Command, CommandError};
pub(crate) use directory::{DirectoryError, directory};
pub(crate) use environment::HookEnv;

use crate::model::fault::Fault;

/// A program to run, with its arguments and the time it may take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hook {
    argv: Vec<OsString>,
    limit: Duration,
}

impl Hook {
    /// How long a hook may run unless told otherwise.
    pub(crate) const LIMIT: Duration = Duration::from_secs(300);

    pub(crate) fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The program, for messages.
    pub(crate) fn program(&self) -> String {
        todo!()
    }
}

impl From<&Command> for Hook {
    fn from(command: &Command) -> Self {
        let argv = command.argv().iter().map(OsString::from).collect();
        Self { argv, limit: Self::LIMIT }
    }
}

/// What a hook that ended well has to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HookReport {
    /// The last of what it printed, standard output and error together, safe for a terminal.
    pub(crate) output: String,
    pub(crate) took: Duration,
}

/// Why a hook did not do its work. `output` is as in [`HookReport`].
#[derive(Debug, Error)]
pub(crate) enum HookError {
    #[error("hook {program} does not exist")]
    Missing { program: String },
    #[error("the interpreter that the first line of hook {program} names does not exist")]
    NoInterpreter { program: String },
    #[error("hook {program} may not be executed")]
    NotExecutable { program: String },
    #[error("hook {program} could not be started")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("hook {program} ended with exit code {code}")]
    Exited { program: String, code: i32, output: String },
    #[error("hook {program} was killed by {signal}")]
    Killed { program: String, signal: String, output: String },
    #[error("hook {program} was stopped: it ran longer than {} s", limit.as_secs())]
    TimedOut { program: String, limit: Duration, output: String },
}

impl HookError {
    /// What it printed before it failed.
    pub(crate) fn output(&self) -> Option<&str> {
        match self {
            Self::Exited { output, .. }
            | Self::Killed { output, .. }
            | Self::TimedOut { output, .. } => Some(output),
            _ => None,
        }
    }

    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        todo!()
    }

    pub(crate) fn fault(&self) -> Fault {
        todo!()
    }
}

/// Runs a hook to its end, in `/`, with nothing on standard input, as the leader of a process
/// group of its own.
///
/// At the limit the whole group is asked to stop, then killed; dropping the future kills it at
/// once. Anything but exit code 0 is an error.
pub(crate) async fn run(_hook: &Hook, _env: &HookEnv) -> Result<HookReport, HookError> {
    let _: Option<PathBuf> = None;
    todo!()
}
