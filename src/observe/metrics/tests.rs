use std::collections::BTreeSet;

use super::*;
use crate::model::generation::Generation;
use crate::model::outlook::sample::sample;

#[test]
fn names_follow_the_conventions_and_are_given_once() {
    let mut seen = BTreeSet::new();
    for metric in all() {
        let Metric { name, kind, help, .. } = metric;
        assert!(seen.insert(name), "{name} is there twice");
        assert!(name.starts_with("acmeagent_"), "{name}");
        let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
        assert!(name.bytes().all(plain), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        for suffix in ["_count", "_sum", "_bucket", "_gauge", "_minutes", "_milliseconds"] {
            assert!(!name.ends_with(suffix), "{name}");
        }
        assert_eq!(matches!(metric.source, Source::Spans(..)), *kind == Kind::Histogram, "{name}");
        assert!(help.ends_with('.') && !help.contains(['\\', '\n', '"']), "{name}: {help}");
        let labels = metric.labels();
        assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len(), "{name}");
        for label in labels {
            assert!(label.bytes().all(plain) && label != "le", "{name}: {label}");
        }
    }
}

#[test]
fn each_sample_has_the_labels_of_its_row_and_no_two_have_the_same() {
    let outlook = sample(16);
    let mut silent = Vec::new();
    for metric in all() {
        let samples = metric.samples(&outlook);
        let labels: BTreeSet<_> = samples.iter().map(|sample| &sample.labels).collect();
        assert_eq!(labels.len(), samples.len(), "{}", metric.name);
        assert!(labels.iter().all(|labels| labels.len() == metric.labels().len()));
        for sample in &samples {
            let Value::Number(number) = sample.value else { continue };
            assert!(number.is_finite(), "{}: {sample:?}", metric.name);
        }
        if samples.is_empty() {
            silent.push(metric.name);
        }
    }
    // Nobody asked the CA of a sample about revocation.
    assert_eq!(silent, ["acmeagent_revocation_state"]);
}

#[test]
fn alarms_and_panels_name_metrics_that_there_are() {
    let names: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    let mut alarms = BTreeSet::new();
    for metric in all() {
        let exprs =
            [metric.panel.as_ref().map(|it| it.expr), metric.alarm.as_ref().map(|it| it.expr)];
        for expr in exprs.into_iter().flatten() {
            assert!(
                expr.contains(metric.name)
                    || expr.contains("_planned_")
                    || expr.contains("_last_safe_"),
                "{expr}"
            );
            for word in expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                let word = word.strip_suffix("_bucket").unwrap_or(word);
                assert!(!word.starts_with("acmeagent_") || names.contains(word), "{word}: {expr}");
            }
        }
        let Some(alarm) = &metric.alarm else { continue };
        assert!(alarms.insert(alarm.name), "{}", alarm.name);
        for (level, limits) in alarm.levels() {
            let wanted = ["$1", "$2"].iter().filter(|limit| alarm.expr.contains(**limit)).count();
            assert_eq!(limits.len(), wanted, "{} {level}", alarm.name);
        }
        assert!(alarm.levels().count() > 0, "{}", alarm.name);
        assert!(alarm.description.contains("acmeagent"), "{} says what to do", alarm.name);
    }
}

#[test]
fn what_cannot_be_read_says_only_that() {
    let outlook = sample(8);
    let broken = outlook.certificates.last().unwrap();
    assert!(broken.unreadable.is_some());
    let of_it = |metric: &&Metric| {
        metric.samples(&outlook).iter().any(|sample| sample.labels.contains(&name(broken)))
    };
    let said: Vec<&str> = all().filter(of_it).map(|metric| metric.name).collect();
    assert_eq!(said, ["acmeagent_certificate_unreadable"]);
}

#[test]
fn what_a_client_saw_counts_only_of_what_is_live() {
    let served = all().find(|metric| metric.name == "acmeagent_served_matches").unwrap();
    let count = |generation: u32| {
        let mut outlook = sample(1);
        let seen = outlook.certificates[0].observed.places.values_mut().next().unwrap();
        (seen.generation, seen.serves) = (Generation::new(generation).unwrap(), false);
        served.samples(&outlook).len()
    };
    assert_eq!((count(3), count(4)), (1, 0), "generation 4 was rolled back");
}
