//! Who holds a port: what `/proc` tells of it.

use std::fmt;

/// The process that listens on a port, as far as this one may know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PortHolder {
    Process { pid: u32, name: String },
    Unknown,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "{} (process {pid})", name.escape_debug()),
            Self::Unknown => f.write_str("another process"),
        }
    }
}
