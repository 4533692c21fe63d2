//! cli
pub(crate) mod args;
pub(crate) mod exit;
pub(crate) mod report;
