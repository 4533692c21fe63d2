//! Real rustls clients against a server whose certificates change.

// What a test cannot do it should fail loudly at, and nothing here is anybody's interface.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod support;

mod canary;
mod challenge;
mod choice;
mod counters;
mod example;
mod pairs;
mod place;
mod requests;
mod swap;
mod watch;
