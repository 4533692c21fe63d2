//! Floor 4: what a client sees.

pub(crate) mod handshake;
