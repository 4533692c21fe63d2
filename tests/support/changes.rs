//! Runs the agent and decides about every change it makes to its home: let it pass, let it fail,
//! or let it be the last.
//!
//! strace can inject faults too, but counts calls per thread, and a renewal moves between threads.
//! Here a change counts whichever thread and whichever call makes it.

use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::agent::Ran;

/// A call that is about to change something below the home.
#[derive(Clone, Debug)]
pub struct Change {
    /// The system call, without the letters that tell its variants apart: `rename`, `fsync`.
    pub call: &'static str,
    /// Relative to the home; of two paths the new one.
    pub path: String,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Passes,
    Fails(Errno),
    /// The process is killed, and the change not made.
    Dies,
}

/// What a run came to, and every change it tried that did not pass.
#[derive(Debug)]
pub struct Watched {
    pub ran: Ran,
    pub changes: usize,
    pub stopped: Vec<Change>,
}

/// Runs a command to its end; `fate` decides about every change below `home`.
pub fn watch(command: &Command, home: &Path, fate: impl FnMut(&Change) -> Fate + Send) -> Watched {
    // A thread of its own, because it waits for whatever child of this thread stops.
    std::thread::scope(|scope| {
        scope.spawn(|| Watch::start(command, home, fate).follow()).join().unwrap()
    })
}

struct Watch<F> {
    home: String,
    fate: F,
    child: Child,
    output: [std::fs::File; 2],
    /// What lies below the home and is open.
    open: HashMap<u64, String>,
    /// Threads on their way through a call: what they open, what they are to be told.
    opening: HashMap<Pid, String>,
    failing: HashMap<Pid, Errno>,
    changes: usize,
    stopped: Vec<Change>,
}

impl<F: FnMut(&Change) -> Fate> Watch<F> {
    /// Starts the program behind a shell that waits until it is watched.
    fn start(command: &Command, home: &Path, fate: F) -> Self {
        let output = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "read -r go && exec \"$@\"", "sh"]).arg(command.get_program());
        shell.args(command.get_args()).env_clear();
        shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell.stdin(Stdio::piped()).stdout(output[0].try_clone().unwrap());
        let mut child = shell.stderr(output[1].try_clone().unwrap()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options).expect("a child may be traced");
        ptrace::interrupt(pid).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        Self {
            home: format!("{}/", home.to_str().unwrap()),
            fate,
            child,
            output,
            open: HashMap::new(),
            opening: HashMap::new(),
            failing: HashMap::new(),
            changes: 0,
            stopped: Vec::new(),
        }
    }

    fn leader(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    fn follow(mut self) -> Watched {
        let mine = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            let (thread, signal) = match waitpid(None, Some(mine)).unwrap() {
                WaitStatus::Exited(pid, code) if pid == self.leader() => return self.end(code),
                WaitStatus::Signaled(pid, ..) if pid == self.leader() => return self.end(-1),
                WaitStatus::PtraceSyscall(thread) => {
                    match self.at_call(thread) {
                        // Gone while it was looked at: a thread of a killed process.
                        Ok(()) | Err(Errno::ESRCH) => (thread, None),
                        Err(error) => panic!("cannot watch {thread}: {error}"),
                    }
                }
                WaitStatus::PtraceEvent(thread, ..) => (thread, None),
                WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
                _ => continue,
            };
            match ptrace::syscall(thread, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => panic!("cannot let {thread} go on: {error}"),
            }
        }
    }

    fn end(self, code: i32) -> Watched {
        let [stdout, stderr] = self.output.map(|mut file| {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        });
        let ran = Ran { code, stdout, stderr };
        Watched { ran, changes: self.changes, stopped: self.stopped }
    }

    fn at_call(&mut self, thread: Pid) -> nix::Result<()> {
        match ptrace::syscall_info(thread)?.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => self.enter(thread),
            libc::PTRACE_SYSCALL_INFO_EXIT => self.leave(thread),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, thread: Pid) -> nix::Result<()> {
        let mut registers = ptrace::getregs(thread)?;
        let Some((call, object)) = call(&registers) else { return Ok(()) };
        let path = match object {
            Object::Path(address) => self.below_home(&read_text(thread, address)?),
            Object::Below(folder, address) => {
                let path = read_text(thread, address)?;
                let folder = self.open.get(&folder).filter(|_| !path.starts_with('/'));
                folder.map(|folder| format!("{folder}/{path}")).or_else(|| self.below_home(&path))
            }
            Object::File(number) => self.open.get(&number).cloned(),
        };
        let Some(path) = path else { return Ok(()) };
        match call {
            CLOSE => drop(self.open.remove(&registers.rdi)),
            OPEN | CREATE => drop(self.opening.insert(thread, path.clone())),
            _ => {}
        }
        if matches!(call, CLOSE | OPEN) {
            return Ok(());
        }
        self.changes += 1;
        let change = Change { call, path };
        let fate = (self.fate)(&change);
        if matches!(fate, Fate::Passes) {
            return Ok(());
        }
        self.stopped.push(change);
        // No system call has this number: the kernel does nothing.
        registers.orig_rax = u64::MAX;
        ptrace::setregs(thread, registers)?;
        match fate {
            Fate::Fails(errno) => drop(self.failing.insert(thread, errno)),
            _ => kill(self.leader(), Signal::SIGKILL)?,
        }
        Ok(())
    }

    fn leave(&mut self, thread: Pid) -> nix::Result<()> {
        let (opening, failing) = (self.opening.remove(&thread), self.failing.remove(&thread));
        if opening.is_none() && failing.is_none() {
            return Ok(());
        }
        let mut registers = ptrace::getregs(thread)?;
        if let Some(errno) = failing {
            registers.rax = (-i64::from(errno as i32)).cast_unsigned();
            return ptrace::setregs(thread, registers);
        }
        if let Some(path) = opening.filter(|_| registers.rax.cast_signed() >= 0) {
            self.open.insert(registers.rax, path);
        }
        Ok(())
    }

    fn below_home(&self, path: &str) -> Option<String> {
        path.strip_prefix(&self.home).map(str::to_owned)
    }
}

/// What a call is about.
enum Object {
    /// Where in the process its path stands.
    Path(u64),
    /// The same of a path that may be relative to an open folder.
    Below(u64, u64),
    /// The number of an open file.
    File(u64),
}

const CLOSE: &str = "close";
const OPEN: &str = "open";
const CREATE: &str = "create";

/// Reads which call this is, if it is one that matters here (the numbers are those of x86-64).
fn call(registers: &user_regs_struct) -> Option<(&'static str, Object)> {
    use Object::{Below, File, Path};
    let user_regs_struct { rdi, rsi, rdx, r10, .. } = *registers;
    let opening = |flags: u64| {
        if flags & u64::from(libc::O_CREAT.cast_unsigned()) == 0 { OPEN } else { CREATE }
    };
    Some(match registers.orig_rax.cast_signed() {
        libc::SYS_close => (CLOSE, File(rdi)),
        libc::SYS_open => (opening(rsi), Path(rdi)),
        libc::SYS_openat => (opening(rdx), Below(rdi, rsi)),
        libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 => ("write", File(rdi)),
        libc::SYS_ftruncate => ("truncate", File(rdi)),
        libc::SYS_fallocate => ("fallocate", File(rdi)),
        libc::SYS_fsync | libc::SYS_fdatasync => ("fsync", File(rdi)),
        libc::SYS_fchmod => ("chmod", File(rdi)),
        libc::SYS_fchown => ("chown", File(rdi)),
        libc::SYS_mkdir => ("mkdir", Path(rdi)),
        libc::SYS_mkdirat => ("mkdir", Below(rdi, rsi)),
        libc::SYS_rmdir | libc::SYS_unlink => ("unlink", Path(rdi)),
        libc::SYS_unlinkat => ("unlink", Below(rdi, rsi)),
        libc::SYS_link => ("link", Path(rsi)),
        libc::SYS_linkat => ("link", Below(rdx, r10)),
        libc::SYS_rename => ("rename", Path(rsi)),
        libc::SYS_renameat => ("rename", Below(rdx, r10)),
        libc::SYS_renameat2 if registers.r8 & u64::from(libc::RENAME_EXCHANGE) != 0 => {
            ("exchange", Below(rdx, r10))
        }
        libc::SYS_renameat2 => ("rename", Below(rdx, r10)),
        _ => return None,
    })
}

/// Reads a text that ends with a zero byte out of a stopped process.
fn read_text(thread: Pid, address: u64) -> nix::Result<String> {
    let mut bytes = Vec::new();
    for word in (address..).step_by(8) {
        let word = ptrace::read(thread, ptr::without_provenance_mut(word.try_into().unwrap()))?;
        let word = word.to_ne_bytes();
        bytes.extend(word.iter().take_while(|byte| **byte != 0));
        if word.contains(&0) {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
