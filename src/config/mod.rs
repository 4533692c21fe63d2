//! Floor 5: files to typed settings, and typed settings back into files that people edit.
//!
//! One file per certificate ([`CertSettings`]) and one for the machine ([`MainSettings`]). A
//! certificate's file stands alone: the defaults of `acmeagent.toml` are copied into it when it is
//! first written, so changing them later changes no existing certificate. Unknown keys are refused
//! with the nearest known one; every complaint names file, line and column.

mod cert;
mod choice;
mod file;
mod main_settings;
mod reader;
mod secret;
mod writer;

pub(crate) use cert::{CertSettings, Contradiction};
pub(crate) use choice::{
    AbsolutePath, CaChoice, CaName, ChoiceError, Eab, Email, Hooks, Http01, KeyKind, Permissions,
    Profile,
};
pub(crate) use file::FileError;
pub(crate) use main_settings::{CaTable, MainSettings};
pub(crate) use reader::{ConfigError, Place};
pub(crate) use secret::{Secret, SecretError, SecretPlaces, SecretSource};
