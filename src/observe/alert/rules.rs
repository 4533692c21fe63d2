//! Which conditions hold. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Condition, Rule, Severity, plain};
use crate::model::outlook::{Outlook, PausedName, Prospect};
use crate::model::time::{Timestamp, in_words};

/// Below so much of a life, and so much time, it is told that little is left.
pub(in crate::observe) const LITTLE: (f64, Duration) = (0.45, Duration::from_secs(72 * 3600));
/// The same, when it is critical.
pub(in crate::observe) const LAST: (f64, Duration) = (0.15, Duration::from_secs(24 * 3600));
/// One failure is a hiccup: the next attempt comes soon.
const FAILURES: u32 = 2;
/// Unless so few attempts are left.
const FEW_ATTEMPTS: u32 = 5;
/// A target that did not take a certificate for so long after it was issued is told of. CAs make
/// certificates valid up to an hour before they issue them.
const UNDEPLOYED: Duration = Duration::from_secs(2 * 3600);

/// What holds, and of what that cannot be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judgement {
    /// The worst first.
    pub(crate) holding: Vec<Condition>,
    /// Certificates of which nothing can be read: what held of them may hold or not.
    pub(crate) unknown: BTreeSet<String>,
}

/// Says which conditions hold.
pub(crate) fn judge(outlook: &Outlook) -> Judgement {
    let mut holding: Vec<Condition> = silence(outlook).into_iter().collect();
    for one in &outlook.certificates {
        holding.extend(OF_CERTIFICATES.iter().filter_map(|rule| rule(one, outlook.at)));
    }
    holding.extend(outlook.paused.iter().map(|paused| is_paused(paused, outlook)));
    holding.sort_by_cached_key(|one| (std::cmp::Reverse(one.severity), one.key()));
    let unreadable = outlook.certificates.iter().filter(|one| one.unreadable.is_some());
    let unknown = unreadable.map(|one| one.name.to_string()).collect();
    Judgement { holding, unknown }
}

type OfCertificate = fn(&Prospect, Timestamp) -> Option<Condition>;

const OF_CERTIFICATES: [OfCertificate; 7] =
    [failing, runway, rolled_back, not_deployed, served_wrong, revoked, unreadable];

/// A condition of a certificate; `title` goes on where its name ends.
fn of(one: &Prospect, rule: Rule, severity: Severity, title: &str) -> Condition {
    let name = one.name.to_string();
    Condition {
        rule,
        severity,
        title: plain(&format!("{name} {title}")),
        text: String::new(),
        hint: String::new(),
        link: None,
        certificate: Some(name.clone()),
        subject: name,
    }
}

fn until(one: &Prospect, now: Timestamp) -> String {
    match &one.live {
        None => "nothing is live".to_owned(),
        Some(live) if live.validity.not_after < now => {
            format!("what is live expired at {}", live.validity.not_after)
        }
        Some(live) => {
            let left = in_words(live.validity.not_after.since(now));
            format!("what is live is valid until {} ({left})", live.validity.not_after)
        }
    }
}

fn failing(one: &Prospect, now: Timestamp) -> Option<Condition> {
    let few = one.attempts_left.is_some_and(|left| left < FEW_ATTEMPTS);
    let tells = one.at_risk || one.failures >= FAILURES || (one.failures > 0 && few);
    let failed = one.last_failure.as_ref().filter(|_| tells)?;
    let (severity, title) = match one.at_risk {
        true => (Severity::Critical, "is not renewed and AT_RISK"),
        false => (Severity::Warning, "is not renewed"),
    };
    let attempts = match one.attempts_left {
        Some(left) => format!(", {left} more attempts fit before it expires"),
        None => String::new(),
    };
    let text = format!(
        "{} failed attempts, the last at {}: {}; the next is at {}; {}{attempts}",
        one.failures,
        failed.at,
        failed.message,
        failed.retry_at,
        until(one, now),
    );
    let hint = format!("run `acmeagent doctor {}`", one.name);
    let link = one.advice.as_ref().and_then(|advice| advice.explanation_url.clone());
    Some(Condition { text: plain(&text), hint, link, ..of(one, Rule::Failing, severity, title) })
}

/// Whether less is left than this share of the life, and than this time.
fn is_below(left: Duration, life: Duration, (share, most): (f64, Duration)) -> bool {
    left < life.mul_f64(share).min(most)
}

fn runway(one: &Prospect, now: Timestamp) -> Option<Condition> {
    let (validity, left) = (one.live.as_ref()?.validity, one.runway(now)?);
    let severity = match () {
        () if is_below(left, validity.lifetime(), LAST) => Severity::Critical,
        () if is_below(left, validity.lifetime(), LITTLE) => Severity::Warning,
        () => return None,
    };
    let expired = validity.not_after < now;
    let title = if expired { "has EXPIRED" } else { "expires soon" };
    let next = match &one.next {
        Some(next) => format!("; its renewal is planned for {} ({})", next.at, next.reason),
        None => "; no renewal is planned".to_owned(),
    };
    let held = [
        one.pinned_until.map(|until| format!("; it is pinned until {until}")),
        one.frozen_until.map(|until| format!("; deploys are frozen until {until}")),
        one.rollout.as_ref().map(|rollout| format!("; {}", rollout.text)),
    ];
    let held: String = held.into_iter().flatten().collect();
    let text = plain(&format!("{}{next}{held}", until(one, now)));
    let hint = format!("run `acmeagent renew {}` and see what it says", one.name);
    Some(Condition { text, hint, ..of(one, Rule::Runway, severity, title) })
}

fn rolled_back(one: &Prospect, _: Timestamp) -> Option<Condition> {
    let last = one.rollbacks.iter().max();
    let why = one.generations.iter().rev().find_map(|held| match &held.fate {
        Some((fate, why)) if fate == "rolled_back" => {
            Some(format!(": generation {}: {why}", held.generation))
        }
        _ => None,
    });
    let why = why.unwrap_or_default();
    let name = &one.name;
    if let Some(since) = one.halted_since {
        let text = format!("nothing is deployed since {since}: too many were rolled back{why}");
        let hint = format!("mend the cause, then `acmeagent rollback --unpin {name}`");
        let held = of(one, Rule::RolledBack, Severity::Critical, "is not deployed any more");
        return Some(Condition { text: plain(&text), hint, ..held });
    }
    let text = format!("{} rolled back in 24 h, last at {}{why}", one.rollbacks.len(), last?);
    let hint = format!("run `acmeagent rollback --list {name}` to see what was wrong");
    let told = of(one, Rule::RolledBack, Severity::Warning, "was rolled back");
    Some(Condition { text: plain(&text), hint, ..told })
}

fn not_deployed(one: &Prospect, now: Timestamp) -> Option<Condition> {
    let issued = |number| {
        let held = one.generations.iter().find(|held| held.generation == number);
        held.map(|held| held.validity.not_before)
    };
    let waits_long = |number| issued(number).is_none_or(|at: Timestamp| now.since(at) > UNDEPLOYED);
    let late: Vec<_> = one.queue.iter().filter(|wait| waits_long(wait.generation)).collect();
    let first = late.first()?;
    let targets: Vec<&str> = late.iter().map(|wait| wait.target.as_str()).collect();
    let text = format!(
        "generation {} is still to be taken by {} after {} attempts; the next is at {}; {}",
        first.generation,
        targets.join(", "),
        first.attempts,
        first.next_at,
        until(one, now),
    );
    let hint = format!("run `acmeagent renew {}` and see what the target says", one.name);
    let told = of(one, Rule::NotDeployed, Severity::Warning, "is not deployed everywhere");
    Some(Condition { text: plain(&text), hint, ..told })
}

fn served_wrong(one: &Prospect, _: Timestamp) -> Option<Condition> {
    let mut wrong = one.seen().filter(|(_, seen)| !seen.serves).peekable();
    wrong.peek()?;
    let told = wrong.map(|(place, seen)| {
        let problem = seen.problem.as_deref().unwrap_or("it does not serve what is live");
        format!("{place}: {problem} (seen at {})", seen.at)
    });
    let text = plain(&told.collect::<Vec<_>>().join("; "));
    let hint = format!("run `acmeagent check {}`; is the server up and reloaded?", one.name);
    let wrong = of(one, Rule::ServedWrong, Severity::Critical, "is not what is served");
    Some(Condition { text, hint, ..wrong })
}

fn revoked(one: &Prospect, now: Timestamp) -> Option<Condition> {
    let live = one.live.as_ref()?;
    let by_us = live.fate.as_ref().filter(|(fate, _)| fate == "revoked");
    let by_ca = one.observed.revocation.as_ref();
    let by_ca = by_ca.filter(|(at, state)| state == "revoked" && *at >= live.validity.not_before);
    let why = match (by_us, by_ca) {
        (Some((_, why)), _) => why.clone(),
        (None, Some((at, _))) => format!("its CA said so at {at}"),
        (None, None) => return None,
    };
    let text =
        plain(&format!("generation {} is revoked: {why}; {}", live.generation, until(one, now)));
    let hint = format!("run `acmeagent renew --force {}`", one.name);
    let link = one.advice.as_ref().and_then(|advice| advice.explanation_url.clone());
    let revoked = of(one, Rule::Revoked, Severity::Critical, "is REVOKED and still live");
    Some(Condition { text, hint, link, ..revoked })
}

fn unreadable(one: &Prospect, _: Timestamp) -> Option<Condition> {
    let text = plain(one.unreadable.as_deref()?);
    let hint = format!("run `acmeagent check {}`; see acmeagent-store(5)", one.name);
    let told = of(one, Rule::Unreadable, Severity::Critical, "cannot be read from the store");
    Some(Condition { text, hint, ..told })
}

fn is_paused(paused: &PausedName, outlook: &Outlook) -> Condition {
    let PausedName { ca, identifier, page } = paused;
    let mut concerned =
        outlook.certificates.iter().filter(|one| one.identifiers.contains(identifier));
    Condition {
        rule: Rule::Paused,
        subject: plain(&format!("{ca}/{identifier}")),
        certificate: concerned.next().map(|one| one.name.to_string()),
        severity: Severity::Warning,
        title: plain(&format!("{identifier} is paused at {ca}")),
        text: plain(&format!("{ca} takes no orders for {identifier} until a person unpauses it")),
        hint: plain(&format!("mend what made orders fail, then visit {page}")),
        link: Some(page.clone()),
    }
}

fn silence(outlook: &Outlook) -> Option<Condition> {
    let silent = outlook.runs.silence(outlook.at)?;
    let good = outlook.runs.last_good?;
    let last = outlook.runs.last.map(|at| format!("; the last run was at {at}"));
    let text = format!("the last good run was at {good}{}", last.unwrap_or_default());
    Some(Condition {
        rule: Rule::Silence,
        subject: plain(&outlook.host),
        certificate: None,
        severity: Severity::Critical,
        title: plain(&format!("no good run for {}", in_words(silent))),
        text,
        hint: "run `acmeagent renew` and see what it says".to_owned(),
        link: None,
    })
}

#[cfg(test)]
mod tests;
