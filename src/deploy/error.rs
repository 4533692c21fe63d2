//! Why a target did not take a certificate.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::hook::HookError;
use crate::model::fault::Fault;

/// What a target or its server said, or why it could not be asked.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    #[error(transparent)]
    Hook(#[from] HookError),
    /// It said no. `output` is the end of what it printed, safe for a terminal.
    #[error("{target}: {what}")]
    Refused { target: String, what: String, output: String, hint: Option<String> },
    #[error("{target}: {what} took longer than {} s", after.as_secs_f32().round())]
    TimedOut { target: String, what: &'static str, after: Duration },
    #[error("{target}: cannot {what}")]
    Io { target: String, what: String, source: io::Error },
}

impl TargetError {
    /// Whether nobody listens where it is asked: its server does not run.
    pub(super) fn is_nobody(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(self, Self::Io { source, .. } if [ConnectionRefused, NotFound].contains(&source.kind()))
    }

    /// The label of the target.
    pub(crate) fn target(&self) -> String {
        match self {
            Self::Hook(error) => format!("hook:{}", error.program()),
            Self::Refused { target, .. }
            | Self::TimedOut { target, .. }
            | Self::Io { target, .. } => target.clone(),
        }
    }

    /// The word by which it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Hook(_) => "hook",
            Self::Refused { .. } | Self::TimedOut { .. } | Self::Io { .. } => "target",
        }
    }

    /// The end of what a program printed before it failed.
    pub(crate) fn output(&self) -> Option<&str> {
        match self {
            Self::Hook(error) => error.output(),
            Self::Refused { output, .. } => Some(output),
            Self::TimedOut { .. } | Self::Io { .. } => None,
        }
    }

    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Hook(error) => error.hint(),
            Self::Refused { hint, .. } => hint.clone(),
            Self::TimedOut { .. } | Self::Io { .. } => None,
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Hook(error) => error.fault(),
            Self::Refused { .. } | Self::TimedOut { .. } | Self::Io { .. } => Fault::Passing,
        }
    }
}

/// Text of a server as people may see it: without what moves a cursor, turns the writing direction
/// or goes on without end.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 4096;
    let mut shown = String::new();
    for sign in text.trim().chars().take(LONGEST) {
        match sign {
            '\n' | ' ' => shown.push(sign),
            _ if sign.is_ascii_graphic() || sign.is_alphanumeric() => shown.push(sign),
            _ => shown.extend(sign.escape_default()),
        }
    }
    shown
}
