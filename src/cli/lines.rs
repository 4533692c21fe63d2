//! What is told of one certificate, to people and to programs.

use super::exit::Exit;
use super::failure;
use super::report::{CertificateLine, Failure, NextRenewal, PhaseTime, printable};
use crate::agent::authorities::EMBEDDED;
use crate::agent::underway::progress;
use crate::agent::{Done, Ended, Standing, Trouble};
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::model::proof::Proof;
use crate::model::time::{Timestamp, Validity, in_words};
use crate::pipeline::Cause;
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
        proved: meta.map(|meta| meta.proof.clone()).filter(|proof| *proof != Proof::default()),
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
        Ended::Soaking => "soaking",
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
    match &done.trouble {
        _ if done.ended == Ended::NeedsOperator => told.hints.extend(by_hand(done)),
        Some(Trouble::Halted { .. }) => told.hints.push(format!(
            "mend the cause, then let it go on: acmeagent renew {name} --force \
             (what became of each generation: acmeagent rollback {name} --list)",
            name = done.name
        )),
        Some(Trouble::RollingOut) => told.hints.push(format!(
            "`acmeagent status {name}` shows how far it is; `acmeagent rollback {name}` ends it",
            name = done.name
        )),
        _ if told.hints.is_empty() => told.hints.extend(once_mended(done)),
        _ => {}
    }
    // A failed order nobody needed yet is not tried again before it is due.
    let due = line.next_renewal.as_ref().map(|next| next.at);
    let last = done.standing.facts.last_failure.as_ref();
    let retry_at = last.map(|last| due.map_or(last.retry_at, |due| due.max(last.retry_at)));
    let queued = done.standing.facts.deploy_queue.iter().map(|queued| queued.next_at).min();
    let halted = matches!(done.trouble, Some(Trouble::Halted { .. }));
    told.retry_at = retry_at.or(queued).or(told.retry_at).filter(|_| !halted);
    let live = if done.is_readable { served(line, now) } else { "could not be read".to_owned() };
    told.standing.push(("live", live));
    told.standing.extend(became(done).map(|text| ("deploy", text)));
    if done.unkept {
        told.standing.push(("next", "the new settings were not kept: run this again".to_owned()));
    } else if let Some(at) = told.retry_at.filter(|_| done.standing.newest.is_some()) {
        told.standing.push(("next", next_attempt(done, at, now)));
    }
    Some(told)
}

/// Why nothing was done, if that is not as a matter of course.
fn nothing_to_do(done: &Done) -> String {
    match (&done.standing.newest, done.frozen_until) {
        (Some((newest, _)), Some(until))
            if done.standing.live.as_ref().map(|(g, _)| g) != Some(newest) =>
        {
            format!("generation {newest} waits: the settings want no change until {until}")
        }
        _ => "nothing to do".to_owned(),
    }
}

/// What an operator can do where the agent cannot go on by itself.
fn by_hand(done: &Done) -> [String; 3] {
    let name = &done.name;
    let live = done.standing.live.as_ref().map_or(Generation::FIRST, |(live, _)| *live);
    let refused = match &done.trouble {
        Some(Trouble::Cause(Cause::Stuck { rollback, .. })) => match **rollback {
            Cause::NoWayBack { generation, .. } => Some(generation),
            _ => None,
        },
        _ => None,
    };
    let last = match refused {
        Some(earlier) => {
            format!(
                "or go back whatever it is worth: acmeagent rollback {name} --to {earlier} --force"
            )
        }
        None => format!(
            "or have its servers told once more of what is live: acmeagent rollback {name} --to {live}"
        ),
    };
    let facts = &done.standing.facts;
    // What waits to be put to use is no reason to order another.
    let again =
        match facts.deploy_queue.iter().any(|queued| !facts.bad.contains(&queued.generation)) {
            true => format!("mend what failed, then run: acmeagent renew {name}"),
            false => format!("get another certificate: acmeagent renew {name} --force"),
        };
    [format!("see what is served: acmeagent check {name}"), again, last]
}

/// What became of a generation that is not in service.
fn became(done: &Done) -> Option<String> {
    let (newest, _) = done.standing.newest.as_ref()?;
    let is_live = done.standing.live.as_ref().is_some_and(|(live, _)| live == newest);
    let kept = done.standing.facts.deploy_queue.iter().any(|queued| queued.generation == *newest);
    match done.ended {
        _ if is_live || !kept => None,
        Ended::NotDeployed => Some(format!("generation {newest} waits; no server was touched")),
        Ended::RolledBack => Some(format!("generation {newest} was taken back, and waits")),
        _ => None,
    }
}

/// What is left to do about a server that did not take it.
fn once_mended(done: &Done) -> Option<String> {
    let (name, waits) = (&done.name, !done.standing.facts.deploy_queue.is_empty());
    let is_undeployed = matches!(done.ended, Ended::NotDeployed | Ended::RolledBack);
    is_undeployed.then(|| match waits {
        true => format!("mend that, then run: acmeagent renew {name} (nothing is ordered for it)"),
        false => format!("mend that, then order another: acmeagent renew {name} --force"),
    })
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
        Ended::Stocked => format!("issued and kept in the archive ({})", held_back(&done.standing)),
        Ended::Soaking => soaking(&done.standing, now),
        Ended::Deployed => format!("put generation {generation} into service"),
        Ended::NotDue => nothing_to_do(done),
        _ => return String::new(),
    };
    let names: Vec<String> = line.identifiers.iter().map(ToString::to_string).collect();
    let mut text = format!("{}: {did}\n", line.name);
    if let Some(why) = &done.why {
        text += &format!("  because    {why}\n");
    }
    let proof = line.proved.as_ref().filter(|_| matches!(done.ended, Ended::Renewed));
    if let Some(told) = proof.and_then(Proof::told) {
        text += &format!("  note       renewed by {}\n", printable(&told));
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

/// Why what was issued is not put to use.
fn held_back(standing: &Standing) -> String {
    let facts = &standing.facts;
    match (facts.pin, facts.halted) {
        (Some(_), _) => "live is pinned".to_owned(),
        (None, Some(since)) => format!("nothing is deployed since {since}"),
        (None, None) => "the settings want no change now".to_owned(),
    }
}

/// How far a rollout has come.
pub(super) fn soaking(standing: &Standing, now: Timestamp) -> String {
    let Some(intent) = &standing.facts.intent else { return "is being rolled out".to_owned() };
    format!("rolling out generation {}: {}", intent.to, progress(intent, now))
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
