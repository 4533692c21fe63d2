//! dns-persist-01: nothing is presented, for a record stands in the DNS; seen to before a CA looks.
//!
//! What a record must say is [`Standing`]'s to know. Here every server of its zone is asked for it,
//! for a CA asks any of them.

use std::fmt;

use futures_util::{FutureExt, StreamExt, stream};
use thiserror::Error;

use crate::dns::{Answer, Data, Kind, Manner, Name, Resolvers, Zones, name, shown};
use crate::model::fault::Fault;
use crate::model::persist::{Standing, Verdict, merged};
use crate::model::time::Timestamp;

/// So many records are looked at together.
const AT_ONCE: usize = 8;

/// What one server shows of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Showing {
    pub(crate) server: String,
    pub(crate) verdict: Verdict,
}

/// A record that will not do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Flaw {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// What a record calls our account.
    account: String,
    /// The server that says so, where another says otherwise.
    pub(crate) server: Option<String>,
    /// The record as it should be, as a line of a zone file.
    pub(crate) line: String,
}

/// Why what stands in the DNS would not convince a CA.
#[derive(Debug, Error)]
pub(crate) enum PersistError {
    #[error("{name} is longer than the DNS allows: dns-persist-01 cannot prove it")]
    TooLong { name: String },
    /// At least one.
    #[error("{}", listed(flaws))]
    Flawed { flaws: Vec<Flaw> },
}

/// Asks every server of the record's zone for it, aliases followed; the resolver of this host where
/// none of them can be asked from here. Empty where that does not know either.
pub(crate) async fn look(
    standing: &Standing,
    zones: &Zones,
    resolvers: &Resolvers,
    now: Timestamp,
) -> Result<Vec<Showing>, PersistError> {
    let text = standing.record_name();
    let Some(asked) = name(&text) else { return Err(PersistError::TooLong { name: text }) };
    let verdict = |answer: &Answer, name: &Name| {
        let data = answer.about(name);
        let texts = data.iter().filter_map(|data| match data {
            Data::Text(text) => Some(text.as_slice()),
            _ => None,
        });
        standing.judge(texts, now)
    };
    let mut showings = Vec::new();
    if let Ok(zone) = zones.find(&asked, resolvers).await {
        for heard in zone.ask_all(&zone.target, Kind::Txt).await {
            let Ok(answer) = heard.said else { continue };
            if answer.authoritative && answer.knows() {
                let server = format!("{} ({})", shown(&heard.server), heard.address);
                showings.push(Showing { server, verdict: verdict(&answer, &zone.target) });
            }
        }
    }
    if showings.is_empty()
        && let Ok(answer) = resolvers.ask(&asked, Kind::Txt, Manner::Recursive).await
        && answer.knows()
    {
        let server = "the resolver of this host".to_owned();
        showings.push(Showing { server, verdict: verdict(&answer, &asked) });
    }
    Ok(showings)
}

/// The first server of those that do not show what they should, if there is one.
pub(crate) fn flaw(standing: &Standing, showings: &[Showing]) -> Option<Flaw> {
    let is_good = |one: &&Showing| matches!(one.verdict, Verdict::Good { .. });
    let bad = showings.iter().find(|one| !is_good(one))?;
    Some(Flaw {
        name: standing.record_name(),
        account: standing.account().to_owned(),
        verdict: bad.verdict.clone(),
        server: showings.iter().any(|one| one.verdict != bad.verdict).then(|| bad.server.clone()),
        line: standing.zone_line(None),
    })
}

/// Refuses where a CA that asks would certainly not be convinced by one of the servers it may ask.
///
/// What nobody can tell from here is let pass.
pub(crate) async fn ensure(standings: Vec<Standing>, now: Timestamp) -> Result<(), PersistError> {
    let records = merged(standings);
    let (resolvers, zones) = (Resolvers::of_system(), Zones::default());
    let looks = records.iter().map(|standing| look(standing, &zones, &resolvers, now).boxed());
    let looks: Vec<_> = looks.collect();
    let seen: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let mut flaws = Vec::new();
    for (standing, showings) in records.iter().zip(seen) {
        flaws.extend(flaw(standing, &showings?));
    }
    if flaws.is_empty() { Ok(()) } else { Err(PersistError::Flawed { flaws }) }
}

impl PersistError {
    /// Servers that disagree may only need time; anything else needs somebody to act.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Flawed { flaws } if flaws.iter().all(|flaw| flaw.server.is_some()) => {
                Fault::Passing
            }
            Self::Flawed { .. } | Self::TooLong { .. } => Fault::Permanent,
        }
    }

    /// The one thing to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let Self::Flawed { flaws } = self else { return None };
        let lines: Vec<&str> = flaws.iter().map(|flaw| flaw.line.as_str()).collect();
        Some(match lines.as_slice() {
            [one] => format!("set the record {one}"),
            many => format!("set the records\n{}", many.join("\n")),
        })
    }

    /// Whether it is all for want of a record that means this CA.
    ///
    /// By which name it may be meant only a challenge tells for certain.
    pub(crate) fn is_of_other_issuers(&self) -> bool {
        let is_other = |flaw: &Flaw| matches!(flaw.verdict, Verdict::OtherIssuer(_));
        matches!(self, Self::Flawed { flaws } if flaws.iter().all(is_other))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record {} {}", self.name, self.verdict)?;
        if let Verdict::OtherAccount(_) = self.verdict {
            write!(f, ", not for {}", self.account)?;
        }
        match &self.server {
            Some(server) => write!(f, ", going by {server}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with each, bounded.
fn listed(flaws: &[Flaw]) -> String {
    const MOST: usize = 5;
    let shown = flaws.iter().take(MOST).map(ToString::to_string);
    let mut text = shown.collect::<Vec<_>>().join("; ");
    if flaws.len() > MOST {
        text += &format!("; and {} more", flaws.len() - MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::DnsName;

    fn standing(name: &str) -> Standing {
        let account = "https://ca.example/acct/1".to_owned();
        let name = DnsName::parse(name).unwrap();
        Standing::new(name, vec!["ca.example".to_owned()], vec![account]).unwrap()
    }

    fn flawed(verdicts: &[Verdict]) -> Option<PersistError> {
        let showing = |(index, verdict): (usize, &Verdict)| Showing {
            server: format!("ns{index}.example (192.0.2.{index})"),
            verdict: verdict.clone(),
        };
        let showings: Vec<_> = verdicts.iter().enumerate().map(showing).collect();
        flaw(&standing("*.a.example"), &showings)
            .map(|one| PersistError::Flawed { flaws: vec![one] })
    }

    #[test]
    fn every_server_must_show_it() {
        let (good, missing) = (Verdict::Good { until: None }, Verdict::Missing);
        for fine in [&[][..], std::slice::from_ref(&good), &[good.clone(), good.clone()]] {
            assert!(flawed(fine).is_none());
        }
        let other = Verdict::OtherIssuer("b.example".to_owned());
        let account = Verdict::OtherAccount("https://ca.example/acct/2".to_owned());
        let table: [(&[Verdict], &str, Fault); 4] = [
            (
                std::slice::from_ref(&missing),
                "the record _validation-persist.a.example does not exist",
                Fault::Permanent,
            ),
            (
                &[good, missing.clone()],
                "the record _validation-persist.a.example does not exist, going by ns1.example (192.0.2.1)",
                Fault::Passing,
            ),
            (
                &[account.clone(), account],
                "the record _validation-persist.a.example is for the account https://ca.example/acct/2, not for https://ca.example/acct/1",
                Fault::Permanent,
            ),
            (
                std::slice::from_ref(&other),
                "the record _validation-persist.a.example is for the CA \"b.example\", not this one",
                Fault::Permanent,
            ),
        ];
        for (verdicts, text, fault) in table {
            let error = flawed(verdicts).unwrap();
            assert_eq!((error.to_string().as_str(), error.fault()), (text, fault));
            let hint = "set the record _validation-persist.a.example. IN TXT \"ca.example; accounturi=https://ca.example/acct/1; policy=wildcard\"";
            assert_eq!(error.hint().as_deref(), Some(hint));
            assert_eq!(error.is_of_other_issuers(), verdicts == [other.clone()]);
        }
    }
}
