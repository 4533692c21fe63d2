//! One run of a program, measured from outside.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// What one run cost, or several one after the other.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub wall: Duration,
    pub cpu: Duration,
    /// Of the largest process among those that were waited for.
    pub peak_kib: u64,
}

impl Cost {
    fn and_then(self, next: Self) -> Self {
        Self {
            wall: self.wall + next.wall,
            cpu: self.cpu + next.cpu,
            peak_kib: self.peak_kib.max(next.peak_kib),
        }
    }
}

/// The first argument that makes this program measure one run of another.
const MEASURE: &str = "--measure";

/// Runs the commands one after the other; each must end well.
///
/// The kernel's figures on children are sums and maxima over all of them, so each run is measured
/// by a process of its own: this program again.
pub fn cost(commands: &[Command]) -> Cost {
    commands.iter().map(cost_of_one).fold(Cost::default(), Cost::and_then)
}

fn cost_of_one(command: &Command) -> Cost {
    let mut measuring = Command::new(std::env::current_exe().unwrap());
    measuring.arg(MEASURE).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        measuring.env(name, value.unwrap());
    }
    let output = measuring.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
    let figures = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<u64> = figures.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [wall, cpu, peak_kib] = figures[..] else { panic!("{figures:?} are not three figures") };
    Cost { wall: Duration::from_micros(wall), cpu: Duration::from_micros(cpu), peak_kib }
}

/// Does the measuring where this process was started for it. What the program says goes to
/// standard error; standard output has the figures.
pub fn measure_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    args.next().filter(|first| first == MEASURE)?;
    let args: Vec<OsString> = args.collect();
    let out = Stdio::from(io::stderr().as_fd().try_clone_to_owned().unwrap());
    let started = Instant::now();
    let status = Command::new(&args[0]).args(&args[1..]).stdin(Stdio::null()).stdout(out).status();
    let wall = started.elapsed();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let cpu = micros(used.user_time()) + micros(used.system_time());
    println!("{} {cpu} {}", wall.as_micros(), used.max_rss());
    Some(if status.unwrap().success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
