//! What the embedded CA needs to be told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::behaviour::Behaviour;
use crate::model::challenge::ValidationPorts;
use crate::model::time::Clock;

/// Everything that may differ between two embedded CAs.
pub(crate) struct Settings {
    /// Where to listen; a loopback address, port 0 for any free one.
    pub(crate) listen: SocketAddr,
    /// Keys, accounts and issued certificates live here; made (0700) when missing.
    ///
    /// Any number of processes may use one directory, one after the other or at once: they are one CA.
    pub(crate) dir: PathBuf,
    /// Where answers to challenges are looked for.
    pub(crate) ports: Arc<ValidationPorts>,
    /// The name server to ask, before the one of the behaviour; a loopback address.
    pub(crate) dns_server: Option<SocketAddr>,
    /// External account keys by key identifier (RFC 8555 §7.3.4); when not empty, one of them is required.
    pub(crate) eab: BTreeMap<String, Zeroizing<Vec<u8>>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) behaviour: Behaviour,
}
