//! The life of a listener: open while an answer is pending, shared by all that are.

use std::net::IpAddr;

/// Which addresses of this host a solver listens on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Listen {
    /// Every address, IPv6 and IPv4, as far as the host has them.
    Everywhere,
    /// `127.0.0.1` and `::1`, as far as the host has them.
    Loopback,
    /// Exactly this address.
    At(IpAddr),
}
