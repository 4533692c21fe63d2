//! Which function answers which path, and what every answer carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::account::{self, KEY_CHANGE, NEW_ACCOUNT};
use super::challenge;
use super::directory::{self, DIRECTORY, NEW_NONCE, TERMS};
use super::finalize;
use super::management;
use super::new_order::{self, NEW_ORDER};
use super::problem::Problem;
use super::renewal_info;
use super::revoke::{self, REVOKE};
use super::state::Ca;
use super::trouble;

pub(super) const CRL: &str = "/crl";

/// A CSR with a hundred names and an RSA key fits several times.
const LARGEST_BODY: usize = 128 * 1024;

/// Everything, for HTTPS.
pub(super) fn secure(ca: &Arc<Ca>) -> Router {
    Router::new()
        .route(DIRECTORY, get(directory::directory))
        .route(TERMS, get(directory::terms))
        .route(NEW_NONCE, get(directory::new_nonce))
        .route(NEW_ACCOUNT, post(account::create))
        .route("/account/{id}", post(account::update))
        .route("/account/{id}/orders", post(account::orders))
        .route(KEY_CHANGE, post(account::change_key))
        .route(NEW_ORDER, post(new_order::create))
        .route("/order/{id}", post(new_order::show))
        .route("/order/{id}/finalize", post(finalize::finalize))
        .route("/authorization/{order}/{index}", post(challenge::authorization))
        .route("/authorization/{order}/{index}/{kind}", post(challenge::challenge))
        .route("/certificate/{serial}", post(finalize::certificate))
        .route("/certificate/{serial}/{chain}", post(finalize::alternate))
        .route(REVOKE, post(revoke::revoke))
        .route("/renewal-info/{id}", get(renewal_info::show))
        .route(CRL, get(revoke::list))
        .route("/management/roots", get(management::roots))
        .route("/management/orders/{identifier}", get(management::orders))
        .route("/management/renewal-info", post(management::move_window))
        .route("/management/pause", post(management::pause))
        .route("/management/unpause", post(management::unpause))
        .route("/management/incident", post(management::incident))
        .route("/management/requests", get(management::requests))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(ca), stamp))
        .layer(from_fn_with_state(Arc::clone(ca), trouble::befall))
        .with_state(Arc::clone(ca))
}

/// The revocation list alone, for plain HTTP: it is signed itself, and checking the certificate of
/// the server it came from would need a list again (RFC 5280 §8).
pub(super) fn plain(ca: &Arc<Ca>) -> Router {
    Router::new()
        .route(CRL, get(revoke::list))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(ca))
}

async fn unknown() -> Problem {
    Problem::not_found("resource")
}

async fn wrong_method() -> Problem {
    let problem =
        Problem::malformed("the method is not allowed; resources are read by POST-as-GET");
    problem.status(StatusCode::METHOD_NOT_ALLOWED)
}

/// Gives every answer but those to plain GETs a fresh nonce, refusals too (RFC 8555 §6.5).
async fn stamp(State(ca): State<Arc<Ca>>, request: Request, next: Next) -> Response {
    let wants_nonce = request.method() != Method::GET || request.uri().path() == NEW_NONCE;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if wants_nonce {
        add(headers, HeaderName::from_static("replay-nonce"), &ca.nonces.issue());
    }
    add(headers, header::LINK, &format!("<{}>;rel=\"index\"", ca.url(DIRECTORY)));
    add(headers, header::CACHE_CONTROL, "no-store");
    response
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("nonces and our own URLs are visible ASCII");
    headers.append(name, value);
}
