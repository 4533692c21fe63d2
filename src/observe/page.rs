//! The status page: how everything stands, in one HTML document that needs nothing else.
//!
//! What it shows is computed here, purely; the template only places it, and escapes all of it. There
//! is no script in it, and by its own policy a browser loads nothing for it.

mod axis;
mod causes;
mod latency;
mod rotation;
mod rows;
mod words;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::alert::{Condition, rules};
use crate::model::outlook::{Held, Outlook};
use crate::model::time::Timestamp;
use axis::{Axis, Mark};
use causes::{Budget, Cause, Pause};
use latency::Latency;
use rotation::Rotation;
use rows::{Group, level};
use words::{Hint, When, from_now, readable};

/// So many of what holds are told at the head of the page.
const MOST_NEEDS: usize = 6;

/// Everything the page shows.
#[derive(Debug, Serialize)]
struct View {
    style: &'static str,
    version: &'static str,
    host: String,
    at: When,
    verdict: Verdict,
    facts: Vec<Fact>,
    needs: Vec<Need>,
    more_needs: Vec<Need>,
    now: f64,
    marks: Vec<Mark>,
    groups: Vec<Group>,
    rotation: Rotation,
    latency: Latency,
    causes: Vec<Cause>,
    ended: Vec<String>,
    since: When,
    budgets: Vec<Budget>,
    paused: Vec<Pause>,
}

/// The line above all.
#[derive(Debug, Serialize)]
struct Verdict {
    /// How bad it is: `c`, `w` or nothing.
    level: &'static str,
    words: String,
}

/// A number that says how everything goes.
#[derive(Debug, Serialize)]
struct Fact {
    label: &'static str,
    value: String,
    detail: String,
    level: &'static str,
}

/// Something a person should do.
#[derive(Debug, Serialize)]
struct Need {
    level: &'static str,
    severity: &'static str,
    title: String,
    text: String,
    hint: Hint,
    link: Option<String>,
}

/// Writes the page.
pub(crate) fn page(outlook: &Outlook) -> String {
    let view = Value::from(Serde(view(outlook)));
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    let mut templates = Environment::new();
    templates.set_syntax(syntax.expect("these are the usual delimiters"));
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let page = templates.template_from_named_str("page.html", include_str!("page/page.html"));
    let page = page.expect("the tests render it");
    page.render(view).expect("the template fits the view, as the tests show")
}

fn view(outlook: &Outlook) -> View {
    let now = outlook.at;
    let holding = rules::judge(outlook).holding;
    let sorted = rows::sorted(outlook, &holding);
    let axis = Axis::of(outlook);
    let mut needs: Vec<Need> = holding.iter().map(|one| need(one, now)).collect();
    let more_needs = needs.split_off(MOST_NEEDS.min(needs.len()));
    View {
        style: include_str!("page/page.css"),
        version: env!("CARGO_PKG_VERSION"),
        host: super::alert::plain(&outlook.host),
        at: When::of(now, now),
        verdict: verdict(outlook, &holding),
        facts: facts(outlook),
        needs,
        more_needs,
        now: axis.now(),
        marks: axis.marks(),
        groups: rows::groups(&sorted, &axis, now),
        rotation: rotation::rotation(&sorted, now),
        latency: latency::latency(&sorted, now),
        causes: causes::causes(&outlook.tally, &sorted, now),
        ended: causes::ended(&outlook.tally),
        since: When::of(outlook.tally.since, now),
        budgets: causes::budgets(&outlook.allowances),
        paused: causes::pauses(outlook),
    }
}

fn verdict(outlook: &Outlook, holding: &[Condition]) -> Verdict {
    // Several things may hold of one.
    let mut subjects: Vec<_> = holding.iter().map(|one| one.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let words = match (subjects.len(), outlook.certificates.len()) {
        (0, 0) => "No certificates yet".to_owned(),
        (0, _) => "All well".to_owned(),
        (1, _) => "1 needs you".to_owned(),
        (several, _) => format!("{several} need you"),
    };
    Verdict { level: level(holding.iter().map(|one| one.severity).max()), words }
}

fn need(condition: &Condition, now: Timestamp) -> Need {
    Need {
        level: level(Some(condition.severity)),
        severity: condition.severity.as_str(),
        title: condition.title.clone(),
        text: readable(&condition.text, now),
        hint: Hint::of(&condition.hint),
        link: condition.page().map(str::to_owned),
    }
}

fn facts(outlook: &Outlook) -> Vec<Fact> {
    let now = outlook.at;
    let all = &outlook.certificates;
    let failing = all.iter().filter(|one| one.failures > 0).count();
    let failing = if failing == 0 { "none fails".to_owned() } else { format!("{failing} failing") };
    let mut facts = vec![Fact {
        label: if all.len() == 1 { "certificate" } else { "certificates" },
        value: all.len().to_string(),
        detail: failing,
        level: "",
    }];
    let next = all.iter().filter_map(|one| Some((one.next.as_ref()?.at, &one.name))).min();
    facts.extend(next.map(|(at, name)| Fact {
        label: "next renewal",
        value: from_now(at.max(now), now),
        detail: name.to_string(),
        level: "",
    }));
    let ends = |live: &Held| live.validity.not_after;
    let first = all.iter().filter_map(|one| Some((ends(one.live.as_ref()?), &one.name))).min();
    facts.extend(first.map(|(at, name)| Fact {
        label: "first to expire",
        value: from_now(at, now),
        detail: name.to_string(),
        level: if at <= now { "c" } else { "" },
    }));
    facts.push(match (outlook.runs.last_good, outlook.runs.silence(now)) {
        (Some(at), silence) => Fact {
            label: "last good run",
            value: from_now(at, now),
            detail: match silence {
                Some(_) => "silent for too long".to_owned(),
                None => "by itself".to_owned(),
            },
            level: if silence.is_some() { "c" } else { "" },
        },
        (None, _) => Fact {
            label: "last good run",
            value: "none yet".to_owned(),
            detail: "no timer has run it".to_owned(),
            level: "",
        },
    });
    facts
}

#[cfg(test)]
mod tests;
