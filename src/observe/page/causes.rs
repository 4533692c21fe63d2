//! What failed and why, and what the CAs still allow.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::alert::{is_page, plain};
use super::rows::Judged;
use super::words::{When, percent};
use crate::model::outlook::{Allowance, Outlook, PausedName};
use crate::model::tally::Tally;
use crate::model::time::{Timestamp, in_words};

/// Failures of one kind.
#[derive(Debug, Serialize)]
pub(super) struct Cause {
    kind: String,
    count: u64,
    /// Of the most frequent one, in percent.
    width: f64,
    when: When,
    name: String,
    /// `None` where the certificate is no more.
    anchor: Option<usize>,
    message: String,
}

/// What one CA allows.
#[derive(Debug, Serialize)]
pub(super) struct Budget {
    ca: String,
    limits: Vec<Limit>,
    /// How many are left out.
    more: usize,
}

#[derive(Debug, Serialize)]
struct Limit {
    what: String,
    of: String,
    left: u32,
    tokens: u32,
    per: String,
    width: f64,
    /// How bad it is: `c`, `w` or nothing.
    level: &'static str,
}

/// An identifier that waits for a person.
#[derive(Debug, Serialize)]
pub(super) struct Pause {
    ca: String,
    identifier: String,
    page: String,
    /// Whether the page can be trusted with a click.
    is_link: bool,
}

/// So many limits of a CA are shown, those with the least left.
const MOST: usize = 24;

/// Counts of how runs ended, as in `41 renewed`, the most frequent first.
pub(super) fn ended(tally: &Tally) -> Vec<String> {
    let mut ended: Vec<_> = tally.ended.iter().collect();
    ended.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    ended.iter().map(|(word, count)| format!("{count} {}", word.replace('_', " "))).collect()
}

pub(super) fn causes(tally: &Tally, sorted: &[Judged<'_>], now: Timestamp) -> Vec<Cause> {
    let anchors = sorted.iter().enumerate().map(|(anchor, (one, _))| (one.name.as_str(), anchor));
    let anchors: BTreeMap<&str, usize> = anchors.collect();
    let most = tally.errors.values().map(|errors| errors.count).max().unwrap_or_default();
    let causes = tally.errors.iter().map(|(kind, errors)| Cause {
        kind: plain(kind),
        count: errors.count,
        width: share(errors.count, most),
        when: When::of(errors.last_at, now),
        name: plain(&errors.last_name),
        anchor: anchors.get(errors.last_name.as_str()).copied(),
        message: plain(&errors.last_message),
    });
    let mut causes: Vec<Cause> = causes.collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    causes
}

#[expect(clippy::cast_precision_loss, reason = "the width of a bar")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { percent(part as f64 / whole as f64) }
}

pub(super) fn budgets(allowances: &[Allowance]) -> Vec<Budget> {
    let mut by_ca: BTreeMap<&str, Vec<&Allowance>> = BTreeMap::new();
    for allowance in allowances {
        by_ca.entry(&allowance.ca).or_default().push(allowance);
    }
    let budgets = by_ca.into_iter().map(|(ca, mut allowances)| {
        allowances.sort_by_key(|one| {
            (u64::from(one.left) * 1000 / u64::from(one.tokens.max(1)), &one.of)
        });
        let more = allowances.len().saturating_sub(MOST);
        let limits = allowances.into_iter().take(MOST).map(limit).collect();
        Budget { ca: plain(ca), limits, more }
    });
    budgets.collect()
}

fn limit(allowance: &Allowance) -> Limit {
    let Allowance { limit, of, left, tokens, per, .. } = allowance;
    Limit {
        what: words(limit),
        of: plain(of),
        left: *left,
        tokens: *tokens,
        per: in_words(*per),
        width: share((*left).into(), (*tokens).into()),
        level: match left {
            0 => "c",
            left if left * 5 <= *tokens => "w",
            _ => "",
        },
    }
}

fn words(limit: &str) -> String {
    match limit {
        "ca" => "requests".to_owned(),
        "registrations" => "new accounts".to_owned(),
        "orders" => "new orders".to_owned(),
        "domain" => "certificates for".to_owned(),
        "exact_set" => "certificates for exactly".to_owned(),
        "failed_authorizations" => "failed authorizations of".to_owned(),
        other => plain(other),
    }
}

pub(super) fn pauses(outlook: &Outlook) -> Vec<Pause> {
    let pauses = outlook.paused.iter().map(|PausedName { ca, identifier, page }| Pause {
        ca: plain(ca),
        identifier: identifier.to_string(),
        is_link: is_page(page),
        page: plain(page),
    });
    pauses.collect()
}
