//! A program and everything it forked, as one process group.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::environment::HookEnv;
use super::output::{Output, Tail};

/// What of a program's output is read.
#[derive(Clone, Copy)]
pub(super) enum Streams {
    /// Standard output and standard error, in the order in which they are written.
    Both,
    /// Standard output; what goes to standard error is lost.
    OutputOnly,
    /// Each by itself.
    Apart,
}

/// What a program printed.
pub(super) struct Printed {
    /// On standard output, or on both.
    pub(super) output: Tail,
    /// On standard error, where that is read by itself.
    pub(super) errors: Tail,
}

/// How a program came to its end.
pub(super) enum End {
    Exited(ExitStatus),
    TimedOut,
}

/// A running program that leads a process group of its own; dropping it kills the group.
pub(super) struct Process {
    // Declared first, so that it is dropped while the leader is not yet reaped and its number
    // cannot belong to anybody else.
    group: Group,
    child: Child,
    output: Output,
    errors: Option<Output>,
}

impl Process {
    /// How long output is still read after the program itself has ended: what it left running
    /// may hold the pipe open for ever.
    const AFTERMATH: Duration = Duration::from_millis(200);

    /// Starts `argv` in `/` with that environment and nothing on standard input.
    pub(super) fn start(argv: &[OsString], env: &HookEnv, streams: Streams) -> io::Result<Self> {
        let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (reader, writer) = io::pipe()?;
        let output = Output::new(OwnedFd::from(reader))?;
        let (stderr, errors) = match streams {
            Streams::Both => (Stdio::from(writer.try_clone()?), None),
            Streams::OutputOnly => (Stdio::null(), None),
            Streams::Apart => {
                let (reader, writer) = io::pipe()?;
                (Stdio::from(writer), Some(Output::new(OwnedFd::from(reader))?))
            }
        };
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env.variables())
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(stderr)
            .spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = leader.expect("a child that was never waited for has its id");
        Ok(Self { group: Group(Some(Pid::from_raw(leader))), child, output, errors })
    }

    /// Waits for the program, not for what it left running; stops the whole group at `limit`.
    ///
    /// Stopping asks first and kills what is still there after `grace`.
    pub(super) async fn finish(
        mut self,
        limit: Duration,
        grace: Duration,
    ) -> io::Result<(End, Printed)> {
        let end = match timeout(limit, self.wait()).await {
            Ok(status) => End::Exited(status?),
            Err(_) => {
                self.group.signal(Signal::SIGTERM);
                let _ = timeout(grace, self.wait()).await;
                self.group.signal(Signal::SIGKILL);
                // Bounded, as a program stuck in the kernel dies only when the kernel lets it.
                let _ = timeout(grace, self.wait()).await;
                End::TimedOut
            }
        };
        self.group.release();
        let _ = timeout(Self::AFTERMATH, self.read_to_end()).await;
        let errors = self.errors.map(Output::into_tail).unwrap_or_default();
        Ok((end, Printed { output: self.output.into_tail(), errors }))
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let wait = self.output.draining(self.child.wait());
        match &mut self.errors {
            Some(errors) => errors.draining(wait).await,
            None => wait.await,
        }
    }

    async fn read_to_end(&mut self) {
        match &mut self.errors {
            Some(errors) => drop(tokio::join!(self.output.read_to_end(), errors.read_to_end())),
            None => self.output.read_to_end().await,
        }
    }
}

/// The process group of a program, killed when dropped unless released.
struct Group(Option<Pid>);

impl Group {
    /// Signals every member; there may be none any more.
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            let _ = killpg(leader, signal);
        }
    }

    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
