//! Exit codes of every verb but `check`.

use serde::Serialize;

/// What a run comes to, from best to worst; the number is the process's exit code.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Exit {
    Ok = 0,
    Internal = 1,
    Config = 2,
    Retry = 3,
    Partial = 4,
    NotDeployed = 5,
    RolledBack = 6,
    Locked = 7,
    AtRisk = 8,
    ServingBad = 9,
    Store = 10,
    Refused = 11,
}

impl Exit {
    pub(crate) const ALL: [Self; 12] = [
        Self::Ok,
        Self::Internal,
        Self::Config,
        Self::Retry,
        Self::Partial,
        Self::NotDeployed,
        Self::RolledBack,
        Self::Locked,
        Self::AtRisk,
        Self::ServingBad,
        Self::Store,
        Self::Refused,
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Internal => "INTERNAL",
            Self::Config => "CONFIG",
            Self::Retry => "RETRY",
            Self::Partial => "PARTIAL",
            Self::NotDeployed => "NOT_DEPLOYED",
            Self::RolledBack => "ROLLED_BACK",
            Self::Locked => "LOCKED",
            Self::AtRisk => "AT_RISK",
            Self::ServingBad => "SERVING_BAD",
            Self::Store => "STORE",
            Self::Refused => "REFUSED",
        }
    }

    /// Whether nothing that is served is at risk by it.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::Ok | Self::Retry | Self::Partial | Self::Locked)
    }

    /// For help and manual.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "what is wanted holds: renewed, or nothing was due",
            Self::Internal => "a defect of acmeagent",
            Self::Config => "the command line or the settings are wrong",
            Self::Retry => "failed for now; what is served is not at risk; `renew` tries again",
            Self::Partial => "some certificates did, others are to be tried again",
            Self::NotDeployed => "issued, but not put to use yet; `renew` tries again",
            Self::RolledBack => "the new one could not be put to use; the previous one is back",
            Self::Locked => "another run is doing all of this",
            Self::AtRisk => "failing, and little life is left",
            Self::ServingBad => "what is served is wrong and could not be mended: act now",
            Self::Store => "the disk: full, read-only or damaged",
            Self::Refused => "refused for security, as with files that others may change",
        }
    }

    /// The code of a run over several certificates: the highest, except that good ones beside
    /// ones to be tried again are PARTIAL, and LOCKED counts only when it is all there is.
    pub(crate) fn of_all(codes: impl IntoIterator<Item = Self>) -> Self {
        let codes: Vec<Self> = codes.into_iter().collect();
        let seen = |code| codes.contains(&code);
        let unlocked = || codes.iter().copied().filter(|code| *code != Self::Locked);
        match unlocked().max() {
            None if codes.is_empty() => Self::Ok,
            None => Self::Locked,
            Some(Self::Retry) if seen(Self::Ok) => Self::Partial,
            Some(worst) => worst,
        }
    }
}

impl Serialize for Exit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named {
            code: u8,
            name: &'static str,
        }
        Named { code: self.code(), name: self.name() }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit::{self, *};

    #[test]
    fn several_certificates_have_one_code() {
        let table: [(&[Exit], Exit); 9] = [
            (&[], Ok),
            (&[Ok, Ok], Ok),
            (&[Retry], Retry),
            (&[Retry, Retry], Retry),
            (&[Ok, Retry], Partial),
            (&[Ok, Retry, RolledBack], RolledBack),
            (&[Locked, Locked], Locked),
            (&[Locked, Ok], Ok),
            (&[Locked, Retry], Retry),
        ];
        for (codes, all) in table {
            assert_eq!(Exit::of_all(codes.iter().copied()), all, "{codes:?}");
        }
    }
}
