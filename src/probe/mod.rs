//! Floor 4: what a client sees.

pub(crate) mod dns;
pub(crate) mod handshake;
pub(crate) mod host_port;
mod witness;
