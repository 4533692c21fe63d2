//! The entries of the archive and the copies taken before a switch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One write-once entry of the archive; they count from 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) const FIRST: Self = Self(1);

    /// Refuses 0.
    pub(crate) fn new(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The folder name of a snapshot: its time and a few letters, as in `20261122T000000Z-k3f9`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SnapshotId(String);

impl SnapshotId {
    /// Takes 1 to 64 ASCII letters, digits and hyphens, not beginning with a hyphen.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let fits = (1..=64).contains(&text.len()) && !text.starts_with('-');
        (fits && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a snapshot id")
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}
