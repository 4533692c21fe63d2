#![doc = include_str!("../README.md")]
//! # The modules
//! `pair` reads a chain with its key, or refuses it. `table` is what is served to whom, a value; its entries know
//! what may follow what. `live` exchanges tables while rustls reads them. Who changes them is `socket` or `watch`.
//! `handshake` brings how it ended to `counters`, and `stats` shows them.
#![warn(missing_docs)]

mod builder;
mod counters;
mod handshake;
mod live;
mod pair;
pub mod socket;
mod stats;
mod table;
mod watch;

pub use crate::builder::{BuildError, Builder};
pub use crate::counters::{Bucket, Counts, Failures, Latency};
pub use crate::handshake::Handshake;
pub use crate::live::{ACME_TLS_ALPN, Change, LiveCert};
pub use crate::pair::{Fingerprint, PairError};
pub use crate::stats::{CertificateStats, Role, Stats};
pub use crate::table::ChangeError;
pub use crate::watch::{Watch, WatchError};
