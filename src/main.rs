//! The doorbell: collects the arguments, calls [`acmeagent::run`], returns its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    acmeagent::run(std::env::args_os())
}
