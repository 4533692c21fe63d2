//! Is what clients are served what is stored, and does its CA stand by it? Looks, then judges.
//!
//! A certificate that nobody says where to look for is not looked at, and that is no fault: where it
//! is only kept or handed to a hook, it cannot be known who serves it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use super::audit::Findings;
use super::targets::{targets, verification};
use super::{Agent, Standing, Trouble};
use crate::certificate::{Chain, Expectation, Fingerprint, Roots, verify_served};
use crate::config::cert::CertSettings;
use crate::model::finding::{Finding, Severity};
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::pipeline::rollout::delivery;
use crate::probe::cells::{Cell, NoCell};
use crate::probe::judge::cell::Seen;
use crate::probe::judge::flaws::Expected;
use crate::probe::look::{LookError, Sight, look_all};
use crate::probe::revocation::Revocation;

/// So many certificates are looked at together.
const TOGETHER: usize = 16;
/// So many places of one certificate.
const PARALLEL: usize = 48;
/// A server may take so long to show its certificate.
const LOOK: Duration = Duration::from_secs(3);
/// All looks at one certificate.
const ALL_LOOKS: Duration = Duration::from_secs(6);
/// The servers' own configuration may take so long to tell where to look.
const TO_FIND: Duration = Duration::from_secs(4);
/// So many places are named in a message.
const NAMED: usize = 5;

/// What is stored, for comparison with what is served.
struct Stored {
    live: Generation,
    /// Every generation of the archive.
    ours: BTreeMap<Fingerprint, Generation>,
    /// What a rollout that is under way replaces, or goes back from.
    outgoing: Option<Generation>,
}

/// The places of a certificate with what they show, and what could not be looked at.
#[derive(Default)]
struct Looks {
    seen: Vec<(Cell, Seen)>,
    lacking: Vec<NoCell>,
}

impl Agent {
    /// Inspects certificates of ours: what is stored, what is served, what the CA's list says.
    ///
    /// With `roots` the chains must lead to them. Without, what is served must lead to a root of the
    /// system if what is stored does. Takes no locks, changes nothing, and needs the network only
    /// for what it then says is not known.
    pub(crate) async fn inspect_all(
        &self,
        names: &[CertName],
        roots: Option<&Roots>,
    ) -> Result<Vec<Finding>, Trouble> {
        let inspections: Vec<_> = names.iter().map(|name| self.inspect(name, roots)).collect();
        let found: Vec<_> = stream::iter(inspections).buffered(TOGETHER).try_collect().await?;
        Ok(found.concat())
    }

    async fn inspect(
        &self,
        name: &CertName,
        roots: Option<&Roots>,
    ) -> Result<Vec<Finding>, Trouble> {
        let mut findings = Findings::about(name.to_string());
        let settings = self.settings(name)?.map(|(settings, _)| settings);
        let standing = self.audit(name, settings.as_ref(), roots, &mut findings)?;
        let Some((settings, standing)) = settings.zip(standing) else { return Ok(findings.found) };
        self.audit_records(&settings, Some(&standing), &mut findings).await?;
        let Some((live, _)) = standing.live else { return Ok(findings.found) };
        // What cannot be read has been told of.
        let stored = self.store().read(name, live).ok();
        let Some(chain) = stored.and_then(|stored| Chain::parse(&stored.fullchain).ok()) else {
            return Ok(findings.found);
        };
        let (looks, revocation) = tokio::join!(
            self.look_everywhere(name, live, &settings, self.roots_for(&chain, roots)),
            self.hands.revocation(&chain)
        );
        match looks {
            Ok(looks) => {
                judge_places(name, &self.stored(name, live, &standing)?, &looks, &mut findings)
            }
            Err(why) => findings.add(Severity::Warning, "served", why),
        }
        judge_revocation(name, &revocation, &mut findings);
        Ok(findings.found)
    }

    /// What served chains must lead to: what was asked for, else the system's roots if that is where
    /// the stored one leads.
    fn roots_for<'a>(&'a self, chain: &Chain, wanted: Option<&'a Roots>) -> Option<&'a Roots> {
        let roots = Some(self.hands.system_roots());
        let now = chain.validity().not_before;
        let judged_by = Expectation { identifiers: &Default::default(), now, roots, profile: None };
        wanted.or(roots.filter(|_| verify_served(chain, &judged_by).is_ok()))
    }

    fn stored(
        &self,
        name: &CertName,
        live: Generation,
        standing: &Standing,
    ) -> Result<Stored, Trouble> {
        let mut ours = BTreeMap::new();
        for generation in self.store().generations(name)? {
            let meta = self.store().meta(name, generation).ok();
            let fingerprint = meta.and_then(|meta| Fingerprint::parse(&meta.fingerprint));
            ours.extend(fingerprint.map(|fingerprint| (fingerprint, generation)));
        }
        let ends = standing.facts.intent.as_ref().map(|intent| [Some(intent.to), intent.from]);
        let outgoing = ends.into_iter().flatten().flatten().find(|end| *end != live);
        Ok(Stored { live, ours, outgoing })
    }

    /// Looks at every place that the targets or the settings name.
    ///
    /// # Errors
    /// Why it is not known where to look.
    async fn look_everywhere(
        &self,
        name: &CertName,
        live: Generation,
        settings: &CertSettings,
        roots: Option<&Roots>,
    ) -> Result<Looks, String> {
        let main = self.authorities.main();
        let unknown = |why: String| format!("it is not known where it is served: {why}");
        let targets = targets(settings, main).map_err(|error| unknown(error.to_string()))?;
        let delivery = delivery(self.store(), name, live);
        let delivery = delivery.map_err(|error| unknown(error.to_string()))?;
        let verification = verification(settings, main);
        let places = timeout(TO_FIND, verification.places(&targets, &delivery, true)).await;
        let late = |_| unknown(format!("the servers did not tell within {} s", TO_FIND.as_secs()));
        let (cells, lacking) = places.map_err(late)?;
        let sights = self.look_twice(&cells).await;
        let now = self.hands.clock.now();
        let seen = cells.into_iter().zip(sights).map(|(cell, sight)| {
            let seen = Seen::of(sight, &Expected { name: &cell.name, roots, now });
            (cell, seen)
        });
        Ok(Looks { seen: seen.collect(), lacking })
    }

    /// Looks at all of them, and once more at those that did not answer: a packet lost is no outage.
    async fn look_twice(&self, cells: &[Cell]) -> Vec<Result<Sight, LookError>> {
        let begun = self.hands.clock.monotonic();
        let limit = |count: usize| {
            let took = self.hands.clock.monotonic().saturating_sub(begun);
            let turns = u32::try_from(count.div_ceil(PARALLEL).max(1)).unwrap_or(u32::MAX);
            LOOK.min(ALL_LOOKS.saturating_sub(took) / turns)
        };
        let mut sights = look_all(cells, limit(cells.len()), PARALLEL).await;
        let silent: Vec<usize> = (0..cells.len()).filter(|at| sights[*at].is_err()).collect();
        let again: Vec<Cell> = silent.iter().map(|at| cells[*at].clone()).collect();
        let second = look_all(&again, limit(again.len()), PARALLEL).await;
        for (at, sight) in silent.into_iter().zip(second).filter(|(_, sight)| sight.is_ok()) {
            sights[at] = sight;
        }
        sights
    }
}

/// Judges all places of a certificate in one finding, as bad as the worst of them.
fn judge_places(name: &CertName, stored: &Stored, looks: &Looks, findings: &mut Findings) {
    let count = looks.seen.len();
    let mut wrong: Vec<(Severity, String)> = Vec::new();
    for (cell, seen) in &looks.seen {
        wrong.extend(judge(seen, stored).map(|(how, why)| (how, format!("{cell} {why}"))));
    }
    wrong.sort_by_key(|(how, _)| std::cmp::Reverse(*how));
    let mut worst = wrong.first().map_or(Severity::Ok, |(how, _)| *how);
    let mut text = match (count, wrong.len()) {
        (0, _) if looks.lacking.is_empty() => {
            "not looked at: neither a target nor [verify] says where it is served".to_owned()
        }
        (0, _) => String::new(),
        (1, 0) => format!("1 place serves generation {}", stored.live),
        (_, 0) => format!("{count} places serve generation {}", stored.live),
        (_, off) => format!(
            "generation {} is not served as it should be at {off} of {count} places",
            stored.live
        ),
    };
    for (index, (_, why)) in wrong.iter().take(NAMED).enumerate() {
        text += &format!("{} {why}", if index == 0 { ":" } else { ";" });
    }
    if let Some(left_out) = wrong.len().checked_sub(NAMED).filter(|left_out| *left_out > 0) {
        text += &format!("; and {left_out} more");
    }
    for lacking in &looks.lacking {
        if matches!(lacking, NoCell::Resolve(_)) {
            worst = worst.max(Severity::Warning);
        }
        text += if text.is_empty() { "" } else { "; " };
        text += &format!("cannot be looked at: {lacking}");
    }
    findings.add(worst, "served", text);
    if worst == Severity::Critical && looks.seen.iter().any(|(_, seen)| stored.lags(seen)) {
        let live = stored.live;
        findings.hint(format!(
            "`acmeagent rollback {name} --to {live}` has its servers told of it once more"
        ));
    }
}

impl Stored {
    fn generation(&self, seen: &Seen) -> Option<Generation> {
        match seen {
            Seen::Serves { fingerprint, .. } => self.ours.get(fingerprint).copied(),
            Seen::Down(_) => None,
        }
    }

    /// Whether another generation of ours is served.
    fn lags(&self, seen: &Seen) -> bool {
        self.generation(seen).is_some_and(|served| served != self.live)
    }
}

/// What is wrong with one place, continuing its name; `None` where nothing is.
fn judge(seen: &Seen, stored: &Stored) -> Option<(Severity, String)> {
    let (fingerprint, flaws) = match seen {
        Seen::Serves { fingerprint, flaws, .. } => (fingerprint, flaws),
        Seen::Down(why) => {
            return Some((Severity::Critical, format!("shows no certificate: {why}")));
        }
    };
    let flawed = flaws.values().cloned().collect::<Vec<_>>().join("; ");
    let severity = if flaws.is_empty() { Severity::Ok } else { Severity::Critical };
    let behind = if flaws.is_empty() { String::new() } else { format!(" ({flawed})") };
    match stored.generation(seen) {
        Some(served) if served == stored.live => {
            (!flaws.is_empty()).then(|| (Severity::Critical, format!("is no good: {flawed}")))
        }
        Some(served) if Some(served) == stored.outgoing => {
            let text = format!("serves generation {served} while the rollout lasts{behind}");
            Some((severity.max(Severity::Warning), text))
        }
        Some(served) => Some((Severity::Critical, format!("serves generation {served}{behind}"))),
        None => Some((
            Severity::Critical,
            format!("serves {fingerprint}, which is none of ours{behind}"),
        )),
    }
}

/// Judges what the CA's list says. That it says nothing is told, and is no fault of the certificate.
fn judge_revocation(name: &CertName, revocation: &Revocation, findings: &mut Findings) {
    let (severity, text) = revocation_in_words(revocation);
    findings.add(severity, "revocation", text);
    if severity == Severity::Critical {
        findings.hint(format!("`acmeagent renew {name} --force` gets another"));
    }
}

/// What a CA's list says, and how bad that is.
pub(crate) fn revocation_in_words(revocation: &Revocation) -> (Severity, String) {
    match revocation {
        Revocation::Good => (Severity::Ok, "not revoked, says its CA's list".to_owned()),
        Revocation::Revoked { at, reason } => {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            (Severity::Critical, format!("revoked at {at}{reason}, says its CA's list"))
        }
        Revocation::Unknown(why) => {
            (Severity::Ok, format!("not known whether it is revoked: {why}"))
        }
    }
}

#[cfg(test)]
mod tests;
