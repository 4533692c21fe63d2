//! How the embedded CA is told to behave other than well: a small TOML file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::denied::RetryAfter;
use super::incident::Incident;
use super::limits::Limits;
use super::nonce::random_share;
use super::profile::{BACKDATE, Profile};
use super::trouble::{Loss, Outage};
use super::validate_persist::Draft;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// When to ask for renewal information again, give or take [`ARI_SPREAD`] of it.
const ARI_RETRY_AFTER: Duration = Duration::from_secs(6 * 3600);
const ARI_SPREAD: f64 = 0.2;

/// Why a text is no behaviour.
#[derive(Debug, Error)]
pub(crate) enum BehaviourError {
    #[error("line {line}: {why}")]
    Toml { line: usize, why: String },
    #[error("an outage must begin before it ends, at {to}")]
    Backwards { to: Timestamp },
}

/// What the CA does besides obeying the RFCs. The default is a CA that only obeys them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Behaviour {
    pub(super) limits: Limits,
    /// How refusals and 503s say when to come back.
    pub(super) retry_after: RetryAfter,
    /// Identifiers paused from the start.
    #[serde(deserialize_with = "identifiers")]
    pub(super) paused: Vec<Identifier>,
    ari: Option<bool>,
    ari_retry_after: Option<Span>,
    /// Whether a newOrder for what is being ordered already returns that order.
    pub(super) order_reuse: bool,
    date_offset: Option<Offset>,
    pub(super) dns_server: Option<SocketAddr>,
    /// The draft that dns-persist-01 goes by.
    pub(super) dns_persist: Draft,
    /// Whether challenges have fields nobody knows, and one is of a type nobody knows.
    pub(super) challenge_extra: bool,
    perspectives: Option<NonZeroU8>,
    profiles: BTreeMap<Profile, Lifetimes>,
    #[serde(rename = "incident")]
    pub(super) incidents: Vec<Incident>,
    #[serde(rename = "outage")]
    pub(super) outages: Vec<Outage>,
    #[serde(rename = "lose")]
    pub(super) losses: Vec<Loss>,
}

impl Behaviour {
    /// A file with all there is to say, each with its meaning.
    pub(crate) const EXAMPLE: &str = include_str!("behaviour.toml");

    /// Reads a file's text; refuses what it does not know.
    pub(crate) fn parse(text: &str) -> Result<Self, BehaviourError> {
        let behaviour: Self = toml::from_str(text).map_err(|why| {
            let before = &text.as_bytes()[..why.span().map_or(0, |span| span.start)];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            BehaviourError::Toml { line, why: why.message().to_owned() }
        })?;
        match behaviour.outages.iter().find_map(Outage::backwards) {
            Some(to) => Err(BehaviourError::Backwards { to }),
            None => Ok(behaviour),
        }
    }

    /// Whether the CA has renewal information at all.
    pub(super) fn has_ari(&self) -> bool {
        self.ari != Some(false)
    }

    /// When a client is to ask for renewal information again.
    pub(super) fn ari_retry_after(&self) -> Duration {
        let spread = 1.0 - ARI_SPREAD + 2.0 * ARI_SPREAD * random_share();
        self.ari_retry_after.map_or_else(|| ARI_RETRY_AFTER.mul_f64(spread), |span| span.0)
    }

    /// From how many places a challenge is looked at.
    pub(super) fn perspectives(&self) -> usize {
        self.perspectives.map_or(1, |count| count.get().into())
    }

    /// The life of what is issued at `now`.
    pub(super) fn lifetime(&self, profile: Profile, now: Timestamp) -> Duration {
        let told = self.profiles.get(&profile).and_then(|lifetimes| lifetimes.at(now));
        told.unwrap_or_else(|| profile.lifetime())
    }

    /// What the `Date` header says at `now`; none when it is left to tell the truth.
    pub(super) fn date(&self, now: Timestamp) -> Option<Timestamp> {
        self.date_offset.map(|offset| match offset {
            Offset::Ahead(span) => now.plus(span),
            Offset::Behind(span) => now.minus(span),
        })
    }
}

/// How long certificates of one profile live, and from when on for another time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Lifetimes {
    lifetime: Option<Lifetime>,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    from: Timestamp,
    lifetime: Lifetime,
}

impl Lifetimes {
    fn at(&self, now: Timestamp) -> Option<Duration> {
        let past = self.changes.iter().filter(|change| change.from <= now);
        let latest = past.max_by_key(|change| change.from);
        latest.map(|change| change.lifetime).or(self.lifetime).map(|lifetime| lifetime.0)
    }
}

/// Longer than what lies in the past already when a certificate is issued.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Span")]
struct Lifetime(Duration);

impl TryFrom<Span> for Lifetime {
    type Error = &'static str;

    fn try_from(Span(lifetime): Span) -> Result<Self, Self::Error> {
        match lifetime > BACKDATE && lifetime.subsec_nanos() == 0 {
            true => Ok(Self(lifetime)),
            false => Err("a lifetime is whole seconds, and more than the hour of backdating"),
        }
    }
}

/// A span as operators write it: `36h`, `7d`, `2h 30m`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let span = humantime::parse_duration(&text);
        span.map(Self).map_err(|why| format!("{text:?} is not a span of time: {why}"))
    }
}

/// A span with a sign.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
enum Offset {
    Ahead(Duration),
    Behind(Duration),
}

impl TryFrom<String> for Offset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let span = |rest: &str| Span::try_from(rest.to_owned()).map(|span| span.0);
        match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(rest), _) => span(rest).map(Self::Ahead),
            (_, Some(rest)) => span(rest).map(Self::Behind),
            _ => Err(format!("{text:?} needs a sign, as in \"+2h\"")),
        }
    }
}

/// Identifiers as operators write them, not as ACME does.
pub(super) fn identifiers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Identifier>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| Identifier::parse(text));
    parsed.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_understood_with_either_form_of_limits() {
        Behaviour::parse(Behaviour::EXAMPLE).unwrap();
        let name = Behaviour::EXAMPLE.lines().filter(|line| !line.starts_with("limits"));
        let (mut above, mut table): (Vec<String>, Vec<String>) = Default::default();
        for line in name {
            match line.strip_prefix('#').filter(|line| !line.starts_with(' ')) {
                Some(line) => table.push(line.to_owned()),
                None => above.push(line.to_owned()),
            }
        }
        above.extend(table);
        let limits = Behaviour::parse(&above.join("\n")).unwrap().limits;
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::letsencrypt()));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_line() {
        let table = [
            ("arj = false", "line 1: unknown field `arj`, expected one of `limits`, "),
            ("\nlimits = \"buypass\"", "line 2: unknown variant `buypass`, expected `letsencrypt`"),
            (
                "limits = 5",
                "line 1: invalid type: integer `5`, expected \"letsencrypt\" or a table",
            ),
            ("[limits]\norders = {burst = 1, per = \"1h\"}", "line 2: unknown field `orders`"),
            (
                "[limits]\nnew_orders_per_account = {burst = 0, per = \"1h\"}",
                "line 2: a rate needs a burst",
            ),
            (
                "[limits]\nnew_orders_per_account = {burst = 1, per = \"1 hou\"}",
                "line 2: \"1 hou\" is not a span of time: unknown time unit",
            ),
            ("paused = [\"a_b.example\"]", "line 1: \"a_b.example\" is not a valid DNS name"),
            ("date_offset = \"2h\"", "line 1: \"2h\" needs a sign, as in \"+2h\""),
            ("[profiles.tlsclient]", "line 1: unknown variant `tlsclient`"),
            ("[profiles.classic]\nlifetime = \"1h\"", "line 2: a lifetime is whole seconds, and"),
            ("[[incident]]\nserials = []", "line 1: missing field `explanation_url`"),
            ("[[lose]]\npath = \"management\"", "line 2: unknown variant `management`"),
            (
                "[[outage]]\nanswer = \"gone\"",
                "line 2: unknown variant `gone`, expected one of `503`",
            ),
            ("[[outage]]\nfrom = \"tomorrow\"", "line 2: not an RFC 3339 time: \"tomorrow\""),
            (
                "[[outage]]\nfrom = \"2027-01-02T00:00:00Z\"\nto = \"2027-01-01T00:00:00Z\"",
                "an outage must begin before it ends, at 2027-01-01T00:00:00Z",
            ),
            ("dns_server = \"localhost\"", "line 1: invalid socket address syntax"),
            ("dns_persist = \"03\"", "line 1: unknown variant `03`, expected one of `00`"),
            ("perspectives = 0", "line 1: invalid value: integer `0`, expected a nonzero u8"),
            ("paused = [", "line 1: "),
        ];
        for (text, why) in table {
            let found = Behaviour::parse(text).unwrap_err().to_string();
            assert!(found.starts_with(why), "{text:?}: {found}");
        }
    }

    #[test]
    fn lifetimes_change_when_they_are_said_to() {
        let behaviour = Behaviour::parse(
            r#"
            [profiles.classic]
            changes = [
                { from = "2028-02-16T00:00:00Z", lifetime = "45d" },
                { from = "2027-02-10T00:00:00Z", lifetime = "64d" },
            ]
            [profiles.shortlived]
            lifetime = "2h"
            "#,
        )
        .unwrap();
        let table = [
            (Profile::Classic, "2027-02-09T23:59:59Z", 90 * 24),
            (Profile::Classic, "2027-02-10T00:00:00Z", 64 * 24),
            (Profile::Classic, "2028-02-16T00:00:00Z", 45 * 24),
            (Profile::ShortLived, "2027-02-10T00:00:00Z", 2),
            (Profile::TlsServer, "2027-02-10T00:00:00Z", 45 * 24),
        ];
        for (profile, now, hours) in table {
            let now = Timestamp::parse(now).unwrap();
            assert_eq!(behaviour.lifetime(profile, now), Duration::from_secs(hours * 3600));
        }
    }
}
