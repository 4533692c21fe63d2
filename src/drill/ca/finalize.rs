//! From a ready order to the certificate and its download (RFC 8555 §7.4, §7.4.2).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::header::{self, InvalidHeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::authorization::Status;
use super::csr;
use super::issuer::Leaf;
use super::ledger::{Certificate, Record};
use super::order::Order;
use super::problem::{Kind, Problem};
use super::profile::validity;
use super::routes::CRL;
use super::serial::Serial;
use super::signed::ByAccount;
use super::state::Ca;
use crate::model::time::Timestamp;

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

/// Issues at once: the order is valid in the answer. A refused CSR leaves the order as it was.
pub(super) async fn finalize(
    State(ca): State<Arc<Ca>>,
    Path(id): Path<String>,
    by: ByAccount,
) -> Result<Json<Value>, Problem> {
    let wanted: Finalize = by.payload.json()?;
    let der = BASE64URL_NOPAD
        .decode(wanted.csr.as_bytes())
        .map_err(|why| Problem::malformed(format!("csr is not base64url: {why}")))?;
    let now = ca.now();
    let mut orders = ca.orders();
    let order = orders.owned(&id, by.account.id)?;
    let status = order.status(now);
    if status != Status::Ready {
        let detail = format!("the order is {status:?}, not Ready");
        return Err(Problem::new(Kind::OrderNotReady, detail));
    }
    let spki = csr::accept(&der, &order.request.identifiers, &by.account.key)?;
    order.certificate = Some(issue(&ca, order, &spki, now)?);
    Ok(Json(order.view(&ca.origin, now)))
}

/// Signs the certificate and enters it, and what it replaces, into the ledger.
fn issue(ca: &Ca, order: &Order, spki: &[u8], now: Timestamp) -> Result<Serial, Problem> {
    let request = &order.request;
    let serial = Serial::random();
    let validity = validity(now, ca.behaviour.lifetime(request.profile, now));
    let leaf = Leaf {
        serial: &serial,
        identifiers: &request.identifiers,
        profile: request.profile,
        validity,
        spki,
        crl_url: format!("{}{CRL}", ca.plain_origin),
    };
    let certificate = Certificate {
        serial: serial.clone(),
        account: order.account,
        identifiers: request.identifiers.clone(),
        profile: request.profile,
        validity,
        pem: ca.issuer.sign(leaf).map_err(|why| Problem::internal(&why))?,
        replaced_by: None,
        revoked: None,
        window: None,
    };
    ca.ledger.change(|books| {
        let mut records = ca.meter(books, now).issuance(&request.identifiers);
        records.push(Record::Certificate(certificate));
        let old = request.replaces.as_ref().and_then(|old| books.certificate(&old.serial));
        if let Some(old) = old.filter(|old| old.replaced_by.is_none()) {
            let replaced_by = Some(serial.clone());
            records.push(Record::Certificate(Certificate { replaced_by, ..old.clone() }));
        }
        Ok((serial, records))
    })
}

/// Hands out the certificate with its default chain, and says where the alternate is.
pub(super) async fn certificate(
    State(ca): State<Arc<Ca>>,
    Path(serial): Path<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    download(&ca, &serial, 0, &by)
}

/// Hands out the certificate with the chain of the given number.
pub(super) async fn alternate(
    State(ca): State<Arc<Ca>>,
    Path((serial, chain)): Path<(String, String)>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let chain = chain.parse().map_err(|_| Problem::not_found("chain"))?;
    download(&ca, &serial, chain, &by)
}

fn download(ca: &Ca, serial: &str, chain: usize, by: &ByAccount) -> Result<Response, Problem> {
    by.payload.nothing()?;
    let chains = ca.issuer.chains();
    let above = chains.get(chain).ok_or_else(|| Problem::not_found("chain"))?;
    let serial = Serial::from_hex(serial).ok_or_else(|| Problem::not_found("certificate"))?;
    let certificate = ca.ledger.read(|books| books.certificate(&serial).cloned())?;
    let certificate = certificate
        .filter(|certificate| certificate.account == by.account.id)
        .ok_or_else(|| Problem::not_found("certificate"))?;
    let kind = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
    let mut response = (kind, format!("{}{above}", certificate.pem)).into_response();
    for other in (0..chains.len()).filter(|other| *other != chain) {
        let link = format!("<{}>;rel=\"alternate\"", chain_url(ca, &serial, other));
        let link = link.try_into().map_err(|why: InvalidHeaderValue| Problem::internal(&why))?;
        response.headers_mut().append(header::LINK, link);
    }
    Ok(response)
}

fn chain_url(ca: &Ca, serial: &Serial, chain: usize) -> String {
    match chain {
        0 => ca.url(format_args!("/certificate/{serial}")),
        other => ca.url(format_args!("/certificate/{serial}/{other}")),
    }
}
