//! Floor 5: files to typed settings, and typed settings back into files that people edit.
//!
//! One file per certificate ([`cert::CertSettings`]) and one for the machine
//! ([`main_settings::MainSettings`]). A certificate's file stands alone: the defaults of
//! `acmeagent.toml` are copied into it when it is first written, so changing them later changes no
//! existing certificate. Unknown keys are refused with the nearest known one; every complaint names
//! file, line and column.

pub(crate) mod alert;
pub(crate) mod cert;
pub(crate) mod choice;
pub(crate) mod dns;
pub(crate) mod file;
pub(crate) mod heartbeat;
mod keys;
pub(crate) mod main_settings;
pub(crate) mod metrics;
pub(crate) mod reader;
mod rollout;
pub(crate) mod secret;
pub(crate) mod target;
pub(crate) mod verify;
mod writer;
