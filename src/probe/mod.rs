//! Floor 4: what a client sees.
//!
//! [`cells::cells`] says where to look, [`look`] looks, [`judge`] says what to think of it: of one
//! sight, of a cell before and after a switch, of the counters of real traffic. [`revocation`] asks
//! the CA's own list. Nothing a server or a CA's list says is believed before it is verified, and
//! all of it is bounded in size and in time.

pub(crate) mod cells;
pub(crate) mod handshake;
pub(crate) mod judge;
pub(crate) mod look;
pub(crate) mod revocation;
pub(crate) mod visit;

mod resolve;
#[cfg(test)]
mod sample;
mod starttls;
mod witness;
