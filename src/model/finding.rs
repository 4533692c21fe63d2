//! What an inspection found.

use serde::Serialize;

/// How bad it is; the numbers are the exit codes of monitoring plugins, where 3 is "unknown".
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    Ok,
    Warning,
    Critical,
}

/// One thing that was looked at and what it means.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// The certificate, endpoint or file.
    pub(crate) subject: String,
    /// A word for programs, as in `expiry`.
    pub(crate) reason: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}
