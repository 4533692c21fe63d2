//! What no single key can know.

use std::collections::HashSet;

use thiserror::Error;

use super::CertSettings;
use crate::config::choice::CaChoice;
use crate::config::dns::DnsChoice;
use crate::config::reader::{ConfigError, Section};
use crate::config::rollout;
use crate::config::target::TargetChoice;
use crate::hook::Hook;
use crate::model::challenge::ChallengeKind;
use crate::model::name::Identifier;
use crate::model::word::nearest;

/// Settings that are each well-formed but cannot hold together.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Contradiction {
    #[error("no identifier is given")]
    NoIdentifier,
    #[error("{0} is listed twice")]
    Twice(Identifier),
    #[error("{wildcard} covers {covered} already; CAs refuse an order with both")]
    Redundant { wildcard: Identifier, covered: Identifier },
    #[error("{identifier} cannot be proved by {tried}")]
    Unprovable { identifier: Identifier, tried: String },
    #[error("the CA {0} is listed twice")]
    SameCa(CaChoice),
    #[error("{0} needs a DNS provider, and none is given")]
    NoProvider(ChallengeKind),
    #[error("the DNS provider {0} is listed twice")]
    SameProvider(String),
    #[error("the DNS provider manual has no auth hook")]
    NoAuthHook,
    #[error("one root cannot be that of several CAs")]
    SharedRoot,
    #[error("the embedded CA has a root of its own")]
    EmbeddedRoot,
    #[error("the target {0} is listed twice")]
    SameTarget(String),
    /// `wave` counts from 0; `advice` says which target may be meant.
    #[error("a wave names {label}, which is not among the targets; {advice}")]
    NotInTargets { wave: usize, label: String, advice: String },
}

impl Contradiction {
    /// The key to look at.
    fn key(&self) -> &'static str {
        match self {
            Self::SharedRoot | Self::EmbeddedRoot => "ca-root",
            Self::SameCa(_) => "ca",
            Self::SameTarget(_) => "targets",
            Self::NotInTargets { .. } => "rollout",
            Self::NoProvider(_) | Self::SameProvider(_) | Self::NoAuthHook => "challenge",
            _ => "identifiers",
        }
    }

    /// The same as an error in the file that `root` is the top of.
    pub(super) fn within(self, root: &Section<'_>) -> ConfigError {
        if let Self::NotInTargets { wave, .. } = self
            && let Ok(waves) = rollout::waves(root)
            && let Some(wave) = waves.get(wave)
        {
            return wave.refuse("targets", self);
        }
        root.refuse(self.key(), self)
    }
}

impl CertSettings {
    /// Checks what no single key can know. File and command line both end here.
    pub(crate) fn check(&self) -> Result<(), Contradiction> {
        if self.identifiers.is_empty() {
            return Err(Contradiction::NoIdentifier);
        }
        self.check_cas()?;
        self.check_identifiers()?;
        self.check_dns()?;
        self.check_targets()
    }

    fn check_cas(&self) -> Result<(), Contradiction> {
        match self.cas.as_slice() {
            [CaChoice::Embedded] if self.ca_root.is_some() => Err(Contradiction::EmbeddedRoot),
            [_, _, ..] if self.ca_root.is_some() => Err(Contradiction::SharedRoot),
            cas => {
                let twice = cas.iter().enumerate().find(|(place, ca)| cas[..*place].contains(ca));
                twice.map_or(Ok(()), |(_, ca)| Err(Contradiction::SameCa(ca.clone())))
            }
        }
    }

    fn check_identifiers(&self) -> Result<(), Contradiction> {
        let wildcards: Vec<_> = self.identifiers.iter().filter(|one| one.is_wildcard()).collect();
        let mut met = HashSet::new();
        // What is wrong with the list itself is told before what this host can prove of it.
        for one in &self.identifiers {
            if !met.insert(one) {
                return Err(Contradiction::Twice(one.clone()));
            }
            if let Some(&wildcard) = wildcards.iter().find(|wildcard| covers(wildcard, one)) {
                let (wildcard, covered) = (wildcard.clone(), one.clone());
                return Err(Contradiction::Redundant { wildcard, covered });
            }
        }
        for one in &self.identifiers {
            if !self.challenges.iter().any(|kind| kind.proves(one)) {
                let tried = self.challenges.iter().map(|kind| kind.as_str());
                let tried = tried.collect::<Vec<_>>().join(" or ");
                return Err(Contradiction::Unprovable { identifier: one.clone(), tried });
            }
        }
        Ok(())
    }

    fn check_dns(&self) -> Result<(), Contradiction> {
        let providers = &self.dns.providers;
        // What dns-persist-01 asks for is put there by the operator.
        let written = [ChallengeKind::Dns01, ChallengeKind::DnsAccount01];
        let mut kinds = self.challenges.iter().filter(|kind| written.contains(kind));
        if let (Some(kind), []) = (kinds.next(), providers.as_slice()) {
            return Err(Contradiction::NoProvider(*kind));
        }
        if providers.contains(&DnsChoice::Manual) && self.dns.manual_auth.is_none() {
            return Err(Contradiction::NoAuthHook);
        }
        let twice =
            providers.iter().enumerate().find(|(place, one)| providers[..*place].contains(one));
        twice.map_or(Ok(()), |(_, one)| Err(Contradiction::SameProvider(one.label().to_owned())))
    }

    /// Labels are what a rollout goes by: each is one target's, and waves know no others.
    fn check_targets(&self) -> Result<(), Contradiction> {
        let hooks: Vec<String> =
            self.hooks.deploy.iter().map(|command| Hook::from(command).label()).collect();
        let mut labels: Vec<&str> = hooks.iter().map(String::as_str).collect();
        for label in self.targets.iter().map(TargetChoice::label) {
            if labels.contains(&label) {
                return Err(Contradiction::SameTarget(label.to_owned()));
            }
            labels.push(label);
        }
        for (wave, settings) in self.rollout.waves.iter().enumerate() {
            let unknown = settings.targets.iter().find(|label| !labels.contains(&label.as_str()));
            if let Some(label) = unknown {
                let advice = match nearest(label, &labels) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None if labels.is_empty() => "there are none".to_owned(),
                    None => format!("they are {}", labels.join(", ")),
                };
                return Err(Contradiction::NotInTargets { wave, label: label.clone(), advice });
            }
        }
        Ok(())
    }
}

/// Whether a wildcard makes another name superfluous.
fn covers(wildcard: &Identifier, other: &Identifier) -> bool {
    match (wildcard, other) {
        (Identifier::Dns(wildcard), Identifier::Dns(other)) => {
            wildcard != other && wildcard.covers(other)
        }
        _ => false,
    }
}
