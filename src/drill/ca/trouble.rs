//! Troubles on the way: outages, silence, answers that get lost, a wrong date.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::sleep;

use super::behaviour::Span;
use super::instant::http_date;
use super::problem::{Kind, Problem};
use super::resource::Resource;
use super::serve::Peer;
use super::state::Ca;
use crate::model::time::Timestamp;

/// Between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_secs(10);
/// No answer of this CA is longer.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A time or a number of requests during which the CA does not answer as it should.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outage {
    /// By the CA's clock, inclusive; from always when missing.
    from: Option<Timestamp>,
    /// By the CA's clock, exclusive; for ever when missing.
    to: Option<Timestamp>,
    /// Everything but the management when empty.
    #[serde(default)]
    paths: Vec<Resource>,
    /// How many requests are still struck; all when missing.
    count: Option<u32>,
    #[serde(default)]
    answer: Answer,
    retry_after: Option<Span>,
}

/// What comes instead of an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Answer {
    /// What a load balancer says.
    #[default]
    #[serde(rename = "503")]
    Unavailable,
    /// The same as a page for people.
    #[serde(rename = "503-html")]
    Page,
    #[serde(rename = "hang")]
    Silence,
    /// The right answer, byte by byte.
    #[serde(rename = "drip")]
    Drip,
}

impl Outage {
    /// When it would end, if that is before it begins.
    pub(super) fn backwards(&self) -> Option<Timestamp> {
        self.to.filter(|to| self.from.is_some_and(|from| from >= *to))
    }

    pub(super) fn strikes(&mut self, resource: Resource, now: Timestamp) -> Option<Trouble> {
        let timely = self.from.is_none_or(|from| from <= now) && self.to.is_none_or(|to| now < to);
        let here = self.paths.is_empty() || self.paths.contains(&resource);
        if !timely || !here || !one_of(&mut self.count) {
            return None;
        }
        let retry_after = self.retry_after.map(|span| span.0);
        Some(match self.answer {
            Answer::Unavailable => Trouble::Unavailable { page: false, retry_after },
            Answer::Page => Trouble::Unavailable { page: true, retry_after },
            Answer::Silence => Trouble::Silence,
            Answer::Drip => Trouble::Drip,
        })
    }
}

/// Requests that are carried out, and whose answers never arrive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Loss {
    path: Resource,
    /// How many answers are still lost; all when missing.
    count: Option<u32>,
}

impl Loss {
    pub(super) fn strikes(&mut self, resource: Resource) -> Option<Trouble> {
        (self.path == resource && one_of(&mut self.count)).then_some(Trouble::Lost)
    }
}

/// Takes one of what is left; of what is not counted there is always one.
fn one_of(left: &mut Option<u32>) -> bool {
    let Some(left) = left else { return true };
    let taken = left.checked_sub(1);
    *left = taken.unwrap_or(0);
    taken.is_some()
}

/// What befalls one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    Unavailable { page: bool, retry_after: Option<Duration> },
    Silence,
    Drip,
    Lost,
}

/// Stands before everything else, as a load balancer does.
pub(super) async fn befall(
    State(ca): State<Arc<Ca>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let now = ca.now();
    let resource = Resource::of(request.uri().path());
    let trouble = resource.and_then(|resource| ca.scene().meet(resource, now));
    let mut response = match trouble {
        None => next.run(request).await,
        Some(Trouble::Unavailable { page, retry_after }) => unavailable(&ca, page, retry_after),
        Some(Trouble::Silence) => std::future::pending().await,
        Some(Trouble::Drip) => drip(next.run(request).await).await,
        Some(Trouble::Lost) => {
            next.run(request).await;
            peer.hang_up();
            std::future::pending().await
        }
    };
    if let Some(date) = ca.behaviour.date(now) {
        let date = HeaderValue::from_str(&http_date(date)).expect("a date is visible ASCII");
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn unavailable(ca: &Ca, page: bool, retry_after: Option<Duration>) -> Response {
    const PAGE: &str = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n\
        <body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response = match page {
        true => (status, Html(PAGE)).into_response(),
        false => {
            let problem = Problem::new(Kind::RateLimited, "Service busy; retry later.");
            problem.status(status).into_response()
        }
    };
    let form = ca.behaviour.retry_after;
    if let Some(value) = retry_after.and_then(|wait| form.value(ca.now(), wait)) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// The head at once and the body a byte at a time, the first of them at once too.
async fn drip(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_ANSWER).await.unwrap_or_default();
    let bytes = stream::unfold((body, Duration::ZERO), |(mut rest, wait)| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(wait).await;
        let byte = rest.split_to(1);
        Some((Ok::<Bytes, Infallible>(byte), (rest, DRIP)))
    });
    Response::from_parts(parts, Body::from_stream(bytes))
}
