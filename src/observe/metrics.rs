//! Every metric there is: its name and help, where its samples come from, how a dashboard shows it
//! and when it is a cause for alarm.
//!
//! One row each. The text for Prometheus, what is sent by OTLP, the alert rules and the dashboard
//! are all made of these rows, so that to add a metric is to add a row. Names follow the conventions
//! of Prometheus: base units, the unit as a suffix, `_total` on what only grows.

mod certificates;
mod renewals;
mod rollouts;
mod runs;

use std::borrow::Cow;

use crate::model::outlook::{Outlook, Prospect};
use crate::model::tally::Histogram;
use crate::model::time::{Timestamp, Validity};

/// Metrics of one subject, as they stand together on a dashboard.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) metrics: &'static [Metric],
}

/// The table.
pub(crate) const TABLE: [Group; 4] = [
    Group { title: "Certificates", metrics: certificates::METRICS },
    Group { title: "Renewals", metrics: renewals::METRICS },
    Group { title: "Rollouts", metrics: rollouts::METRICS },
    Group { title: "Runs", metrics: runs::METRICS },
];

/// Every row of the table.
pub(crate) fn all() -> impl Iterator<Item = &'static Metric> {
    TABLE.iter().flat_map(|group| group.metrics)
}

/// A row.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// A sentence without a line end, in letters that need no escape.
    pub(crate) help: &'static str,
    source: Source,
    pub(crate) panel: Option<Panel>,
    pub(crate) alarm: Option<Alarm>,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Gauge,
    /// Only grows, from the beginning of the tally.
    Counter,
    Histogram,
}

/// Where samples come from.
#[derive(Debug)]
enum Source {
    /// One for all.
    Whole(fn(&Outlook) -> Option<f64>),
    /// At most one of each certificate.
    Each(fn(&Prospect, Timestamp) -> Option<f64>),
    /// Several of each certificate, told apart by further labels.
    EachBy(&'static [&'static str], for<'a> fn(&'a Prospect) -> Labelled<'a, f64>),
    /// Several for all, told apart by labels.
    By(&'static [&'static str], for<'a> fn(&'a Outlook) -> Labelled<'a, f64>),
    /// How long something took.
    Spans(&'static [&'static str], for<'a> fn(&'a Outlook) -> Labelled<'a, &'a Histogram>),
}

/// The values of some labels, in their order, and what they have.
type Labelled<'a, T> = Vec<(Vec<Cow<'a, str>>, T)>;

/// One value, with its labels in the order of [`Metric::labels`].
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) labels: Vec<Cow<'a, str>>,
    pub(crate) value: Value<'a>,
}

#[derive(Debug)]
pub(crate) enum Value<'a> {
    Number(f64),
    Spans(&'a Histogram),
}

/// How a dashboard shows a metric.
///
/// In its expression `$host` stands for what chooses among hosts, `$each` for what chooses among
/// hosts and certificates.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) shape: Shape,
    /// As Grafana calls it, as in `s` or `percentunit`.
    pub(crate) unit: &'static str,
    pub(crate) expr: &'static str,
    /// What a series is called, with labels between double braces.
    pub(crate) legend: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// One number.
    Number,
    /// A bar a series: how it is now.
    Bars,
    /// A line a series: how it went.
    Lines,
}

/// When a metric is a cause for alarm.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub(crate) name: &'static str,
    /// PromQL with a series for each trouble, in which `$1` stands for the first limit of the level,
    /// `$2` for the second.
    pub(crate) expr: &'static str,
    /// Whether more is worse; the panel is coloured by the first limit.
    pub(crate) worse: Worse,
    pub(crate) warning: Option<&'static [f64]>,
    pub(crate) critical: Option<&'static [f64]>,
    /// How long it must be so, as in `5m`.
    pub(crate) lasting: &'static str,
    pub(crate) summary: &'static str,
    /// What it means, and the one thing to do.
    pub(crate) description: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Worse {
    Above,
    Below,
}

impl Metric {
    /// The names of its labels.
    pub(crate) fn labels(&self) -> Vec<&'static str> {
        match self.source {
            Source::Whole(_) => Vec::new(),
            Source::Each(_) => vec![CERTIFICATE],
            Source::EachBy(labels, _) => [&[CERTIFICATE], labels].concat(),
            Source::By(labels, _) | Source::Spans(labels, _) => labels.to_vec(),
        }
    }

    /// Its unit as OTLP writes it (UCUM), which its name tells.
    pub(crate) fn unit(&self) -> &'static str {
        if self.name.ends_with("_seconds") { "s" } else { "1" }
    }

    /// Its values as things stand; none where there is nothing to say.
    pub(crate) fn samples<'a>(&self, outlook: &'a Outlook) -> Vec<Sample<'a>> {
        let number = |(labels, value)| Sample { labels, value: Value::Number(value) };
        match self.source {
            Source::Whole(of) => {
                of(outlook).map(|value| number((Vec::new(), value))).into_iter().collect()
            }
            Source::Each(of) => {
                let value = |one: &'a Prospect| Some((vec![name(one)], of(one, outlook.at)?));
                outlook.certificates.iter().filter_map(value).map(number).collect()
            }
            Source::EachBy(_, of) => {
                let named = |one: &'a Prospect| {
                    of(one)
                        .into_iter()
                        .map(move |(labels, value)| ([vec![name(one)], labels].concat(), value))
                };
                outlook.certificates.iter().flat_map(named).map(number).collect()
            }
            Source::By(_, of) => of(outlook).into_iter().map(number).collect(),
            Source::Spans(_, of) => {
                let spans = of(outlook).into_iter();
                spans.map(|(labels, spans)| Sample { labels, value: Value::Spans(spans) }).collect()
            }
        }
    }

    const fn new(name: &'static str, kind: Kind, help: &'static str, source: Source) -> Self {
        Self { name, kind, help, source, panel: None, alarm: None }
    }

    const fn shown(self, panel: Panel) -> Self {
        Self { panel: Some(panel), ..self }
    }

    const fn alarming(self, alarm: Alarm) -> Self {
        Self { alarm: Some(alarm), ..self }
    }
}

impl Alarm {
    /// Its levels, with the words for them.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&'static str, &'static [f64])> {
        let levels = [("warning", self.warning), ("critical", self.critical)];
        levels.into_iter().filter_map(|(word, limits)| Some((word, limits?)))
    }
}

const CERTIFICATE: &str = "certificate";

const fn gauge(name: &'static str, help: &'static str, source: Source) -> Metric {
    Metric::new(name, Kind::Gauge, help, source)
}

const fn counter(name: &'static str, help: &'static str, source: Source) -> Metric {
    Metric::new(name, Kind::Counter, help, source)
}

const fn histogram(name: &'static str, help: &'static str, source: Source) -> Metric {
    Metric::new(name, Kind::Histogram, help, source)
}

fn name(one: &Prospect) -> Cow<'_, str> {
    one.name.as_str().into()
}

/// The life of what is live.
fn life(one: &Prospect) -> Option<Validity> {
    one.live.as_ref().map(|live| live.validity)
}

/// 1 for what is so, nothing of a certificate that cannot be read.
fn claim(one: &Prospect, holds: bool) -> Option<f64> {
    told(one, f64::from(u8::from(holds)))
}

/// The value, but nothing of a certificate that cannot be read.
fn told(one: &Prospect, value: f64) -> Option<f64> {
    one.unreadable.is_none().then_some(value)
}

/// Seconds since the Unix epoch. Exact: no timestamp has as many digits as an `f64` can tell apart.
fn time(at: Timestamp) -> f64 {
    at.unix() as f64
}

/// Seconds from `now` to `at`, negative once that is past.
fn until(at: Timestamp, now: Timestamp) -> f64 {
    time(at) - time(now)
}

/// A count as metrics have it.
fn count(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests;
