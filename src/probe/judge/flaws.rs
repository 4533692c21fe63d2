//! What is wrong with one sight.

use std::collections::BTreeMap;
use std::fmt;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::CLOCK_SKEW;
use super::staple::{self, StapleError};
use crate::certificate::{Chain, Expectation, Refusal, Roots, verify_served};
use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::probe::look::{Sight, to_server_name};

/// A kind of fault a client would find.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Flaw {
    /// The certificates do not lead to a root, or are none.
    Chain,
    /// The leaf comes without the certificates that lead to a root.
    Short,
    /// The name that was asked for is not covered.
    Name,
    /// Now is not within the dates.
    Expired,
    /// The CA has revoked the certificate.
    Revoked,
    /// The stapled OCSP response is no good.
    Ocsp,
}

impl Flaw {
    const ALL: [Self; 6] =
        [Self::Chain, Self::Short, Self::Name, Self::Expired, Self::Revoked, Self::Ocsp];

    /// The word it is written by.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Short => "short",
            Self::Name => "name",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Ocsp => "ocsp",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.as_str() == word)
    }

    /// Whether the certificate is at fault, wherever it is served.
    ///
    /// A short chain and a stale staple are the server's doing, and dates that do not hold speak of
    /// a clock as well.
    pub(crate) fn condemns(self) -> bool {
        matches!(self, Self::Chain | Self::Name | Self::Revoked)
    }

    /// Whether the certificate brings it along, so that what was served before excuses nothing.
    pub(super) fn is_inborn(self) -> bool {
        matches!(self, Self::Expired | Self::Revoked)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "the chain does not verify",
            Self::Short => "the chain is not complete",
            Self::Name => "the name is not covered",
            Self::Expired => "the certificate is not valid now",
            Self::Revoked => "the certificate is revoked",
            Self::Ocsp => "the stapled OCSP response is no good",
        })
    }
}

/// More than this nobody reads.
const LONGEST_REASON: usize = 300;

/// What is wrong, and how: the text is fit for a terminal.
pub(crate) type Flaws = BTreeMap<Flaw, String>;

/// What a sight is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// The name that was asked for.
    pub(crate) name: &'a Identifier,
    /// Without roots the chain must still hold together up to its own last certificate.
    pub(crate) roots: Option<&'a Roots>,
    pub(crate) now: Timestamp,
}

/// Everything a client would find wrong with a sight.
pub(crate) fn flaws(sight: &Sight, expected: &Expected<'_>) -> Flaws {
    let chain = match Chain::from_ders(sight.chain.clone()) {
        Ok(chain) => chain,
        Err(error) => return Flaws::from([(Flaw::Chain, error.to_string())]),
    };
    let mut found = Flaws::new();
    found.extend(untimely(&chain, expected.now).map(|why| (Flaw::Expired, why)));
    found.extend(unverified(&chain, expected));
    found.extend(uncovered(&chain, expected.name).map(|why| (Flaw::Name, why)));
    if let Some(staple) = &sight.ocsp {
        let error = staple::verify(staple, chain.ders(), expected.now).err();
        found.extend(error.map(|error| {
            let revoked = matches!(error, StapleError::Revoked { .. });
            (if revoked { Flaw::Revoked } else { Flaw::Ocsp }, error.to_string())
        }));
    }
    // Certificates may hold names of any length.
    found
        .into_iter()
        .map(|(flaw, why)| (flaw, why.chars().take(LONGEST_REASON).collect()))
        .collect()
}

fn untimely(chain: &Chain, now: Timestamp) -> Option<String> {
    let (from, until) = (chain.validity().not_before, chain.earliest_expiry());
    if until < now {
        return Some(format!("expired at {until}"));
    }
    (from > now.plus(CLOCK_SKEW)).then(|| format!("not valid before {from}, and it is {now} here"))
}

/// Judges the path alone, at the instant nearest to now at which the dates hold.
fn unverified(chain: &Chain, expected: &Expected<'_>) -> Option<(Flaw, String)> {
    let now = expected.now.min(chain.earliest_expiry()).max(chain.validity().not_before);
    let judged_by =
        Expectation { identifiers: &Default::default(), now, roots: expected.roots, profile: None };
    let refusal = verify_served(chain, &judged_by).err()?;
    let nobody_known =
        matches!(refusal, Refusal::Untrusted { source: webpki::Error::UnknownIssuer, .. });
    match chain.ders() {
        [only] if nobody_known && !is_self_issued(only) => {
            Some((Flaw::Short, "no certificate of an issuer is sent along".to_owned()))
        }
        _ => Some((Flaw::Chain, refusal.to_string())),
    }
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

fn uncovered(chain: &Chain, name: &Identifier) -> Option<String> {
    let leaf = EndEntityCert::try_from(&chain.ders()[0]).ok();
    let covered = leaf
        .zip(to_server_name(name).ok())
        .is_some_and(|(leaf, name)| leaf.verify_is_valid_for_subject_name(&name).is_ok());
    if covered {
        return None;
    }
    let held = chain.identifiers().iter().map(Identifier::to_string).collect::<Vec<_>>();
    Some(format!("{name} is not covered, only {}", held.join(", ")))
}

#[cfg(test)]
mod tests;
