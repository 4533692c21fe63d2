//! Where a client begins: directory, terms and nonces (RFC 8555 §7.1.1, §7.2).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::account::{KEY_CHANGE, NEW_ACCOUNT};
use super::new_order::NEW_ORDER;
use super::profile::Profile;
use super::renewal_info::RENEWAL_INFO;
use super::revoke::REVOKE;
use super::state::Ca;

pub(super) const DIRECTORY: &str = "/directory";
pub(super) const NEW_NONCE: &str = "/new-nonce";
pub(super) const TERMS: &str = "/terms";

/// How a CAA record would mean this CA, and how a record of dns-persist-01 does.
pub(super) const IDENTITY: &str = "drill-ca.example";

pub(super) async fn directory(State(ca): State<Arc<Ca>>) -> Json<Value> {
    let now = ca.now();
    let mut directory = json!({
        "newNonce": ca.url(NEW_NONCE),
        "newAccount": ca.url(NEW_ACCOUNT),
        "newOrder": ca.url(NEW_ORDER),
        "revokeCert": ca.url(REVOKE),
        "keyChange": ca.url(KEY_CHANGE),
        "meta": {
            "termsOfService": ca.url(TERMS),
            "externalAccountRequired": !ca.eab.is_empty(),
            "caaIdentities": [IDENTITY],
            "profiles": Profile::offered(|profile| ca.behaviour.lifetime(profile, now)),
        },
    });
    if let Some(prefix) = ca.hash_prefix() {
        directory["meta"]["accountHashPrefix"] = json!(prefix);
        directory["meta"]["issuerDomainNames"] = json!([IDENTITY]);
    }
    if ca.behaviour.has_ari() {
        directory["renewalInfo"] = json!(ca.url(RENEWAL_INFO));
    }
    Json(directory)
}

/// The nonce itself is in a header that every answer gets.
pub(super) async fn new_nonce(method: Method) -> StatusCode {
    if method == Method::HEAD { StatusCode::OK } else { StatusCode::NO_CONTENT }
}

pub(super) async fn terms() -> &'static str {
    "Certificates of this CA are for trying things out. Nobody trusts them, and nobody should.\n"
}
