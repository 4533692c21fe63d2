//! The alert rules for Prometheus, made of the table of metrics.

use serde_json::Value;

use super::metrics::{Alarm, TABLE};

const HEAD: &str = "\
# Alert rules for Prometheus, made by `acmeagent generate rules`: do not edit.
# To change a limit, leave the rule out and write another one.
groups:
";

/// Writes a file of rules in YAML.
pub(crate) fn text() -> String {
    let mut text = HEAD.to_owned();
    for group in &TABLE {
        let alarms = group.metrics.iter().filter_map(|metric| metric.alarm.as_ref());
        let rules: String = alarms.flat_map(rules).collect();
        if !rules.is_empty() {
            let name = format!("acmeagent {}", group.title.to_lowercase());
            text += &format!("  - name: {name}\n    rules:\n{rules}");
        }
    }
    text
}

/// One rule for each level.
fn rules(alarm: &Alarm) -> impl Iterator<Item = String> {
    let Alarm { name, lasting, summary, description, .. } = alarm;
    alarm.levels().map(move |(severity, limits)| {
        let expr = quoted(&expression(alarm, limits));
        let (summary, description) = (quoted(summary), quoted(description));
        format!(
            "      - alert: {name}
        expr: {expr}
        for: {lasting}
        labels:
          severity: {severity}
        annotations:
          summary: {summary}
          description: {description}
          runbook: man 7 acmeagent-recovery
"
        )
    })
}

/// The expression of an alarm with the limits of one of its levels.
fn expression(alarm: &Alarm, limits: &[f64]) -> String {
    let numbered = limits.iter().zip(1..);
    numbered.fold(alarm.expr.to_owned(), |expr, (limit, number)| {
        expr.replace(&format!("${number}"), &limit.to_string())
    })
}

/// A text as YAML has it between double quotes, which is as JSON has it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
