//! How a certificate's part of a run ended.

/// The ends there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Renewed,
    /// Issued into the archive; what is live is pinned.
    Stocked,
    /// A generation of the archive was put into service.
    Deployed,
    NotDue,
    /// Being rolled out: what was reached is watched, or waits for a person.
    Soaking,
    /// To be tried again at the stored time.
    Retry,
    NotDeployed,
    RolledBack,
    /// What is live is wrong.
    NeedsOperator,
    /// Failed, and trying again will not help.
    Failed,
    /// Another run holds it.
    Locked,
}

impl Ended {
    pub(crate) const ALL: [Self; 11] = [
        Self::Renewed,
        Self::Stocked,
        Self::Deployed,
        Self::NotDue,
        Self::Soaking,
        Self::Retry,
        Self::NotDeployed,
        Self::RolledBack,
        Self::NeedsOperator,
        Self::Failed,
        Self::Locked,
    ];

    /// Its name in metrics, logs and the history.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Stocked => "stocked",
            Self::Deployed => "deployed",
            Self::NotDue => "not_due",
            Self::Soaking => "soaking",
            Self::Retry => "retry",
            Self::NotDeployed => "not_deployed",
            Self::RolledBack => "rolled_back",
            Self::NeedsOperator => "needs_operator",
            Self::Failed => "failed",
            Self::Locked => "locked",
        }
    }
}
