//! The operator's programs, run by argv without a shell in an environment built from nothing.
//!
//! A hook may do its worst: hang, fork, ignore signals, print without end. [`run`] returns when
//! the program itself has ended or its time is over, holds no more than a bounded tail of what
//! was printed, and leaves nothing of a timed-out or abandoned program behind. What a hook that
//! ended well left running (a restarted server) is not touched.

pub(crate) mod command;
pub(crate) mod directory;
pub(crate) mod environment;
mod output;
mod process;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, eaccess};
use thiserror::Error;
use tokio::time::Instant;

use self::command::Command;
use self::directory::DirectoryError;
use self::environment::HookEnv;
use self::output::Tail;
use self::process::{End, Printed, Process, Streams};
use crate::model::fault::Fault;

/// A program to run, with its arguments and the time it may take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hook {
    argv: Vec<OsString>,
    /// What messages call it, where that is not the program of `argv`.
    name: Option<PathBuf>,
    limit: Duration,
    grace: Duration,
}

impl Hook {
    const LIMIT: Duration = Duration::from_secs(300);
    /// Between asking a program to stop and killing it.
    const GRACE: Duration = Duration::from_secs(10);

    pub(super) fn new(argv: Vec<OsString>) -> Self {
        Self { argv, name: None, limit: Self::LIMIT, grace: Self::GRACE }
    }

    fn at(path: &Path) -> Self {
        Self::new(vec![path.into()])
    }

    /// Sets the time it may take.
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Sets what messages call it: a script that a shell is told to read.
    pub(crate) fn called(self, name: &Path) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Adds arguments.
    pub(crate) fn with(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.argv.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// What it is called as a target: the same whether it stands in `targets`, in `[hooks]`, or in
    /// a directory.
    pub(crate) fn label(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|word| word.to_string_lossy()).collect();
        let line = shlex::try_join(words.iter().map(AsRef::as_ref));
        format!("hook:{}", line.expect("the words of a command hold no NUL"))
    }

    /// The program as messages name it.
    pub(crate) fn program(&self) -> String {
        let name = self.name.as_deref().map(Path::as_os_str);
        let program = name.or(self.argv.first().map(OsString::as_os_str)).unwrap_or_default();
        program.to_string_lossy().escape_debug().to_string()
    }

    /// Refuses a program that is not there or may not be executed, as the kernel would.
    pub(crate) fn check(&self) -> Result<(), HookError> {
        let program = self.argv.first().map(Path::new).unwrap_or(Path::new(""));
        let candidates: Vec<PathBuf> = match program.is_absolute() {
            true => vec![program.to_owned()],
            false => HookEnv::PATH.split(':').map(|dir| Path::new(dir).join(program)).collect(),
        };
        let there: Vec<_> = candidates.iter().filter(|path| path.exists()).collect();
        let may_run = |path: &Path| path.is_file() && eaccess(path, AccessFlags::X_OK).is_ok();
        if there.iter().any(|path| may_run(path)) {
            return Ok(());
        }
        let program = self.program();
        Err(match there.is_empty() {
            true => HookError::Missing { program },
            false => HookError::NotExecutable { program },
        })
    }
}

impl From<&Command> for Hook {
    fn from(command: &Command) -> Self {
        Self::new(command.argv().iter().map(OsString::from).collect())
    }
}

/// What a hook that ended well has to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HookReport {
    /// The last of what it printed, standard output and error together, safe for a terminal.
    pub(crate) output: String,
    pub(crate) took: Duration,
}

/// Why a program did not do its work; `output` is as in [`HookReport`].
#[derive(Debug, Error)]
pub(crate) enum HookError {
    #[error("{program} does not exist")]
    Missing { program: String },
    #[error("{program} is no program and does not begin with `#!` and an interpreter that exists")]
    NoInterpreter { program: String },
    #[error("{program} may not be executed")]
    NotExecutable { program: String },
    #[error("{program} could not be run")]
    Start { program: String, source: io::Error },
    #[error("{program} ended with exit code {code}")]
    Exited { program: String, code: i32, output: String },
    #[error("{program} was killed by {signal}")]
    Killed { program: String, signal: String, output: String },
    #[error("{program} was stopped because it took longer than {} s", limit.as_secs_f32())]
    TimedOut { program: String, limit: Duration, output: String },
    #[error("{program} printed more than {limit} bytes")]
    TooMuch { program: String, limit: usize },
    #[error("{program} is not run, as others may change it: {why}")]
    Unsafe { program: String, why: Box<DirectoryError> },
}

impl HookError {
    pub(crate) fn program(&self) -> &str {
        match self {
            Self::Missing { program }
            | Self::NoInterpreter { program }
            | Self::NotExecutable { program }
            | Self::Start { program, .. }
            | Self::Exited { program, .. }
            | Self::Killed { program, .. }
            | Self::TimedOut { program, .. }
            | Self::TooMuch { program, .. }
            | Self::Unsafe { program, .. } => program,
        }
    }

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
        match self {
            Self::Missing { program } if program.starts_with('/') => {
                Some("correct its path, or install it".to_owned())
            }
            Self::Missing { .. } => {
                Some(format!("give an absolute path, or a name to be found in {}", HookEnv::PATH))
            }
            Self::NoInterpreter { .. } => {
                Some("let the first line be #!/bin/sh, without a carriage return".to_owned())
            }
            Self::NotExecutable { program } => Some(format!("chmod +x {program}")),
            Self::TimedOut { .. } => Some(
                "a program that stays must go to the background by itself and redirect its output"
                    .to_owned(),
            ),
            Self::Unsafe { why, .. } => why.hint(),
            _ => None,
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Missing { .. }
            | Self::NoInterpreter { .. }
            | Self::NotExecutable { .. }
            | Self::TooMuch { .. }
            | Self::Unsafe { .. } => Fault::Permanent,
            Self::Start { .. }
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::TimedOut { .. } => Fault::Passing,
        }
    }

    fn from_start(hook: &Hook, source: io::Error) -> Self {
        let program = hook.program();
        let path = hook.argv.first().map(Path::new);
        let is_there = path.is_some_and(|path| path.is_absolute() && path.exists());
        match source.kind() {
            io::ErrorKind::NotFound if is_there => Self::NoInterpreter { program },
            io::ErrorKind::NotFound => Self::Missing { program },
            io::ErrorKind::PermissionDenied => Self::NotExecutable { program },
            _ if source.raw_os_error() == Some(nix::errno::Errno::ENOEXEC as i32) => {
                Self::NoInterpreter { program }
            }
            _ => Self::Start { program, source },
        }
    }

    /// `None` for the one end that is success.
    fn from_end(hook: &Hook, end: &End, output: &str) -> Option<Self> {
        let (program, output) = (hook.program(), output.to_owned());
        let status = match end {
            End::TimedOut => return Some(Self::TimedOut { program, limit: hook.limit, output }),
            End::Exited(status) => status,
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(Self::Exited { program, code, output }),
            (None, number) => {
                let number = number.unwrap_or_default();
                let name = Signal::try_from(number).map(Signal::as_str);
                let signal = name.map_or_else(|_| format!("signal {number}"), str::to_owned);
                Some(Self::Killed { program, signal, output })
            }
        }
    }
}

/// Runs a hook to its end, in `/`, with nothing on standard input, as the leader of a process
/// group of its own. The umask is the agent's own: what a hook creates is private unless it says
/// otherwise.
///
/// At the limit the whole group is asked to stop, then killed; dropping the future kills it at
/// once. Anything but exit code 0 is an error.
pub(crate) async fn run(hook: &Hook, env: &HookEnv) -> Result<HookReport, HookError> {
    let begun = Instant::now();
    let (end, printed) = carry_out(hook, env, Streams::Both).await?;
    let output = printed.output.into_printable(&env.unspeakable());
    match HookError::from_end(hook, &end, &output) {
        Some(error) => Err(error),
        None => Ok(HookReport { output, took: begun.elapsed() }),
    }
}

/// Runs a program for what it prints on standard output, and for what it says on standard error.
///
/// As [`run`], but the errors hold only what was said, and more than a little is an error.
pub(crate) async fn consult(
    hook: &Hook,
    env: &HookEnv,
) -> Result<(Vec<u8>, HookReport), HookError> {
    let begun = Instant::now();
    let (end, printed) = carry_out(hook, env, Streams::Apart).await?;
    let output = printed.errors.into_printable(&env.unspeakable());
    if let Some(error) = HookError::from_end(hook, &end, &output) {
        return Err(error);
    }
    let too_much = || HookError::TooMuch { program: hook.program(), limit: Tail::LIMIT };
    let answer = printed.output.into_whole().ok_or_else(too_much)?;
    Ok((answer, HookReport { output, took: begun.elapsed() }))
}

/// Runs a program for what it prints on standard output, such as a secret.
///
/// As [`run`], but the errors hold nothing of the output, and more than a little is an error.
pub(crate) async fn capture(hook: &Hook, env: &HookEnv) -> Result<Vec<u8>, HookError> {
    let (end, printed) = carry_out(hook, env, Streams::OutputOnly).await?;
    match HookError::from_end(hook, &end, "") {
        Some(error) => Err(error),
        None => printed
            .output
            .into_whole()
            .ok_or_else(|| HookError::TooMuch { program: hook.program(), limit: Tail::LIMIT }),
    }
}

async fn carry_out(
    hook: &Hook,
    env: &HookEnv,
    streams: Streams,
) -> Result<(End, Printed), HookError> {
    let process = Process::start(&hook.argv, env, streams)
        .map_err(|source| HookError::from_start(hook, source))?;
    let ended = process.finish(hook.limit, hook.grace).await;
    ended.map_err(|source| HookError::Start { program: hook.program(), source })
}

#[cfg(test)]
pub(crate) mod tests;
