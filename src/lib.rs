//! Certificate-renewal agent for the age of 6-day certificates.

mod acme;
mod agent;
mod certificate;
mod challenge;
mod cli;
mod config;
mod deploy;
mod drill;
mod model;
mod pipeline;
mod probe;
mod schedule;
mod store;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line and returns its exit code.
pub fn run(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
