//! Starts the real things and ends them: the agent, CAs, servers, programs.

pub mod agent;
pub mod browser;
pub mod ca;
#[cfg(target_arch = "x86_64")]
pub mod changes;
pub mod clients;
pub mod clock;
pub mod haproxy;
pub mod home;
pub mod hostile;
pub mod knot;
pub mod machine;
pub mod mount;
pub mod named;
pub mod network;
pub mod nginx;
pub mod package;
pub mod pebble;
mod ports;
pub mod prometheus;
pub mod receiver;
pub mod reload;
pub mod tls;
pub mod tools;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use agent::Ran;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
pub(crate) use ports::free_ports;

/// How long anything may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until `holds`, or fails the test with what was waited for.
#[track_caller]
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes a shell script that may be run.
pub fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\nset -eu\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A child process that ends with the test, by its own pid.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// Waits for the end, and says what it came to.
    pub fn ends(mut self) -> Ran {
        let mut texts = [Vec::new(), Vec::new()];
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_end(&mut texts[0]).unwrap();
        }
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_end(&mut texts[1]).unwrap();
        }
        let [stdout, stderr] = texts;
        Ran::of(Output { status: self.0.wait().unwrap(), stdout, stderr })
    }

    /// Ends it at once (SIGKILL) if it still runs.
    pub fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
