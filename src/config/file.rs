//! Small files read with care: bounded, regular, and in the right hands.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a file was not read.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}", path = path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a regular file", path = path.display())]
    NotRegular { path: PathBuf },
    #[error("{path} is larger than {limit} bytes", path = path.display())]
    TooLarge { path: PathBuf, limit: usize },
    #[error("{path} is not UTF-8 text", path = path.display())]
    NotText { path: PathBuf },
    #[error("{path} belongs to user {owner}, who is neither root nor this one", path = path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("{path} has mode {mode:04o}: others may {what} it", path = path.display())]
    Mode { path: PathBuf, mode: u32, what: &'static str },
}
