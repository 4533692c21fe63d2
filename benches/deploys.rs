//! Certificates exchanged in running servers, as their clients see it: how long a rollback takes,
//! and what a change costs under load.
//!
//! No figure makes this fail; only something that does not work does. `BENCH_ROUNDS` makes fewer of
//! everything, for a look in seconds.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub
)]

#[path = "deploys/crowd.rs"]
mod crowd;
#[path = "peers/figures.rs"]
mod figures;
#[path = "deploys/load.rs"]
mod load;
#[path = "deploys/rollback.rs"]
mod rollback;
#[path = "deploys/server.rs"]
mod server;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::time::Duration;

use figures::{median, short};
use server::Kind;

const KINDS: [Kind; 3] = [Kind::Nginx, Kind::Haproxy, Kind::Rustls];

fn main() {
    let missing = KINDS.map(|kind| kind.missing());
    for why in missing.iter().flatten() {
        println!("{why}, and so not measured.");
    }
    let there: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.missing().is_none()).collect();
    rollback::measure(&there);
    load::measure(&there);
}

/// How often something is done that is usually done so often.
fn rounds(usual: usize) -> usize {
    let wished = std::env::var("BENCH_ROUNDS").ok();
    wished.map_or(usual, |text| text.parse().expect("BENCH_ROUNDS is a number"))
}

/// What else this machine had to do just before, as far as it tells.
fn conditions() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, load {load} at the beginning")
}

/// The median and the worst.
fn spread(times: &[Duration]) -> String {
    let Some(worst) = times.iter().max() else { return "none".to_owned() };
    format!("{} ({})", short(median(times.iter().copied())), short(*worst))
}
