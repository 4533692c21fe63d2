//! Floor 1: the nouns. Everything here is a value; nothing reads a clock, a disk or a network.

pub(crate) mod challenge;
pub(crate) mod ended;
pub(crate) mod endpoint;
pub(crate) mod event;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod finding;
pub(crate) mod generation;
pub(crate) mod history;
pub(crate) mod host_port;
pub(crate) mod name;
pub(crate) mod outlook;
pub(crate) mod persist;
pub(crate) mod printable;
pub(crate) mod proof;
pub(crate) mod tally;
pub(crate) mod time;
pub(crate) mod traffic;
pub(crate) mod txt;
pub(crate) mod word;
