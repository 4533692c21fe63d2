//! agent
pub(crate) mod clock;
