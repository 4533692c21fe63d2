//! Why a TXT record is not where it should be.

use std::time::Duration;

use thiserror::Error;

use super::BoxError;
use crate::dns::DelegationError;
use crate::hook::HookError;
use crate::model::fault::Fault;
use crate::model::time::Timestamp;

/// Texts of others in it are short and escaped.
#[derive(Debug, Error)]
pub(crate) enum DnsError {
    #[error("no DNS provider of the settings is for the zone {apex}")]
    NoProvider { apex: String },
    #[error("cannot find the zone to be written for {name}")]
    Nowhere { name: String, source: Box<DelegationError> },
    #[error("{name} cannot be written: {why}")]
    Unwritable { name: String, why: String },
    #[error("the credentials for {provider} cannot be used: {why}")]
    Credentials { provider: String, why: String },
    #[error("no credentials are given for {provider}: {why}")]
    NoCredentials { provider: String, why: String },
    #[error("this build cannot speak with {provider}")]
    #[cfg_attr(feature = "dns-providers", expect(dead_code, reason = "it is another build's"))]
    NotBuilt { provider: String },
    #[error("{provider} does not accept the credentials: {why}")]
    Unauthorized { provider: String, why: String },
    #[error("{provider} has no zone {apex}")]
    NoZone { provider: String, apex: String },
    #[error("{provider} refuses to change the zone {apex}: {why}")]
    Refused { provider: String, apex: String, why: String },
    #[error("{provider} has too many requests to answer{}", .until.map(|at| format!(" until {at}")).unwrap_or_default())]
    Limited { provider: String, until: Option<Timestamp> },
    #[error("{provider} cannot be reached: {why}")]
    Unreachable { provider: String, why: String },
    #[error("{provider} failed at it: {why}")]
    Failed { provider: String, why: String },
    #[error("the program of {provider} failed")]
    Program { provider: String, source: Box<HookError> },
    #[error("{script} cannot be used: {why}")]
    Script { script: String, why: String },
    /// `lagging` names servers, each with what it says.
    #[error("after {} s the record {name} is not shown by {}", .after.as_secs(), .lagging.join(", "))]
    Lagging { name: String, lagging: Vec<String>, after: Duration },
    /// Names, each with what it must be an alias of.
    #[error("{}", .aliases.iter().map(|(name, target)| format!("{name} must be an alias (CNAME) of {target}")).collect::<Vec<_>>().join(", "))]
    NoAlias { aliases: Vec<(String, String)> },
    #[error("cannot remember what must be removed from the DNS")]
    Memory(#[source] BoxError),
}

impl DnsError {
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Limited { until: Some(until), .. } => Fault::WaitUntil(*until),
            Self::Limited { until: None, .. }
            | Self::Unreachable { .. }
            | Self::Failed { .. }
            | Self::Lagging { .. }
            | Self::Memory(_) => Fault::Passing,
            Self::Nowhere { source, .. } if source.is_lasting() => Fault::Permanent,
            Self::Nowhere { .. } => Fault::Passing,
            Self::Program { source, .. } => source.fault(),
            Self::NoProvider { .. }
            | Self::Unwritable { .. }
            | Self::Credentials { .. }
            | Self::NoCredentials { .. }
            | Self::NotBuilt { .. }
            | Self::Unauthorized { .. }
            | Self::NoZone { .. }
            | Self::Refused { .. }
            | Self::Script { .. }
            | Self::NoAlias { .. } => Fault::Permanent,
        }
    }

    /// What a program printed before it failed.
    pub(crate) fn output(&self) -> Option<&str> {
        match self {
            Self::Program { source, .. } => source.output(),
            _ => None,
        }
    }

    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoProvider { apex } => Some(format!(
                "add {apex} to the `zones` of a [[dns]], or --dns a provider that has it"
            )),
            Self::NoZone { apex, .. } | Self::Refused { apex, .. } if !apex.contains('.') => {
                Some(format!(
                    "the DNS knows no zone between {apex} and the name: is it registered, and rightly spelt?"
                ))
            }
            Self::NoAlias { aliases } => {
                let record = |(name, target): &(String, String)| format!("{name}. CNAME {target}.");
                let records: Vec<_> = aliases.iter().map(record).collect();
                Some(format!("add to the DNS: {}", records.join(", ")))
            }
            Self::NoCredentials { .. } => Some(
                "add --dns-credentials FILE (`dns-credentials` in [challenge], or `credentials-file` in its [[dns]])"
                    .to_owned(),
            ),
            Self::Nowhere { source, .. } => source.hint(),
            Self::Unauthorized { .. } => Some(
                "correct the credentials, in the file of --dns-credentials or of the [[dns]]"
                    .to_owned(),
            ),
            Self::Refused { apex, .. } => {
                Some(format!("let these credentials edit the zone {apex}, or use others"))
            }
            Self::NotBuilt { .. } => Some(
                "build it with the cargo feature dns-providers, or use exec: or acme.sh:"
                    .to_owned(),
            ),
            Self::Script { script, .. } if !script.contains('/') => {
                Some("install acme.sh, or give the script's path: acme.sh:/PATH/dns_NAME.sh".to_owned())
            }
            Self::Program { source, .. } => source.hint(),
            _ => None,
        }
    }
}
