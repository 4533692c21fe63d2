//! What is told of one certificate, to people and to programs.

use super::exit::Exit;
use super::failure;
use super::report::{CertificateLine, Failure, NextRenewal, PhaseTime};
use crate::agent::authorities::EMBEDDED;
use crate::agent::{Done, Ended, Standing};
use crate::model::name::CertName;
use crate::model::time::{Timestamp, Validity, in_words};
use crate::schedule::ladder::Rung;
use crate::schedule::{Exemption, until_in_words};
use crate::store::layout::Layout;

/// The facts of a certificate as it stands.
pub(crate) fn of_standing(
    name: &CertName,
    standing: &Standing,
    layout: &Layout,
    now: Timestamp,
) -> CertificateLine {
    let shown = standing.live.as_ref();
    let (generation, meta) = (shown.map(|(g, _)| *g), shown.map(|(_, meta)| meta));
    let validity = meta.map(|meta| meta.validity);
    let facts = &standing.facts;
    CertificateLine {
        name: name.clone(),
        identifiers: meta.map(|m| m.identifiers.iter().cloned().collect()).unwrap_or_default(),
        ca: meta.map(|meta| meta.ca.clone()),
        profile: meta.and_then(|meta| meta.profile.clone()),
        generation,
        pinned: facts.pin.is_some(),
        fingerprint_sha256: meta.map(|meta| meta.fingerprint.clone()),
        serial: meta.map(|meta| meta.serial.clone()),
        not_before: validity.map(|validity| validity.not_before),
        not_after: validity.map(|validity| validity.not_after),
        lifetime_left: validity.map(|validity| validity.left(now)),
        live_dir: layout.live(name).display().to_string(),
        next_renewal: facts.next_renewal.as_ref().map(|next| NextRenewal {
            at: next.at,
            source: next.source.clone(),
            reason: next.reason.clone(),
            window: facts.ari.as_ref().map(|ari| ari.window).filter(|_| next.source == "ari"),
            poll_ari_at: facts.ari.as_ref().map(|ari| ari.poll_at),
        }),
        outcome: None,
        ari_exempt: None,
        ari_exempt_reason: None,
        phases: Vec::new(),
        error: None,
    }
}

/// The facts of a certificate with what a run did for it.
pub(crate) fn of_done(done: &Done, layout: &Layout, now: Timestamp) -> CertificateLine {
    let mut line = of_standing(&done.name, &done.standing, layout, now);
    line.outcome = Some(outcome(done.ended));
    line.ari_exempt = done.ari_exempt.map(Exemption::holds);
    line.ari_exempt_reason = done.ari_exempt.map(|exemption| exemption.to_string());
    line.phases = (done.phases.iter())
        .map(|(phase, took)| PhaseTime {
            phase: phase.as_str(),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
        .collect();
    line.error = error_of(done, &line, now);
    line
}

fn outcome(ended: Ended) -> &'static str {
    match ended {
        Ended::Renewed | Ended::Stocked | Ended::Deployed => "renewed",
        Ended::NotDue => "not_due",
        Ended::Retry => "retry",
        Ended::NotDeployed => "not_deployed",
        Ended::RolledBack => "rolled_back",
        Ended::NeedsOperator | Ended::Failed | Ended::Locked => "failed",
    }
}

/// The failure, with what every non-zero exit says: what is served, until when, what comes next.
fn error_of(done: &Done, line: &CertificateLine, now: Timestamp) -> Option<Failure> {
    let exit = failure::exit_of(done);
    let mut told = match &done.trouble {
        Some(trouble) => failure::of(trouble),
        None if exit == Exit::Ok => return None,
        None if exit == Exit::Partial => left_out(done),
        None => {
            let last = done.standing.facts.last_failure.as_ref();
            let message = last.map_or("waiting for the next attempt", |last| last.message.as_str());
            Failure::new(exit, format!("still failing: {message}"))
        }
    };
    told.exit = at_risk(exit, line, now);
    if told.exit == Exit::Locked {
        return Some(told);
    }
    // A failed order nobody needed yet is not tried again before it is due.
    let due = line.next_renewal.as_ref().map(|next| next.at);
    let last = done.standing.facts.last_failure.as_ref();
    let retry_at = last.map(|last| due.map_or(last.retry_at, |due| due.max(last.retry_at)));
    let queued = done.standing.facts.deploy_queue.iter().map(|queued| queued.next_at).min();
    told.retry_at = retry_at.or(queued).or(told.retry_at);
    let live = if done.is_readable { served(line, now) } else { "could not be read".to_owned() };
    told.standing.push(("live", live));
    if done.unkept {
        told.standing.push(("next", "the new settings were not kept: run this again".to_owned()));
    } else if let Some(at) = told.retry_at.filter(|_| done.standing.newest.is_some()) {
        told.standing.push(("next", next_attempt(done, at, now)));
    }
    Some(told)
}

/// The names that had to be left out of what was issued.
fn left_out(done: &Done) -> Failure {
    let names: Vec<String> = done.left_out.iter().map(ToString::to_string).collect();
    let message = format!("issued without {}: the CA does not certify it", names.join(", "));
    let last = done.standing.facts.last_failure.as_ref();
    let causes = last.map(|last| last.message.clone()).into_iter().collect();
    Failure { causes, ..Failure::new(Exit::Partial, message) }
}

/// When it is tried again, and how often still.
fn next_attempt(done: &Done, at: Timestamp, now: Timestamp) -> String {
    let when = until_in_words(at, now);
    let text = format!("`acmeagent renew` tries again from {at} on ({when})");
    let live = done.standing.live.as_ref();
    match (
        done.attempts_left(at.max(now)),
        live.is_some_and(|(_, meta)| meta.validity.not_after > now),
    ) {
        (Some(attempts), true) => {
            format!("{text}; {attempts} attempts are possible before what is served expires")
        }
        _ => text,
    }
}

/// Failing is worse when little life is left.
fn at_risk(exit: Exit, line: &CertificateLine, now: Timestamp) -> Exit {
    let near_its_end = line.validity().is_some_and(|v| Rung::at(Some(v), now) == Rung::AtRisk);
    if near_its_end && matches!(exit, Exit::Retry | Exit::Config) { Exit::AtRisk } else { exit }
}

fn served(line: &CertificateLine, now: Timestamp) -> String {
    match (line.generation, line.not_after) {
        (Some(generation), Some(until)) if until > now => {
            let left = in_words(until.since(now));
            format!("generation {generation}, valid until {until} ({left} left)")
        }
        (Some(generation), Some(until)) => {
            format!("generation {generation}, which EXPIRED at {until}")
        }
        _ => "nothing".to_owned(),
    }
}

/// What a person wants to read after a run.
pub(crate) fn text(line: &CertificateLine, done: &Done, layout: &Layout, now: Timestamp) -> String {
    let Some((generation, validity)) = line.generation.zip(line.validity()) else {
        return String::new();
    };
    let did = match done.ended {
        Ended::Renewed => format!("issued generation {generation}"),
        Ended::Stocked => "issued and kept in the archive (live is pinned)".to_owned(),
        Ended::Deployed => format!("put generation {generation} into service"),
        Ended::NotDue => "nothing to do".to_owned(),
        _ => return String::new(),
    };
    let names: Vec<String> = line.identifiers.iter().map(ToString::to_string).collect();
    let mut text = format!("{}: {did}\n", line.name);
    if let Some(why) = &done.why {
        text += &format!("  because    {why}\n");
    }
    text += &format!("  certifies  {}\n", names.join(", "));
    text +=
        &format!("  from       {}, {}\n", line.ca.as_deref().unwrap_or("?"), kind(line, validity));
    if line.ca.as_deref() == Some(EMBEDDED) {
        let root = layout.embedded_ca();
        text +=
            &format!("  trusted    by nobody: the CA of this try-out is in {}\n", root.display());
    }
    text += &format!("  valid      until {}\n", span(validity.not_after, now));
    if let Some(next) = &line.next_renewal {
        text += &format!("  renewal    {}: {}\n", span(next.at, now), next.reason);
    }
    text += &format!("  files      {}/{{fullchain,privkey,cert,chain}}.pem\n", line.live_dir);
    if let Some(why) = done.ari_exempt.filter(|e| !e.holds() && generation.number() > 1) {
        text += &format!("  limits     this order counts against the CA's rate limits ({why})\n");
    }
    text
}

/// As in `a 160-hour shortlived certificate`.
fn kind(line: &CertificateLine, validity: Validity) -> String {
    let hours = validity.lifetime().as_secs() / 3600;
    let life = if hours < 240 { format!("{hours}-hour") } else { format!("{}-day", hours / 24) };
    let profile = line.profile.as_ref().map(|profile| format!(" `{profile}`")).unwrap_or_default();
    format!("a {life}{profile} certificate")
}

fn span(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", until_in_words(at, now))
}
