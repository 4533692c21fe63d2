//! The records that dns-persist-01 needs: nobody touches them at a renewal, so somebody has to watch.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::timeout;

use super::audit::Findings;
use super::plan::Standing;
use super::{Agent, Trouble};
use crate::challenge::dns_persist01::{Flaw, PersistError, Showing, flaw, look};
use crate::config::cert::CertSettings;
use crate::config::choice::CaChoice;
use crate::dns::{Resolvers, Zones};
use crate::model::challenge::ChallengeKind;
use crate::model::finding::Severity;
use crate::model::name::Identifier;
use crate::model::persist::{self, Verdict, merged};
use crate::model::time::Timestamp;
use crate::schedule::window::lifetime_rule;

/// So many records are looked at together.
const AT_ONCE: usize = 8;
/// How long the DNS may take, for one record.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record and how it was seen; `None` where the DNS took too long.
type Seen = (persist::Standing, Option<Result<Vec<Showing>, PersistError>>);

impl Agent {
    /// Looks at the records a certificate needs for dns-persist-01, where that is among its types:
    /// whether they are there, mean our account, allow its wildcards, and stay long enough.
    ///
    /// What only the CA could tell, and what concerns the CA itself, is passed over.
    pub(crate) async fn audit_records(
        &self,
        settings: &CertSettings,
        standing: Option<&Standing>,
        findings: &mut Findings,
    ) -> Result<(), Trouble> {
        let kinds = &settings.challenges;
        if !kinds.contains(&ChallengeKind::DnsPersist01) {
            return Ok(());
        }
        for (place, choice) in settings.cas.iter().enumerate() {
            // Only what is tried first must work.
            let comes_first = place == 0 && kinds.first() == Some(&ChallengeKind::DnsPersist01);
            let severity = if comes_first { Severity::Critical } else { Severity::Warning };
            self.audit_records_for(choice, settings, (standing, severity), findings).await?;
        }
        Ok(())
    }

    async fn audit_records_for(
        &self,
        choice: &CaChoice,
        settings: &CertSettings,
        (standing, severity): (Option<&Standing>, Severity),
        findings: &mut Findings,
    ) -> Result<(), Trouble> {
        let authority = self.authorities.of(settings, choice).await?;
        let Ok(session) = authority.session().await else { return Ok(()) };
        let file = authority.account_file(self.store()).ok().flatten();
        let account = file.and_then(|file| session.account(&file).ok());
        let ca = authority.name();
        let Some(account) = account else {
            let text = format!("there is no account at {ca} yet that a record could name");
            findings.add(Severity::Warning, "record", text);
            findings.hint("`acmeagent account register`, then `acmeagent account dns-record`");
            return Ok(());
        };
        let names = settings.identifiers.iter().filter_map(|identifier| match identifier {
            Identifier::Dns(name) => Some(name),
            Identifier::Ip(_) => None,
        });
        let (resolvers, zones) = (Resolvers::of_system(), Zones::default());
        let (now, wanted_until) = (self.hands.clock.now(), standing.and_then(wanted_until));
        let looks = merged(names.filter_map(|name| account.foreseen_standing(name)));
        let looks = looks.into_iter().map(|one| {
            let (resolvers, zones) = (&resolvers, &zones);
            async move {
                let seen = timeout(PATIENCE, look(&one, zones, resolvers, now)).await;
                (one, seen.ok())
            }
            .boxed()
        });
        let looks: Vec<_> = looks.collect();
        let seen: Vec<Seen> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        for one in &seen {
            judge(ca, one, severity, wanted_until, findings);
        }
        Ok(())
    }
}

/// Until the renewal after the next one somebody has time to set a record anew.
fn wanted_until(standing: &Standing) -> Option<Timestamp> {
    let (_, meta) = standing.live.as_ref()?;
    let by_lifetime = lifetime_rule(meta.validity).end();
    let cadence = by_lifetime.since(meta.validity.not_before);
    let next = standing.facts.next_renewal.as_ref().map_or(by_lifetime, |next| next.at);
    Some(next.plus(cadence))
}

fn judge(
    ca: &str,
    (standing, seen): &Seen,
    severity: Severity,
    wanted_until: Option<Timestamp>,
    findings: &mut Findings,
) {
    let (name, record) = (standing.name().as_str(), standing.record_name());
    let showings = match seen {
        Some(Ok(showings)) if !showings.is_empty() => showings,
        Some(Err(error)) => {
            findings.add(severity, "record", error.to_string());
            return;
        }
        Some(Ok(_)) | None => {
            let text = format!("no name server tells this host in time what {record} says");
            findings.add(Severity::Warning, "record", text);
            findings.hint("see that the name servers of the zone run and are delegated to");
            return;
        }
    };
    if let Some(flaw) = flaw(standing, showings) {
        judge_flaw(ca, name, &flaw, severity, findings);
        return;
    }
    match (earliest_end(showings), wanted_until) {
        (Some(end), Some(wanted)) if end < wanted => {
            let text = format!(
                "the record {record} is good only until {end} (persistUntil): before the renewal after the next, about {wanted}"
            );
            findings.add(Severity::Warning, "record", text);
            findings.hint(format!("set the record {}", standing.zone_line(None)));
        }
        (end, _) => {
            let until = end.map(|end| format!(" until {end}")).unwrap_or_default();
            let text = format!("the record {record} lets {ca} issue for {name}{until}");
            findings.add(Severity::Ok, "record", text);
        }
    }
}

fn judge_flaw(ca: &str, name: &str, flaw: &Flaw, severity: Severity, findings: &mut Findings) {
    findings.add(severity, "record", format!("{ca} would not issue for {name}: {flaw}"));
    findings.hint(match &flaw.server {
        Some(server) => format!("have {server} transfer its zone again, which needs {}", flaw.line),
        None => format!("set the record {}", flaw.line),
    });
}

/// When the first of them ends.
fn earliest_end(showings: &[Showing]) -> Option<Timestamp> {
    let end = |one: &Showing| match one.verdict {
        Verdict::Good { until } => until,
        _ => None,
    };
    showings.iter().filter_map(end).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::DnsName;

    #[test]
    fn what_is_told_of_records() {
        let at = Timestamp::from_unix;
        let good = |until: Option<i64>| Verdict::Good { until: until.map(at) };
        let set = "set the record _validation-persist.a.example. IN TXT \"ca.example; accounturi=https://ca.example/acct/1; policy=wildcard\"";
        let table: [(&[Verdict], Severity, &str, Option<&str>); 8] = [
            (&[good(None)], Severity::Ok, "lets ca issue for *.a.example", None),
            (&[good(Some(2000))], Severity::Ok, "*.a.example until 1970-01-01T00:33:20Z", None),
            (&[good(None), good(Some(999))], Severity::Warning, "good only until", Some(set)),
            (&[Verdict::Expired { at: at(5) }], Severity::Critical, "was good until", Some(set)),
            (&[Verdict::Missing], Severity::Critical, "does not exist", Some(set)),
            (
                &[Verdict::OtherAccount("https://ca.example/acct/2".to_owned())],
                Severity::Critical,
                "is for the account https://ca.example/acct/2, not for https://ca.example/acct/1",
                Some(set),
            ),
            (
                &[good(None), Verdict::NeedsWildcardPolicy],
                Severity::Critical,
                "lacks policy=wildcard, going by ns1",
                Some("have ns1 transfer"),
            ),
            (&[], Severity::Warning, "no name server tells", Some("see that the name servers")),
        ];
        let account = "https://ca.example/acct/1".to_owned();
        let name = DnsName::parse("*.a.example").unwrap();
        let standing =
            persist::Standing::new(name, vec!["ca.example".to_owned()], vec![account]).unwrap();
        for (verdicts, severity, text, hint) in table {
            let showing = |(index, verdict): (usize, &Verdict)| Showing {
                server: format!("ns{index}"),
                verdict: verdict.clone(),
            };
            let showings = verdicts.iter().enumerate().map(showing).collect();
            let mut findings = Findings::about("a");
            let seen = (standing.clone(), Some(Ok(showings)));
            judge("ca", &seen, Severity::Critical, Some(at(1000)), &mut findings);
            let [found] = findings.found.as_slice() else {
                panic!("{findings:?}", findings = findings.found)
            };
            assert_eq!(found.severity, severity, "{}", found.message);
            assert!(found.message.contains(text), "{}", found.message);
            let hinted = found.hint.as_deref();
            assert!(hint.is_none_or(|hint| hinted.unwrap().starts_with(hint)), "{hinted:?}");
        }
    }
}
