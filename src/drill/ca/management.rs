//! What tests and drills may ask of the CA beyond ACME; as open as the loopback address it is on.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::behaviour::identifiers;
use super::incident::Incident;
use super::ledger::{Certificate, Record};
use super::problem::Problem;
use super::renewal_info::{Advice, advice};
use super::scene::Requests;
use super::serial::{CertId, Serial};
use super::state::Ca;
use crate::model::name::Identifier;
use crate::model::time::Window;

pub(super) const MANAGEMENT: &str = "/management";

/// The roots, as PEM.
pub(super) async fn roots(State(ca): State<Arc<Ca>>) -> Json<Value> {
    Json(json!({ "tlsRoot": ca.issuer.tls_root_pem(), "issuingRoots": ca.issuer.root_pems() }))
}

/// The orders this process was given for an identifier, whatever became of them.
pub(super) async fn orders(
    State(ca): State<Arc<Ca>>,
    Path(identifier): Path<String>,
) -> Json<Value> {
    let (orders, now) = (ca.orders(), ca.now());
    let views: Vec<Value> =
        orders.naming(&identifier).map(|order| order.view(&ca.origin, now)).collect();
    Json(json!({ "orders": views }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    #[serde(rename = "certID")]
    cert_id: Option<String>,
    serial: Option<String>,
    window: Option<Window>,
}

/// Moves the renewal window of one certificate, or, with `null`, back to where its life puts it.
///
/// The certificate is named by `certID` or by `serial` (hexadecimal); answers with the window now shown.
pub(super) async fn move_window(
    State(ca): State<Arc<Ca>>,
    body: Bytes,
) -> Result<Json<Advice>, Problem> {
    let wanted: Move = parse(&body)?;
    let by_id = wanted.cert_id.as_deref().and_then(CertId::parse).map(|id| id.serial);
    let serial = by_id.or_else(|| wanted.serial.as_deref().and_then(Serial::from_hex));
    let serial = serial.ok_or_else(|| Problem::malformed("certID or serial is needed"))?;
    let certificate = ca.ledger.change(|books| {
        let certificate = books.certificate(&serial);
        let certificate = certificate.ok_or_else(|| Problem::not_found("certificate"))?.clone();
        let moved = Certificate { window: wanted.window, ..certificate };
        Ok((moved.clone(), vec![Record::Certificate(moved)]))
    })?;
    Ok(Json(advice(&ca, &certificate, ca.now())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(deserialize_with = "identifiers")]
    identifiers: Vec<Identifier>,
}

/// Pauses identifiers, for every account; answers with all that are.
pub(super) async fn pause(State(ca): State<Arc<Ca>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Named { identifiers } = parse(&body)?;
    Ok(Json(json!({ "paused": ca.scene().pause(identifiers) })))
}

/// Lets identifiers be ordered again; answers with those still paused.
pub(super) async fn unpause(
    State(ca): State<Arc<Ca>>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Named { identifiers } = parse(&body)?;
    Ok(Json(json!({ "paused": ca.scene().unpause(&identifiers) })))
}

/// Has something happen to certificates: those named by `serials` or `identifiers`, or all there are.
pub(super) async fn incident(
    State(ca): State<Arc<Ca>>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let incident: Incident = parse(&body)?;
    let incident = incident.known(ca.now());
    ca.scene().declare(incident);
    Ok(StatusCode::NO_CONTENT)
}

/// How often this process was asked, by path, and for orders by identifier too.
pub(super) async fn requests(State(ca): State<Arc<Ca>>) -> Json<Requests> {
    Json(ca.scene().requests())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|why| Problem::malformed(why.to_string()))
}
