//! When certificates are renewed, and what their CAs allow.

use std::collections::BTreeMap;

use super::{
    Alarm, Labelled, Metric, Panel, Shape, Source, Worse, claim, count, gauge, time, until,
};
use crate::model::outlook::{Allowance, Outlook};

const OF_A_LIMIT: &[&str] = &["ca", "limit", "of"];

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "acmeagent_renewal_planned_timestamp_seconds",
        "When the next renewal is planned.",
        Source::Each(|one, _| Some(time(one.next.as_ref()?.at))),
    ),
    gauge(
        "acmeagent_renewal_runway_seconds",
        "Time to the planned renewal; negative once that is overdue.",
        Source::Each(|one, now| Some(until(one.next.as_ref()?.at, now))),
    )
    .shown(Panel {
        title: "Time to the planned renewal",
        shape: Shape::Bars,
        unit: "s",
        expr: "acmeagent_renewal_planned_timestamp_seconds{$each} - time()",
        legend: "{{certificate}}",
    }),
    gauge(
        "acmeagent_renewal_last_safe_attempt_timestamp_seconds",
        "The last instant at which an attempt still comes in time.",
        Source::Each(|one, _| Some(time(one.last_safe_attempt?))),
    ),
    gauge(
        "acmeagent_renewal_safe_runway_seconds",
        "Time to the last attempt that still comes in time; negative once that is past.",
        Source::Each(|one, now| Some(until(one.last_safe_attempt?, now))),
    )
    .shown(Panel {
        title: "Time to the last safe attempt",
        shape: Shape::Lines,
        unit: "s",
        expr: "acmeagent_renewal_last_safe_attempt_timestamp_seconds{$each} - time()",
        legend: "{{certificate}}",
    }),
    gauge(
        "acmeagent_renewal_attempts_left",
        "Attempts that would be made before what is live expires, should all fail.",
        Source::Each(|one, _| one.attempts_left.map(f64::from)),
    )
    .shown(Panel {
        title: "Attempts left",
        shape: Shape::Bars,
        unit: "short",
        expr: "acmeagent_renewal_attempts_left{$each}",
        legend: "{{certificate}}",
    }),
    gauge(
        "acmeagent_renewal_in_window",
        "1 within the window in which the CA wants the renewal (RFC 9773), else 0.",
        Source::Each(|one, now| claim(one, one.advice.as_ref()?.window.contains(now))),
    ),
    gauge(
        "acmeagent_ari_age_seconds",
        "Time since the CA was last asked for that window.",
        Source::Each(|one, now| Some(until(now, one.advice.as_ref()?.fetched_at))),
    )
    .shown(Panel {
        title: "Age of what the CA advised",
        shape: Shape::Lines,
        unit: "s",
        expr: "acmeagent_ari_age_seconds{$each}",
        legend: "{{certificate}}",
    }),
    gauge(
        "acmeagent_ari_poll_timestamp_seconds",
        "When the CA is to be asked for that window again.",
        Source::Each(|one, _| Some(time(one.advice.as_ref()?.poll_at))),
    ),
    gauge(
        "acmeagent_budget_left",
        "What a CA still allows under one of its limits.",
        Source::By(OF_A_LIMIT, |outlook| allowances(outlook, |one| one.left)),
    )
    .shown(Panel {
        title: "Share left of what CAs allow",
        shape: Shape::Bars,
        unit: "percentunit",
        expr: "acmeagent_budget_left{$host} / acmeagent_budget_tokens{$host}",
        legend: "{{ca}} {{limit}} {{of}}",
    })
    .alarming(Alarm {
        name: "AcmeagentBudgetSpent",
        expr: "acmeagent_budget_left == 0",
        worse: Worse::Below,
        warning: Some(&[]),
        critical: None,
        lasting: "15m",
        summary: "nothing is left of the limit {{ $labels.limit }} of {{ $labels.ca }}",
        description: "Orders that count against it ({{ $labels.of }}) wait until it fills again. \
                      See what waits: acmeagent renew --plan",
    }),
    gauge(
        "acmeagent_budget_tokens",
        "What a CA allows in all under one of its limits.",
        Source::By(OF_A_LIMIT, |outlook| allowances(outlook, |one| one.tokens)),
    ),
    gauge(
        "acmeagent_paused_identifiers",
        "Names a CA takes no orders for until a person has visited a page.",
        Source::By(&["ca"], paused),
    )
    .shown(Panel {
        title: "Paused names",
        shape: Shape::Number,
        unit: "short",
        expr: "sum(acmeagent_paused_identifiers{$host})",
        legend: "",
    })
    .alarming(Alarm {
        name: "AcmeagentNamesPaused",
        expr: "acmeagent_paused_identifiers > 0",
        worse: Worse::Above,
        warning: Some(&[]),
        critical: None,
        lasting: "5m",
        summary: "{{ $labels.ca }} takes no orders for {{ $value }} names",
        description: "It wants a person to visit a page first. \
                      See which page: acmeagent status",
    }),
];

fn allowances(outlook: &Outlook, number: fn(&Allowance) -> u32) -> Labelled<'_, f64> {
    let mut found: Labelled<'_, f64> = Vec::new();
    for one in &outlook.allowances {
        let Allowance { ca, limit, of, .. } = one;
        found.push((vec![ca.into(), limit.into(), of.into()], f64::from(number(one))));
    }
    found
}

/// Of every CA that is known, so that there is a zero once nothing is paused any more.
fn paused(outlook: &Outlook) -> Labelled<'_, f64> {
    let cas = outlook.certificates.iter().filter_map(|one| one.ca.as_deref());
    let mut paused: BTreeMap<&str, usize> = cas.map(|ca| (ca, 0)).collect();
    for one in &outlook.paused {
        *paused.entry(&one.ca).or_default() += 1;
    }
    paused.into_iter().map(|(ca, names)| (vec![ca.into()], count(names))).collect()
}
