//! The runs themselves.

use super::{
    Alarm, Labelled, Metric, Panel, Shape, Source, Worse, count, counter, gauge, histogram, time,
};
use crate::model::challenge::ChallengeKind;
use crate::model::ended::Ended;
use crate::model::outlook::Outlook;

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "acmeagent_build_info",
        "Always 1; the version stands in the label.",
        Source::By(&["version"], |_| vec![(vec![env!("CARGO_PKG_VERSION").into()], 1.0)]),
    )
    .alarming(Alarm {
        name: "AcmeagentMetricsAbsent",
        expr: "absent(acmeagent_build_info)",
        worse: Worse::Above,
        warning: None,
        critical: Some(&[]),
        lasting: "15m",
        summary: "no metrics of any certificate arrive",
        description: "Whatever befalls the certificates, no other alarm here will tell. \
                      See whether runs write them: acmeagent check",
    }),
    gauge(
        "acmeagent_last_run_timestamp_seconds",
        "When a run nobody started by hand was last made.",
        Source::Whole(|outlook| outlook.runs.last.map(time)),
    ),
    gauge(
        "acmeagent_last_good_run_timestamp_seconds",
        "When such a run last came to its end with nothing served at risk.",
        Source::Whole(|outlook| outlook.runs.last_good.map(time)),
    )
    .shown(Panel {
        title: "Silence, as a share of what is allowed",
        shape: Shape::Number,
        unit: "percentunit",
        expr: "max((time() - acmeagent_last_good_run_timestamp_seconds{$host}) \
               / acmeagent_silence_patience_seconds{$host})",
        legend: "",
    })
    .alarming(Alarm {
        name: "AcmeagentSilent",
        expr: "time() - acmeagent_last_good_run_timestamp_seconds > acmeagent_silence_patience_seconds",
        worse: Worse::Above,
        warning: None,
        critical: Some(&[]),
        lasting: "5m",
        summary: "no run was good for {{ $value | humanizeDuration }}",
        description: "Nothing is renewed while no run is made, or each fails. \
                      See what became of them: journalctl -u acmeagent",
    }),
    gauge(
        "acmeagent_silence_patience_seconds",
        "How long no run may be good before that is a cause for alarm.",
        Source::Whole(|outlook| Some(outlook.runs.patience.as_secs_f64())),
    ),
    counter(
        "acmeagent_runs_total",
        "How often a certificate was looked at, by what came of it.",
        Source::By(&["outcome"], outcomes),
    )
    .shown(Panel {
        title: "Share of attempts that failed in a day",
        shape: Shape::Lines,
        unit: "percentunit",
        expr: "sum(increase(acmeagent_runs_total{$host,outcome=~\"retry|not_deployed|rolled_back|needs_operator|failed\"}[1d])) \
               / sum(increase(acmeagent_runs_total{$host,outcome!~\"not_due|locked\"}[1d]))",
        legend: "failed",
    })
    // A few failures are nothing unusual on a host with a single certificate.
    .alarming(Alarm {
        name: "AcmeagentRunsFail",
        expr: "sum without (outcome) (increase(acmeagent_runs_total{outcome=~\"retry|not_deployed|rolled_back|needs_operator|failed\"}[1d])) \
               / sum without (outcome) (increase(acmeagent_runs_total{outcome!~\"not_due|locked\"}[1d])) > $1 \
               and sum without (outcome) (increase(acmeagent_runs_total{outcome=~\"retry|not_deployed|rolled_back|needs_operator|failed\"}[1d])) >= 3",
        worse: Worse::Above,
        warning: Some(&[0.05]),
        critical: Some(&[0.2]),
        lasting: "10m",
        summary: "{{ $value | humanizePercentage }} of the attempts of a day failed",
        description: "Certificates that are still served were not renewed as planned. \
                      See which, and why: acmeagent status",
    }),
    counter(
        "acmeagent_errors_total",
        "How often an attempt failed, by the kind of the error.",
        Source::By(&["kind"], |outlook| {
            let errors = outlook.tally.errors.iter();
            errors.map(|(kind, errors)| (vec![kind.into()], count(errors.count))).collect()
        }),
    )
    .shown(Panel {
        title: "Errors by kind",
        shape: Shape::Lines,
        unit: "short",
        expr: "sum by (kind) (increase(acmeagent_errors_total{$host}[1h]))",
        legend: "{{kind}}",
    }),
    histogram(
        "acmeagent_phase_duration_seconds",
        "How long the phases of renewals took.",
        Source::Spans(&["phase"], |outlook| {
            let phases = outlook.tally.phases.iter();
            phases.map(|(phase, took)| (vec![phase.into()], took)).collect()
        }),
    )
    .shown(Panel {
        title: "Duration of the phases (95th percentile)",
        shape: Shape::Lines,
        unit: "s",
        expr: "histogram_quantile(0.95, sum by (phase, le) (increase(acmeagent_phase_duration_seconds_bucket{$host}[1d])))",
        legend: "{{phase}}",
    }),
    histogram(
        "acmeagent_challenge_duration_seconds",
        "How long challenges took until the CA came to a decision.",
        Source::Spans(&["type"], |outlook| {
            let challenges = outlook.tally.challenges.iter();
            challenges.map(|(kind, one)| (vec![kind.into()], &one.took)).collect()
        }),
    )
    .shown(Panel {
        title: "Duration of challenges (95th percentile)",
        shape: Shape::Lines,
        unit: "s",
        expr: "histogram_quantile(0.95, sum by (type, le) (increase(acmeagent_challenge_duration_seconds_bucket{$host}[1d])))",
        legend: "{{type}}",
    }),
    counter(
        "acmeagent_challenge_failures_total",
        "How often a challenge was in vain.",
        Source::By(&["type"], challenge_failures),
    )
    .shown(Panel {
        title: "Challenges in vain",
        shape: Shape::Lines,
        unit: "short",
        expr: "sum by (type) (increase(acmeagent_challenge_failures_total{$host}[1h]))",
        legend: "{{type}}",
    }),
];

/// Those that were never seen too, so that the first one is an increase.
fn outcomes(outlook: &Outlook) -> Labelled<'_, f64> {
    let counted = |word| outlook.tally.ended.get(word).copied().unwrap_or_default();
    let all = Ended::ALL.map(Ended::as_str);
    all.into_iter().map(|word| (vec![word.into()], count(counted(word)))).collect()
}

fn challenge_failures(outlook: &Outlook) -> Labelled<'_, f64> {
    let counted = |word| outlook.tally.challenges.get(word).map_or(0, |one| one.failed);
    let all = ChallengeKind::ALL.map(ChallengeKind::as_str);
    all.into_iter().map(|word| (vec![word.into()], count(counted(word)))).collect()
}
