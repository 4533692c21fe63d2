//! What is held and served.

use std::borrow::Cow;

use super::{
    Alarm, Labelled, Metric, Panel, Shape, Source, Worse, claim, count, gauge, life, time, told,
};
use crate::model::outlook::Prospect;
use crate::observe::alert::rules::{LAST, LITTLE};

/// The limits of our own alerts, for those of Prometheus.
const LITTLE_LEFT: &[f64] = &[LITTLE.0, LITTLE.1.as_secs_f64()];
const LAST_LEFT: &[f64] = &[LAST.0, LAST.1.as_secs_f64()];

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "acmeagent_certificates",
        "Certificates there are, those that cannot be read too.",
        Source::Whole(|outlook| Some(count(outlook.certificates.len()))),
    )
    .shown(Panel {
        title: "Certificates",
        shape: Shape::Number,
        unit: "short",
        expr: "sum(acmeagent_certificates{$host})",
        legend: "",
    }),
    gauge(
        "acmeagent_certificate_info",
        "Always 1; what is known of what is live stands in the labels.",
        Source::EachBy(&["ca", "profile", "generation"], info),
    ),
    gauge(
        "acmeagent_certificate_not_before_timestamp_seconds",
        "When what is live began to be valid.",
        Source::Each(|one, _| Some(time(life(one)?.not_before))),
    ),
    gauge(
        "acmeagent_certificate_not_after_timestamp_seconds",
        "When what is live expires.",
        Source::Each(|one, _| Some(time(life(one)?.not_after))),
    )
    .shown(Panel {
        title: "Life left of what is live",
        shape: Shape::Bars,
        unit: "percentunit",
        expr: "(acmeagent_certificate_not_after_timestamp_seconds{$each} - time()) \
               / acmeagent_certificate_lifetime_seconds{$each}",
        legend: "{{certificate}}",
    })
    .alarming(Alarm {
        name: "AcmeagentCertificateExpires",
        expr: "acmeagent_certificate_not_after_timestamp_seconds - time() \
               < clamp_max($1 * acmeagent_certificate_lifetime_seconds, $2)",
        worse: Worse::Below,
        warning: Some(LITTLE_LEFT),
        critical: Some(LAST_LEFT),
        lasting: "5m",
        summary: "{{ $labels.certificate }} expires in {{ $value | humanizeDuration }}",
        description: "It should have been renewed long before. \
                      See why it was not: acmeagent doctor {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_certificate_lifetime_seconds",
        "How long what is live is valid in all.",
        Source::Each(|one, _| Some(life(one)?.lifetime().as_secs_f64())),
    ),
    gauge(
        "acmeagent_certificate_failures",
        "Attempts that failed since the last success.",
        Source::Each(|one, _| told(one, count(one.failures))),
    )
    .shown(Panel {
        title: "Failed attempts since the last success",
        shape: Shape::Lines,
        unit: "short",
        expr: "acmeagent_certificate_failures{$each} > 0",
        legend: "{{certificate}}",
    }),
    gauge(
        "acmeagent_certificate_at_risk",
        "1 while renewals fail and what is live will soon expire, else 0.",
        Source::Each(|one, _| claim(one, one.at_risk)),
    )
    .shown(Panel {
        title: "At risk",
        shape: Shape::Number,
        unit: "short",
        expr: "sum(acmeagent_certificate_at_risk{$host})",
        legend: "",
    })
    .alarming(Alarm {
        name: "AcmeagentCertificateAtRisk",
        expr: "acmeagent_certificate_at_risk == 1",
        worse: Worse::Above,
        warning: None,
        critical: Some(&[]),
        lasting: "1m",
        summary: "{{ $labels.certificate }} cannot be renewed and will soon expire",
        description: "Renewals fail, and little of its life is left. \
                      See why they do: acmeagent doctor {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_certificate_unreadable",
        "1 where a certificate or its settings cannot be read, else 0.",
        Source::Each(|one, _| Some(f64::from(u8::from(one.unreadable.is_some())))),
    )
    .alarming(Alarm {
        name: "AcmeagentCertificateUnreadable",
        expr: "acmeagent_certificate_unreadable == 1",
        worse: Worse::Above,
        warning: None,
        critical: Some(&[]),
        lasting: "5m",
        summary: "{{ $labels.certificate }} cannot be read, so it is not renewed",
        description: "Its settings or its files are damaged. \
                      See what is wrong: acmeagent check {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_certificate_pinned",
        "1 while a certificate is held at a generation, else 0.",
        Source::Each(|one, _| claim(one, one.pinned_until.is_some())),
    ),
    gauge(
        "acmeagent_served_matches",
        "1 where a client saw what is live, with nothing wrong, when it last looked; else 0.",
        Source::EachBy(&["place"], |one| {
            one.seen()
                .map(|(place, seen)| (vec![place.into()], f64::from(u8::from(seen.serves))))
                .collect()
        }),
    )
    .shown(Panel {
        title: "Places that serve something else",
        shape: Shape::Number,
        unit: "short",
        expr: "count(acmeagent_served_matches{$host} == 0) or vector(0)",
        legend: "",
    })
    .alarming(Alarm {
        name: "AcmeagentNotServed",
        expr: "acmeagent_served_matches == 0",
        worse: Worse::Above,
        warning: None,
        critical: Some(&[]),
        lasting: "5m",
        summary: "{{ $labels.place }} does not serve {{ $labels.certificate }} as it should",
        description: "A client was shown another certificate than the live one, or one it cannot \
                      accept. See what: acmeagent check {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_revocation_state",
        "1 for what the CA last said of what is live, 0 for the other states.",
        Source::EachBy(&["state"], revocation),
    )
    .alarming(Alarm {
        name: "AcmeagentCertificateRevoked",
        expr: "acmeagent_revocation_state{state=\"revoked\"} == 1",
        worse: Worse::Above,
        warning: None,
        critical: Some(&[]),
        lasting: "1m",
        summary: "{{ $labels.certificate }} is revoked and still served",
        description: "Its CA does not stand by it any more; clients that ask refuse it. \
                      Get another one: acmeagent renew --force {{ $labels.certificate }}",
    }),
];

fn info(one: &Prospect) -> Labelled<'_, f64> {
    let Some(live) = &one.live else { return Vec::new() };
    let known = |text: &'_ Option<String>| Cow::from(text.clone().unwrap_or_default());
    let generation = live.generation.to_string().into();
    vec![(vec![known(&one.ca), known(&one.profile), generation], 1.0)]
}

fn revocation(one: &Prospect) -> Labelled<'_, f64> {
    let Some((_, state)) = &one.observed.revocation else { return Vec::new() };
    let states = ["good", "revoked", "unknown"].into_iter();
    states.map(|one| (vec![one.into()], f64::from(u8::from(one == state)))).collect()
}
