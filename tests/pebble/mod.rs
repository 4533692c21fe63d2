//! The agent against a real Pebble: our own CA may share our errors.

mod account;
mod issue;
mod order;
mod renew;
mod revoke;

use crate::support::pebble::Pebble;

/// How a verb that has no settings to go by is told which CA is meant.
fn at<'a>(pebble: &'a Pebble, args: &[&'a str]) -> Vec<&'a str> {
    let ca = ["--server", &pebble.directory, "--ca-root", pebble.tls_root.to_str().unwrap()];
    [args, &ca].concat()
}
