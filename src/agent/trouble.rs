//! What can go wrong above the pipeline: settings that cannot be used, things that do not exist.

use std::path::PathBuf;

use thiserror::Error;

use crate::acme::EndedCa;
use crate::certificate::RootsError;
use crate::config::cert::Contradiction;
use crate::config::choice::ChoiceError;
use crate::config::dns::NoDns;
use crate::config::reader::ConfigError;
use crate::config::secret::SecretError;
use crate::config::target::NoTarget;
use crate::deploy::copy::WordError;
use crate::deploy::systemd::UnitNameError;
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::pipeline::Cause;
use crate::store::StoreError;

/// Why something could not be done, besides the causes a run knows.
#[derive(Debug, Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Cause(#[from] Cause),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot get the secret of the external account binding")]
    Secret(#[from] SecretError),
    #[error("cannot get the credentials of the DNS provider {provider}")]
    DnsSecret { provider: String, source: Box<SecretError> },
    #[error(transparent)]
    NoDns(#[from] NoDns),
    #[error("the DNS provider {label} of an earlier run is not known any more: {why}")]
    UnknownDns { label: String, why: ChoiceError },
    #[error("cannot read the trust roots in {}", path.display())]
    RootsFile { path: PathBuf, source: std::io::Error },
    #[error("cannot use the trust roots in {}", path.display())]
    Roots { path: PathBuf, source: RootsError },
    #[error("{name:?} is no CA this version knows, and no [[ca]] of the settings")]
    UnknownCa { name: String, nearest: Option<String> },
    #[error("{title} has ended its ACME service: its last certificate is of {last_issued}", title = .0.title, last_issued = .0.last_issued)]
    EndedCa(&'static EndedCa),
    #[error("the CA {ca} has no staging directory that is known; give one with --server")]
    NoStaging { ca: String },
    #[error("the embedded CA did not start")]
    Embedded(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("there is no certificate named {name}")]
    NoCertificate { name: CertName, nearest: Option<CertName> },
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    #[error("there is no certificate yet")]
    NothingHeld,
    #[error("{} does not exist, so what is wanted is not known", path.display())]
    NoSettings { path: PathBuf },
    #[error("the key cannot be handed to {kind} {name:?}: there is none of that name")]
    NoSuchAccount { kind: &'static str, name: String },
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    #[error(transparent)]
    TargetWord(#[from] WordError),
    #[error(transparent)]
    TargetUnit(#[from] UnitNameError),
    #[error("there is no generation {generation}")]
    NoGeneration { generation: Generation },
    #[error("there is no earlier generation to go back to")]
    NothingEarlier,
    #[error("generation {generation} {why}; --force puts it into service all the same")]
    Unfit { generation: Generation, why: String },
    #[error("nothing is deployed since {since}: too many rollouts had to be undone")]
    Halted { since: Timestamp },
    #[error("a rollout is under way: nothing else is begun before its end")]
    RollingOut,
    #[error("a defect of acmeagent: its work on this certificate crashed")]
    Crashed,
}

impl Trouble {
    /// The word by which it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Cause(cause) => cause.kind(),
            Self::Crashed | Self::Embedded(_) => "internal",
            Self::Unfit { .. } => "refused",
            Self::Halted { .. } => "halted",
            Self::RollingOut => "rolling_out",
            _ => "config",
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Cause(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_of_a_kind() {
        let (since, generation) = (Timestamp::from_unix(1_800_000_000), Generation::FIRST);
        let (name, why) = ("x".to_owned(), "is marked bad".to_owned());
        let table = [
            (Cause::Interrupted.into(), "interrupted"),
            (StoreError::NothingToKeep.into(), "store"),
            (Trouble::NoStaging { ca: name.clone() }, "config"),
            (Trouble::NoSuchAccount { kind: "user", name }, "config"),
            (Trouble::Unfit { generation, why }, "refused"),
            (Trouble::Halted { since }, "halted"),
            (Trouble::RollingOut, "rolling_out"),
            (Trouble::Crashed, "internal"),
        ];
        for (trouble, kind) in table {
            assert_eq!(trouble.kind(), kind, "{trouble}");
        }
    }
}
