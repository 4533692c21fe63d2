//! Is what is stored or served consistent and fresh? Gathers, then judges.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cadence::OFTEN_ENOUGH;
use super::plan::Standing;
use super::{Agent, Trouble, underway};
use crate::certificate::{Chain, Expectation, Key, Roots, pair_matches, verify_served};
use crate::config::cert::CertSettings;
use crate::model::finding::{Finding, Severity};
use crate::model::name::{CertName, Identifier};
use crate::model::time::{Timestamp, Validity, in_words};
use crate::schedule::until_in_words;
use crate::store::StoreError;

/// Below this share of its life a certificate is CRITICAL.
const CRITICAL: f64 = 0.25;
/// Below this share one that should have been renewed is a WARNING.
const WARNING: f64 = 0.5;
/// A renewal this late is no longer a matter of the timer's next tick.
const LATE: Duration = Duration::from_secs(2 * 3600);
/// Nobody looked for this long although it was time: the timer is probably dead.
const SILENCE: Duration = Duration::from_secs(24 * 3600);
/// What to do about silence.
pub(super) const TIMER: &str =
    "is the timer or cron job that runs `acmeagent renew` enabled, or its service with --loop up?";

/// Collects findings about one subject.
pub(crate) struct Findings {
    subject: String,
    pub(crate) found: Vec<Finding>,
}

impl Findings {
    pub(crate) fn about(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), found: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let (subject, message) = (self.subject.clone(), message.into());
        self.found.push(Finding { subject, reason, severity, message, hint: None });
    }

    /// Says of the last finding what to do about it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        if let Some(last) = self.found.last_mut() {
            last.hint = Some(hint.into());
        }
    }

    /// Judges the life that is left; `due` is when it should have been renewed, where that is known.
    pub(crate) fn judge_life(
        &mut self,
        validity: Validity,
        due: Option<Timestamp>,
        now: Timestamp,
    ) {
        let left = validity.left(now);
        let until =
            format!("until {} ({:.0} % of its life left)", validity.not_after, left * 100.0);
        let overdue = due.is_some_and(|due| due.plus(LATE) < now);
        if validity.not_after < now {
            self.add(Severity::Critical, "expired", format!("expired at {}", validity.not_after));
        } else if now < validity.not_before {
            self.add(
                Severity::Critical,
                "not_yet_valid",
                format!("not valid before {}", validity.not_before),
            );
        } else if left < CRITICAL {
            self.add(Severity::Critical, "expiry", format!("valid only {until}"));
        } else if left < WARNING && overdue {
            self.add(
                Severity::Warning,
                "expiry",
                format!("should have been renewed; valid {until}"),
            );
        } else {
            self.add(Severity::Ok, "expiry", format!("valid {until}"));
        }
    }

    /// Judges key, names, chain and dates together.
    pub(crate) fn judge_pair(
        &mut self,
        chain: &Chain,
        key: &Key,
        identifiers: &BTreeSet<Identifier>,
        roots: Option<&Roots>,
        now: Timestamp,
    ) {
        if !pair_matches(chain, key) {
            self.add(Severity::Critical, "key", "the key does not belong to the certificate");
            return;
        }
        self.judge_chain(chain, identifiers, roots, now);
    }

    /// Judges a chain as a client would.
    pub(crate) fn judge_chain(
        &mut self,
        chain: &Chain,
        identifiers: &BTreeSet<Identifier>,
        roots: Option<&Roots>,
        now: Timestamp,
    ) {
        let expectation = Expectation { identifiers, now, roots, profile: None };
        if let Err(refusal) = verify_served(chain, &expectation) {
            self.add(Severity::Critical, "certificate", refusal.to_string());
        }
    }
}

impl Agent {
    /// Inspects what is stored of a certificate of ours: settings, files, dates, plans, failures,
    /// pins. `None` if the store is too damaged to tell how it stands.
    ///
    /// With `roots` the chain must lead to them; without, only hold together.
    pub(super) fn audit(
        &self,
        name: &CertName,
        settings: Option<&CertSettings>,
        roots: Option<&Roots>,
        findings: &mut Findings,
    ) -> Result<Option<Standing>, Trouble> {
        let now = self.hands.clock.now();
        let standing = match self.standing(name) {
            Err(Trouble::Cause(crate::pipeline::Cause::Store(
                error @ StoreError::Damaged { .. },
            ))) => {
                findings.add(Severity::Critical, "store", error.to_string());
                findings.hint(format!("`acmeagent renew {name}` mends it"));
                return Ok(None);
            }
            standing => standing?,
        };
        self.audit_live(name, &standing, roots, findings)?;
        audit_advice(&standing, findings, now);
        self.audit_plans(&standing, settings, findings, now);
        if let Some(settings) = settings {
            underway::judge(name, &standing, settings, now, findings);
        }
        if let Some(too_coarse) = self.too_coarse(&standing) {
            findings.add(Severity::Warning, "cadence", too_coarse.to_string());
            findings.hint(OFTEN_ENOUGH);
        }
        Ok(Some(standing))
    }

    fn audit_live(
        &self,
        name: &CertName,
        standing: &Standing,
        roots: Option<&Roots>,
        findings: &mut Findings,
    ) -> Result<(), Trouble> {
        let now = self.hands.clock.now();
        let Some((generation, meta)) = &standing.live else {
            findings.add(Severity::Critical, "missing", "no certificate is live");
            findings.hint(format!("`acmeagent renew {name}` gets one"));
            return Ok(());
        };
        let stored = match self.store().read(name, *generation) {
            Err(error @ (StoreError::Damaged { .. } | StoreError::Refused { .. })) => {
                findings.add(Severity::Critical, "store", error.to_string());
                return Ok(());
            }
            stored => stored?,
        };
        match (Chain::parse(&stored.fullchain), Key::parse(&stored.privkey)) {
            (Ok(chain), Ok(key)) => {
                let identifiers = meta.identifiers.iter().cloned().collect();
                findings.judge_pair(&chain, &key, &identifiers, roots, now);
                if chain.earliest_expiry() < meta.validity.not_after {
                    let text =
                        format!("an issuer in its chain expires at {}", chain.earliest_expiry());
                    findings.add(Severity::Warning, "chain_expiry", text);
                }
            }
            (Err(error), _) => findings.add(Severity::Critical, "certificate", error.to_string()),
            (_, Err(error)) => findings.add(Severity::Critical, "key", error.to_string()),
        }
        let due = standing.facts.next_renewal.as_ref().map(|next| next.at);
        findings.judge_life(meta.validity, due, now);
        if standing.facts.bad.contains(generation) {
            findings.add(
                Severity::Critical,
                "bad",
                format!("generation {generation} is marked bad"),
            );
        }
        Ok(())
    }

    fn audit_plans(
        &self,
        standing: &Standing,
        settings: Option<&CertSettings>,
        findings: &mut Findings,
        now: Timestamp,
    ) {
        let facts = &standing.facts;
        if let Some(pin) = facts.pin {
            let text = format!("pinned at generation {} until {}", pin.generation, pin.until);
            let near = pin.until < now.plus(SILENCE);
            findings.add(if near { Severity::Warning } else { Severity::Ok }, "pin", text);
        }
        if let Some(failure) = &facts.last_failure {
            let (again, message) = (until_in_words(failure.retry_at, now), &failure.message);
            let text = match facts.failures {
                0 => format!("held up: {message} (next {again})"),
                failures => {
                    format!("{failures} failed attempts, the last: {message} (next {again})")
                }
            };
            findings.add(Severity::Warning, "failing", text);
        }
        if let Some(queued) = facts.deploy_queue.first() {
            let text = format!("generation {} was not put to use yet", queued.generation);
            findings.add(Severity::Warning, "deploy", text);
        }
        let Some(settings) = settings else {
            findings.add(
                Severity::Warning,
                "settings",
                "its settings file is missing: it is not renewed",
            );
            return;
        };
        if let Some((_, meta)) = &standing.live {
            let held: BTreeSet<&Identifier> = meta.identifiers.iter().collect();
            if held != settings.identifiers.iter().collect() {
                let text = "the settings want other names than the live certificate has";
                findings.add(Severity::Warning, "names", text);
            }
        }
        let overdue = facts.next_renewal.as_ref().map(|next| next.at);
        let overdue = overdue.filter(|at| at.plus(SILENCE) < now);
        if let Some(at) = overdue {
            let text = format!("no run took it up for {}", in_words(now.since(at)));
            findings.add(Severity::Critical, "silence", text);
            findings.hint(TIMER);
        }
    }
}

/// Judges what the CA last advised of the live certificate: a window that is over says that it is
/// about to be revoked, or should have been replaced for another reason.
fn audit_advice(standing: &Standing, findings: &mut Findings, now: Timestamp) {
    let Some((_, meta)) = &standing.live else { return };
    let ari = standing.facts.ari.as_ref().filter(|ari| meta.ari_id.as_ref() == Some(&ari.cert_id));
    let Some(ari) = ari.filter(|ari| ari.window.end().plus(LATE) < now) else { return };
    let text = format!("its CA wanted it replaced by {}", ari.window.end());
    findings.add(Severity::Warning, "ari", text);
    if let Some(url) = &ari.explanation_url {
        findings.hint(format!("{url} explains it"));
    }
}
