//! Floor 7: the real pipeline against a CA of our own.

pub(crate) mod ca;
