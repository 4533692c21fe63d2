//! One binary for all integration tests.

// What a test cannot do it should fail loudly at, what it counts it prints, and nothing here is
// anybody's interface.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, unreachable_pub)]

mod account;
mod alerts;
mod bad_input;
mod bad_names;
mod cadence;
mod canary;
mod certbot;
mod check;
mod clock;
#[cfg(target_arch = "x86_64")]
mod crash;
mod deploy;
mod deploy_queue;
#[cfg(target_arch = "x86_64")]
mod disk;
mod dns01;
mod dns_hooks;
mod dns_settings;
mod doctor;
mod doctor_network;
mod drill;
mod failover;
mod fallback;
mod floors;
mod generated;
mod heartbeat;
mod history;
mod hooks;
mod hostile;
mod interrupted;
mod issue;
mod json;
mod ladder;
mod limits;
mod locks;
mod log;
mod metrics;
mod month;
mod nonroot;
mod packaging;
mod page;
mod pebble;
mod permissions;
mod persist;
#[cfg(target_arch = "x86_64")]
mod powercut;
mod renew;
mod rollback;
mod rollout;
mod self_test;
mod servers;
mod snapshot;
mod stay;
mod support;
mod tally;
mod upstream;

/// What watches every change of the disk reads the registers of one processor only.
#[cfg(not(target_arch = "x86_64"))]
#[test]
fn crashes_and_failing_disks() {
    support::tools::cannot_run("crash, disk and powercut are tried on x86-64 only");
}

/// A test file that is not listed above would be compiled by nobody and pass for ever.
#[test]
fn no_test_file_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.join("mod.rs").exists() || path.extension().is_some_and(|e| e == "rs");
        if is_module && name != "main" {
            assert!(
                listed.contains(&format!("mod {name};\n")),
                "tests/{name} is not listed in tests/main.rs"
            );
        }
    }
}
