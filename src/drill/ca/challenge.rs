//! Authorizations and challenges as resources (RFC 8555 §7.5).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use serde_json::Value;

use super::account::account_url;
use super::ledger::Books;
use super::problem::Problem;
use super::public_key::PublicKey;
use super::signed::ByAccount;
use super::state::Ca;
use super::validate::{Claim, validate};
use crate::model::challenge::{Challenge, ChallengeKind, KeyAuthorization};

#[derive(Deserialize)]
struct Update {
    status: String,
}

/// Shows an authorization, or deactivates it (RFC 8555 §7.5.2).
pub(super) async fn authorization(
    State(ca): State<Arc<Ca>>,
    Path((order, index)): Path<(String, String)>,
    by: ByAccount,
) -> Result<Json<Value>, Problem> {
    let mut orders = ca.orders();
    let authorization = orders.authorization(&order, &index, by.account.id)?;
    if !by.payload.is_empty() {
        let wanted: Update = by.payload.json()?;
        if wanted.status != "deactivated" {
            return Err(Problem::malformed("an authorization can only be deactivated"));
        }
        authorization.deactivate();
    }
    Ok(Json(authorization.view(&authorization_url(&ca, &order, &index), ca.now())))
}

/// Shows a challenge; a payload, `{}`, has it validated (RFC 8555 §7.5.1).
pub(super) async fn challenge(
    State(ca): State<Arc<Ca>>,
    Path((order, index, kind)): Path<(String, String, String)>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let kind = ChallengeKind::parse(&kind).ok_or_else(|| Problem::not_found("challenge"))?;
    if !by.payload.is_empty() {
        by.payload.json::<serde_json::Map<String, Value>>()?;
    }
    let mut orders = ca.orders();
    let authorization = orders.authorization(&order, &index, by.account.id)?;
    if !by.payload.is_empty()
        && let Some(token) = authorization.begin(kind, ca.now())
    {
        let thumbprint = by.account.key.thumbprint();
        let key_authorization = KeyAuthorization::new(&token, &thumbprint);
        let identifier = authorization.identifier.clone();
        // The label of the account is made where it is looked for, apart from the client's.
        let account = None;
        let challenge = Challenge { identifier, kind, token, key_authorization, account };
        let account_url = account_url(&ca, by.account.id);
        let place = (order.clone(), index.clone(), by.account.id);
        let former = by.account.former_keys.iter().map(PublicKey::thumbprint);
        let thumbprints = [thumbprint].into_iter().chain(former).collect();
        ca.spawn(judge(Arc::clone(&ca), place, Claim { challenge, account_url, thumbprints }));
    }
    let url = authorization_url(&ca, &order, &index);
    let view = authorization.challenge_view(kind, &url);
    let view = view.ok_or_else(|| Problem::not_found("challenge"))?;
    Ok(([(header::LINK, format!("<{url}>;rel=\"up\""))], Json(view)).into_response())
}

/// Validates and records the outcome, unless the order is gone by then.
async fn judge(ca: Arc<Ca>, place: (String, String, u64), claim: Claim) {
    let outcome = validate(&ca, &claim).await;
    let (order, index, account) = place;
    let now = ca.now();
    let challenge = claim.challenge;
    if outcome.is_err() {
        let failed = |books: &Books| ca.meter(books, now).failure(account, &challenge.identifier);
        // A ledger that cannot be written is told to whoever asks next.
        let _ = ca.ledger.change(|books| Ok(((), failed(books))));
    }
    if let Ok(authorization) = ca.orders().authorization(&order, &index, account) {
        authorization.conclude(challenge.kind, now, outcome);
    }
}

fn authorization_url(ca: &Ca, order: &str, index: &str) -> String {
    ca.url(format_args!("/authorization/{order}/{index}"))
}
