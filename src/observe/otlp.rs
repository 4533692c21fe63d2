//! The metrics as OTLP over HTTP: one request, in protobuf, with all of them.
//!
//! Names, units and labels are those of the table, counts are cumulative since the tally began.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect};
use thiserror::Error;
use url::Url;

use super::alert::medium::is_here;
use super::heartbeat::last_cause;
use super::metrics::{self, Kind, Sample, Value};
use crate::model::outlook::Outlook;
use crate::model::tally::Histogram as Spans;
use crate::model::time::Timestamp;

/// For all of it, connecting included.
const LIMIT: Duration = Duration::from_secs(5);
/// What a receiver may answer; the specification wants a short message at most.
const LARGEST_ANSWER: usize = 64 * 1024;
const NAME: &str = "acmeagent";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why the metrics did not arrive.
#[derive(Debug, Error)]
pub(crate) enum Unsent {
    #[error("the authorization is no value of a header")]
    Authorization,
    #[error("no answer within {} s", LIMIT.as_secs())]
    Silent,
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("it left out {0} of the values: {1}")]
    LeftOut(i64, String),
}

/// Sends what [`request`] makes of how things stand, once.
pub(crate) async fn send(
    url: Url,
    authorization: Option<&str>,
    outlook: &Outlook,
) -> Result<(), Unsent> {
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => Unsent::Silent,
        false => Unsent::Unreachable(last_cause(error.without_url())),
    };
    let body = request(outlook).encode_to_vec();
    let mut post = client(&url).map_err(failed)?.post(url).body(body);
    post = post.header(CONTENT_TYPE, "application/x-protobuf");
    if let Some(value) = authorization {
        let mut value = HeaderValue::from_str(value).map_err(|_| Unsent::Authorization)?;
        value.set_sensitive(true);
        post = post.header(AUTHORIZATION, value);
    }
    let answer = post.send().await.map_err(failed)?;
    match answer.status() {
        status if status.is_success() => left_out(answer).await,
        status => Err(Unsent::Refused(status)),
    }
}

fn client(url: &Url) -> reqwest::Result<Client> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder();
    // What goes to this host in the clear is for no proxy to see.
    let client = if is_here(url) { client.no_proxy() } else { client };
    client
        .user_agent(format!("{NAME}/{VERSION}"))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(LIMIT)
        .build()
}

/// Reads what the receiver did not take; an answer that cannot be read says nothing of that.
async fn left_out(mut answer: Response) -> Result<(), Unsent> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await
        && body.len() + part.len() <= LARGEST_ANSWER
    {
        body.extend_from_slice(&part);
    }
    let answer = ExportMetricsServiceResponse::decode(body.as_slice()).unwrap_or_default();
    match answer.partial_success {
        Some(part) if part.rejected_data_points > 0 => {
            let why = part.error_message.chars().take(200).collect::<String>();
            Err(Unsent::LeftOut(part.rejected_data_points, why.escape_debug().to_string()))
        }
        _ => Ok(()),
    }
}

/// Everything the table has to say.
fn request(outlook: &Outlook) -> ExportMetricsServiceRequest {
    let span = Span { since: nanoseconds(outlook.tally.since), at: nanoseconds(outlook.at) };
    let told = metrics::all().filter_map(|row| {
        let samples = row.samples(outlook);
        (!samples.is_empty()).then(|| metric(row, &samples, span))
    });
    let scope = InstrumentationScope {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let told = ScopeMetrics { scope: Some(scope), metrics: told.collect(), ..Default::default() };
    let attributes =
        [("service.name", NAME), ("service.version", VERSION), ("host.name", &outlook.host)];
    let attributes = attributes.map(|(name, value)| attribute(name, value)).to_vec();
    let resource = Resource { attributes, ..Resource::default() };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![told],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

/// From when to when something was counted, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy)]
struct Span {
    since: u64,
    at: u64,
}

fn metric(row: &metrics::Metric, samples: &[Sample<'_>], span: Span) -> Metric {
    let names = row.labels();
    let attributes = |sample: &Sample<'_>| -> Vec<KeyValue> {
        let pairs = names.iter().zip(&sample.labels);
        pairs.map(|(name, value)| attribute(name, value)).collect()
    };
    let numbers = |start| {
        samples.iter().filter_map(move |sample| {
            let Value::Number(number) = sample.value else { return None };
            Some(NumberDataPoint {
                attributes: attributes(sample),
                start_time_unix_nano: start,
                time_unix_nano: span.at,
                value: Some(Number::AsDouble(number)),
                ..NumberDataPoint::default()
            })
        })
    };
    let histograms = samples.iter().filter_map(|sample| {
        let Value::Spans(spans) = sample.value else { return None };
        Some(histogram(attributes(sample), spans, span))
    });
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match row.kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers(0).collect() }),
        Kind::Counter => {
            let data_points = numbers(span.since).collect();
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
        }
        Kind::Histogram => {
            let data_points = histograms.collect();
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }
    };
    Metric {
        name: row.name.to_owned(),
        description: row.help.to_owned(),
        unit: row.unit().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(attributes: Vec<KeyValue>, spans: &Spans, span: Span) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: span.since,
        time_unix_nano: span.at,
        count: spans.count(),
        sum: Some(spans.seconds),
        bucket_counts: spans.counts.to_vec(),
        explicit_bounds: Spans::BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.unix()).unwrap_or_default().saturating_mul(1_000_000_000)
}

#[cfg(test)]
mod tests;
