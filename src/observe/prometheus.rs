//! The metrics as text for Prometheus: format 0.0.4.
//!
//! No other will do: node_exporter's textfile collector reads only this one, and leaves out a whole
//! file over a single line of OpenMetrics.

use std::fmt::Write;

use super::metrics::{self, Kind, Metric, Sample, Value};
use crate::model::outlook::Outlook;
use crate::model::tally::Histogram;

/// What an answer over HTTP is declared as.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes every metric that has something to say.
pub(crate) fn text(outlook: &Outlook) -> String {
    let mut text = String::new();
    for metric in metrics::all() {
        let samples = metric.samples(outlook);
        if !samples.is_empty() {
            family(&mut text, metric, &samples);
        }
    }
    text
}

fn family(text: &mut String, metric: &Metric, samples: &[Sample<'_>]) {
    let Metric { name, help, kind, .. } = metric;
    let word = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
    };
    *text += &format!("# HELP {name} {help}\n# TYPE {name} {word}\n");
    let names = metric.labels();
    for sample in samples {
        let pairs = names.iter().copied().zip(sample.labels.iter().map(AsRef::as_ref));
        let labels: Vec<String> = pairs.map(|(name, value)| label(name, value)).collect();
        match sample.value {
            Value::Number(number) => line(text, name, &labels, number),
            Value::Spans(spans) => buckets(text, name, labels, spans),
        }
    }
}

fn buckets(text: &mut String, name: &str, mut labels: Vec<String>, spans: &Histogram) {
    let bounds = Histogram::BOUNDS.iter().map(ToString::to_string);
    let (bucket, mut so_far) = (format!("{name}_bucket"), 0);
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(spans.counts) {
        so_far += count;
        labels.push(label("le", &bound));
        line(text, &bucket, &labels, so_far);
        labels.pop();
    }
    line(text, &format!("{name}_sum"), &labels, spans.seconds);
    line(text, &format!("{name}_count"), &labels, so_far);
}

fn line(text: &mut String, name: &str, labels: &[String], value: impl std::fmt::Display) {
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// A label and its value, which may come from a CA or a file: whatever it holds stays within the
/// quotes, and shows no control character to a terminal.
pub(crate) fn label(name: &str, value: &str) -> String {
    let mut safe = format!("{name}=\"");
    for c in value.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '"' => safe.push_str("\\\""),
            '\n' => safe.push_str("\\n"),
            c if c.is_control() => {
                safe.push('\\');
                safe.extend(c.escape_default());
            }
            c => safe.push(c),
        }
    }
    safe.push('"');
    safe
}

#[cfg(test)]
mod tests;
