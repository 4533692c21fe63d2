//! How new generations come into service.

use super::{Alarm, Labelled, Metric, Panel, Shape, Source, Worse, count, gauge, time, told};
use crate::model::outlook::{Prospect, RollingOut};
use crate::model::tally::{Counted, Handshakes};

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "acmeagent_phase",
        "1 while a rollout is under way, with what is done of it: deploy, soak, approval, roll_back.",
        Source::EachBy(&["phase"], |one| {
            one.rollout.iter().map(|rollout| (vec![phase(rollout).into()], 1.0)).collect()
        }),
    )
    .shown(Panel {
        title: "Rollouts under way",
        shape: Shape::Bars,
        unit: "short",
        expr: "acmeagent_phase{$each}",
        legend: "{{certificate}}: {{phase}}",
    }),
    gauge(
        "acmeagent_rollout_step",
        "The step of a rollout that is under way, counted from 1.",
        Source::Each(|one, _| Some(count(one.rollout.as_ref()?.step) + 1.0)),
    ),
    gauge(
        "acmeagent_rollout_steps",
        "The steps of the rollout that is under way.",
        Source::Each(|one, _| Some(count(one.rollout.as_ref()?.steps.len()))),
    ),
    gauge(
        "acmeagent_rollout_soak_until_timestamp_seconds",
        "Until when the step that is under way is watched.",
        Source::Each(|one, _| Some(time(one.rollout.as_ref()?.soak_until?))),
    ),
    gauge(
        "acmeagent_deploy_lag_seconds",
        "How old the generation was when a target had taken it.",
        Source::EachBy(&["target"], |one| {
            let targets = one.observed.targets.iter();
            targets.map(|(target, taken)| (vec![target.into()], taken.lag)).collect()
        }),
    )
    .shown(Panel {
        title: "From issued to taken",
        shape: Shape::Bars,
        unit: "s",
        expr: "acmeagent_deploy_lag_seconds{$each}",
        legend: "{{certificate}} at {{target}}",
    }),
    gauge(
        "acmeagent_deploy_queue_length",
        "Targets that did not take the live generation yet.",
        Source::Each(|one, _| told(one, count(one.queue.len()))),
    )
    .shown(Panel {
        title: "Targets that wait for a generation",
        shape: Shape::Lines,
        unit: "short",
        expr: "acmeagent_deploy_queue_length{$each} > 0",
        legend: "{{certificate}}",
    })
    .alarming(Alarm {
        name: "AcmeagentDeployWaits",
        expr: "acmeagent_deploy_queue_length > 0",
        worse: Worse::Above,
        warning: Some(&[]),
        critical: None,
        lasting: "1h",
        summary: "{{ $value }} targets do not take {{ $labels.certificate }}",
        description: "They go on with the generation they had, and are tried again. \
                      See why they refuse: acmeagent status {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_rollbacks_last_day",
        "Rollouts that had to be undone in the last 24 hours.",
        Source::Each(|one, _| told(one, count(one.rollbacks.len()))),
    )
    .shown(Panel {
        title: "Rollouts undone in a day",
        shape: Shape::Lines,
        unit: "short",
        expr: "acmeagent_rollbacks_last_day{$each}",
        legend: "{{certificate}}",
    })
    .alarming(Alarm {
        name: "AcmeagentRollbacks",
        expr: "acmeagent_rollbacks_last_day >= $1",
        worse: Worse::Above,
        warning: Some(&[3.0]),
        critical: Some(&[5.0]),
        lasting: "1m",
        summary: "{{ $value }} rollouts of {{ $labels.certificate }} were undone in a day",
        description: "New generations do not work where they are put to use. \
                      See what was wrong: acmeagent rollback --list {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_handshakes",
        "Handshakes of clients with the old and the new certificate, as servers counted them in the last rollout.",
        Source::EachBy(&["side", "result"], results),
    ),
    gauge(
        "acmeagent_handshakes_timestamp_seconds",
        "When servers last counted them.",
        Source::Each(|one, _| Some(time(one.observed.handshakes.as_ref()?.at))),
    ),
    gauge(
        "acmeagent_handshake_success_ratio",
        "The share of those handshakes that were completed.",
        Source::EachBy(&["side"], |one| sides(one, success)),
    )
    .shown(Panel {
        title: "Handshakes that succeed, old against new",
        shape: Shape::Lines,
        unit: "percentunit",
        expr: "acmeagent_handshake_success_ratio{$each}",
        legend: "{{certificate}} {{side}}",
    })
    // One failure in fewer handshakes than that would already be more than the limit.
    .alarming(Alarm {
        name: "AcmeagentHandshakesFail",
        expr: "acmeagent_handshake_success_ratio{side=\"new\"} < $1 \
               and sum without (result) (acmeagent_handshakes{side=\"new\"}) >= 200 \
               and ignoring (side) time() - acmeagent_handshakes_timestamp_seconds < 3600",
        worse: Worse::Below,
        warning: Some(&[0.995]),
        critical: Some(&[0.99]),
        lasting: "1m",
        summary: "only {{ $value | humanizePercentage }} of handshakes with the new {{ $labels.certificate }} succeed",
        description: "Clients fail or refuse it. See what is known of them: \
                      acmeagent status {{ $labels.certificate }}",
    }),
    gauge(
        "acmeagent_handshake_latency_seconds",
        "How long those handshakes took on average.",
        Source::EachBy(&["side"], |one| sides(one, |counted| counted.mean)),
    )
    .shown(Panel {
        title: "Latency of handshakes, old against new",
        shape: Shape::Lines,
        unit: "s",
        expr: "acmeagent_handshake_latency_seconds{$each}",
        legend: "{{certificate}} {{side}}",
    }),
    gauge(
        "acmeagent_look_latency_seconds",
        "How long our own handshake took at a place before the last switch and after it.",
        Source::EachBy(&["place", "side"], looks),
    ),
];

fn phase(rollout: &RollingOut) -> &'static str {
    match rollout {
        RollingOut { back: Some(_), .. } => "roll_back",
        RollingOut { waits_for_approval: true, .. } => "approval",
        RollingOut { soak_until: Some(_), .. } => "soak",
        RollingOut { .. } => "deploy",
    }
}

fn both(Handshakes { old, new, .. }: &Handshakes) -> [(&'static str, &Counted); 2] {
    [("old", old), ("new", new)]
}

fn sides(one: &Prospect, number: fn(&Counted) -> Option<f64>) -> Labelled<'_, f64> {
    let sides = one.observed.handshakes.iter().flat_map(both);
    sides.filter_map(|(side, counted)| Some((vec![side.into()], number(counted)?))).collect()
}

fn success(counted: &Counted) -> Option<f64> {
    let all = counted.all();
    (all > 0).then(|| count(counted.completed) / count(all))
}

fn results(one: &Prospect) -> Labelled<'_, f64> {
    let sides = one.observed.handshakes.iter().flat_map(both);
    let results = sides.flat_map(|(side, counted)| {
        let Counted { completed, failed, refused, .. } = *counted;
        let results = [("completed", completed), ("failed", failed), ("refused", refused)];
        results.map(|(result, number)| (vec![side.into(), result.into()], count(number)))
    });
    results.collect()
}

fn looks(one: &Prospect) -> Labelled<'_, f64> {
    let looks = one.observed.places.iter().flat_map(|(place, seen)| {
        let sides = [("old", seen.took_before), ("new", seen.took)].into_iter();
        sides.filter_map(move |(side, took)| Some((vec![place.into(), side.into()], took?)))
    });
    looks.collect()
}
