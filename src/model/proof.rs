//! How control over the identifiers of a certificate was proven, and what had failed before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::challenge::ChallengeKind;
use super::name::Identifier;

/// What an order took; empty where the CA wanted nothing proven.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Proof {
    /// The type that was shown for each identifier. What the CA had seen proven earlier is not here.
    pub(crate) by: BTreeMap<String, ChallengeKind>,
    /// The types that would have come first, and why they did not do.
    pub(crate) after: Vec<Setback>,
}

/// A challenge type that did not work in a run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Setback {
    /// `None` where it did not work for any.
    #[serde(with = "as_text")]
    pub(crate) identifier: Option<Identifier>,
    pub(crate) challenge: ChallengeKind,
    pub(crate) error: String,
    /// Whether the CA looked, and counts a failed validation.
    pub(crate) spent: bool,
}

impl Setback {
    /// One that the CA did not hear of.
    pub(crate) fn unspent(
        identifier: Option<Identifier>,
        challenge: ChallengeKind,
        error: String,
    ) -> Self {
        Self { identifier, challenge, error, spent: false }
    }

    /// Whether it says anything of this identifier.
    pub(crate) fn concerns(&self, identifier: &Identifier) -> bool {
        self.identifier.as_ref().is_none_or(|one| one == identifier)
    }
}

impl Proof {
    /// The types that were used, each once.
    pub(crate) fn kinds(&self) -> BTreeSet<ChallengeKind> {
        self.by.values().copied().collect()
    }

    /// As in `dns-01 after http-01 failed: …`; `None` where the first type did.
    pub(crate) fn told(&self) -> Option<String> {
        if self.after.is_empty() {
            return None;
        }
        let kinds: Vec<&str> = self.kinds().into_iter().map(ChallengeKind::as_str).collect();
        Some(format!("{} after {}", kinds.join(" and "), self.reason()))
    }

    /// What failed before, in one line of bounded length; empty where nothing did.
    pub(crate) fn reason(&self) -> String {
        reason(&self.after, self.by.len() > 1)
    }
}

/// What failed, one type after the other, in one line of bounded length.
///
/// Of each type the first reason stands for all; `names` says whether it is told for whom.
pub(crate) fn reason(setbacks: &[Setback], names: bool) -> String {
    let of_a_type = setbacks.chunk_by(|a, b| a.challenge == b.challenge);
    let told = of_a_type.map(|same| {
        let (first, more) = (&same[0], same.len() - 1);
        let whom = match &first.identifier {
            Some(name) if names && more > 0 => format!(" for {name} and {more} more"),
            Some(name) if names => format!(" for {name}"),
            _ => String::new(),
        };
        format!("{} failed{whom}: {}", first.challenge, one_line(&first.error))
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Texts of others on one line, and none of them endless.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String =
        line.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// Identifiers as people write them, as the keys beside them are.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Identifier;

    pub(super) fn serialize<S: Serializer>(
        identifier: &Option<Identifier>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        identifier.as_ref().map(ToString::to_string).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Identifier>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Identifier::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::ChallengeKind::{Dns01, Http01, TlsAlpn01};
    use super::*;

    fn setback(name: &str, challenge: ChallengeKind, error: &str) -> Setback {
        let identifier = (!name.is_empty()).then(|| Identifier::parse(name).unwrap());
        Setback { identifier, challenge, error: error.to_owned(), spent: false }
    }

    fn proof(by: &[(&str, ChallengeKind)], after: Vec<Setback>) -> Proof {
        let by = by.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        Proof { by, after }
    }

    #[test]
    fn a_fallback_is_told_in_one_line() {
        let refused = || setback("a.example", Http01, "connection\n refused \u{1b}[2J");
        let in_use = setback("", TlsAlpn01, "port 443 is in use");
        let other = setback("*.a.example", Http01, "404");
        let table = [
            (proof(&[("a.example", Http01)], vec![]), None),
            (
                proof(&[("a.example", Dns01)], vec![refused()]),
                Some("dns-01 after http-01 failed: connection refused ?[2J"),
            ),
            (
                proof(&[("a.example", Dns01), ("b.example", Http01)], vec![refused(), in_use]),
                Some(
                    "http-01 and dns-01 after http-01 failed for a.example: connection refused \
                     ?[2J; tls-alpn-01 failed: port 443 is in use",
                ),
            ),
            (
                proof(&[("a.example", Dns01), ("b.example", Dns01)], vec![refused(), other]),
                Some(
                    "dns-01 after http-01 failed for a.example and 1 more: connection refused \
                     ?[2J",
                ),
            ),
        ];
        for (proof, told) in table {
            assert_eq!(proof.told().as_deref(), told);
            let json = serde_json::to_string(&proof).unwrap();
            assert_eq!(serde_json::from_str::<Proof>(&json).unwrap(), proof, "{json}");
        }
    }

    #[test]
    fn reasons_are_bounded() {
        let long = setback("a.example", Http01, &"é".repeat(5000));
        assert!(reason(&[long], true).chars().count() < 500);
        assert_eq!(Proof::default().reason(), "");
    }
}
