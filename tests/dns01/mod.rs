//! dns-01 from end to end: real name servers on port 53 of a network of the test's own, and Pebble,
//! which asks a resolver in it.

mod doctor;
mod embedded_ca;
mod issue;
mod lag;
mod many;
mod refused;
mod scripts;
pub mod world;
