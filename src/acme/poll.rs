//! When to look again.

use std::time::Duration;

/// How long validation, and then issuance, may take by default.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
