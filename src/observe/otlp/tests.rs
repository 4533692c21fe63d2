use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response as Answer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
use tokio::net::TcpListener;

use super::*;
use crate::model::outlook::sample::{now, sample};

/// What a receiver was sent.
type Received = Arc<Mutex<Vec<(HeaderMap, ExportMetricsServiceRequest)>>>;

async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> Answer {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    received.lock().unwrap().push((headers, request));
    ExportMetricsServiceResponse::default().encode_to_vec().into_response()
}

async fn take_some() -> Answer {
    let part = ExportMetricsPartialSuccess {
        rejected_data_points: 7,
        error_message: "no \u{1b}[2J".to_owned(),
    };
    ExportMetricsServiceResponse { partial_success: Some(part) }.encode_to_vec().into_response()
}

async fn receiver() -> (Url, Received) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let received = Received::default();
    let router = Router::new()
        .route("/v1/metrics", axum::routing::post(take))
        .route("/some", axum::routing::post(take_some))
        .route("/moved", axum::routing::any(Redirect::temporary("/v1/metrics")))
        .with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Url::parse(&url).unwrap(), received)
}

/// By name, whatever was sent.
fn by_name(request: &ExportMetricsServiceRequest) -> BTreeMap<&str, &Metric> {
    let told = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
    told.flat_map(|of| &of.metrics).map(|metric| (metric.name.as_str(), metric)).collect()
}

#[tokio::test]
async fn a_receiver_is_sent_the_table() {
    let (url, received) = receiver().await;
    let outlook = sample(8);
    send(url.join("/v1/metrics").unwrap(), Some("Bearer x"), &outlook).await.unwrap();
    let received = received.lock().unwrap();
    let [(headers, request)] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(headers[CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(headers[AUTHORIZATION], "Bearer x");
    let sent = by_name(request);
    let rows: Vec<_> = metrics::all().filter(|row| !row.samples(&outlook).is_empty()).collect();
    assert_eq!(sent.len(), rows.len());
    for row in rows {
        let metric = sent[row.name];
        assert_eq!((metric.unit.as_str(), metric.description.as_str()), (row.unit(), row.help));
        let (points, kind) = match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => (gauge.data_points.len(), Kind::Gauge),
            Data::Sum(sum) => (sum.data_points.len(), Kind::Counter),
            Data::Histogram(histogram) => (histogram.data_points.len(), Kind::Histogram),
            other => panic!("{other:?}"),
        };
        assert_eq!((points, kind), (row.samples(&outlook).len(), row.kind), "{}", row.name);
    }
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert!(resource.attributes.contains(&attribute("service.name", "acmeagent")));
    assert!(resource.attributes.contains(&attribute("host.name", "host.example")));
}

#[test]
fn counts_are_cumulative_since_the_tally_began() {
    let outlook = sample(1);
    let request = request(&outlook);
    let sent = by_name(&request);
    let (since, at) = (nanoseconds(outlook.tally.since), nanoseconds(now()));
    assert!(since < at);
    let Some(Data::Sum(sum)) = &sent["acmeagent_runs_total"].data else { panic!() };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
    let renewed = vec![attribute("outcome", "renewed")];
    let point = sum.data_points.iter().find(|point| point.attributes == renewed).unwrap();
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (since, at));
    assert_eq!(point.value, Some(Number::AsDouble(41.0)));
    let Some(Data::Histogram(phases)) = &sent["acmeagent_phase_duration_seconds"].data else {
        panic!()
    };
    assert_eq!(phases.aggregation_temporality(), AggregationTemporality::Cumulative);
    let acquire = &phases.data_points[0];
    assert_eq!((acquire.count, acquire.sum), (1, Some(0.412)));
    assert_eq!(acquire.bucket_counts.len(), acquire.explicit_bounds.len() + 1);
    assert_eq!(acquire.bucket_counts[4], 1, "at most half a second");
    let Some(Data::Gauge(gauge)) = &sent["acmeagent_certificate_lifetime_seconds"].data else {
        panic!()
    };
    assert_eq!(gauge.data_points[0].start_time_unix_nano, 0, "a gauge has no beginning");
}

#[tokio::test]
async fn whoever_does_not_take_it_is_told_of() {
    let (url, received) = receiver().await;
    let [nobody] = crate::ports::free_ports();
    let nobody = Url::parse(&format!("http://127.0.0.1:{nobody}/")).unwrap();
    let outlook = sample(1);
    let table = [
        (url.join("/else").unwrap(), "it answered 404 Not Found"),
        (url.join("/moved").unwrap(), "it answered 307 Temporary Redirect"),
        (url.join("/some").unwrap(), "it left out 7 of the values: no \\u{1b}[2J"),
        (nobody, "it could not be reached: "),
    ];
    for (url, says) in table {
        let error = send(url, None, &outlook).await.unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let error = send(url, Some("a\nb"), &outlook).await.unwrap_err();
    assert!(matches!(error, Unsent::Authorization));
    assert!(received.lock().unwrap().is_empty());
}
