//! Accounts: made, changed, deactivated, moved to another key (RFC 8555 §7.3).

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::jws::{Jws, KeyName};
use super::ledger::{Account, AccountId, AccountStatus, Books, Record};
use super::problem::{Kind, Problem};
use super::public_key::PublicKey;
use super::serve::Peer;
use super::signed::{ByAccount, ByKey, account_id};
use super::state::Ca;

pub(super) const NEW_ACCOUNT: &str = "/new-account";
pub(super) const KEY_CHANGE: &str = "/key-change";

const MOST_CONTACTS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    #[serde(default)]
    contact: Vec<String>,
    #[serde(default)]
    terms_of_service_agreed: bool,
    #[serde(default)]
    only_return_existing: bool,
    external_account_binding: Option<Value>,
}

/// Answers newAccount: 201 for a new account, 200 for one that has this key already.
pub(super) async fn create(
    State(ca): State<Arc<Ca>>,
    Extension(peer): Extension<Peer>,
    by: ByKey,
) -> Result<Response, Problem> {
    let wanted: NewAccount = by.payload.json()?;
    if let Some(account) = ca.ledger.read(|books| books.account_of(&by.key).cloned())? {
        return answer(&ca, StatusCode::OK, &account);
    }
    if wanted.only_return_existing {
        return Err(Problem::new(Kind::AccountDoesNotExist, "no account has this key"));
    }
    if !wanted.terms_of_service_agreed {
        let detail = "the terms of service must be agreed to";
        return Err(Problem::new(Kind::UserActionRequired, detail));
    }
    check_contacts(&wanted.contact)?;
    let external = bound_to(&ca, wanted.external_account_binding.as_ref(), &by.key)?;
    let now = ca.now();
    let (status, account) = ca.ledger.change(|books| {
        // Another request with the same key may have been quicker.
        if let Some(account) = books.account_of(&by.key) {
            return Ok(((StatusCode::OK, account.clone()), Vec::new()));
        }
        let charged = ca.meter(books, now).registration(peer.address);
        let mut records = charged.map_err(|denied| ca.too_many(&denied, now))?;
        let account = Account {
            id: books.next_account(),
            key: by.key,
            former_keys: Vec::new(),
            contact: wanted.contact,
            status: AccountStatus::Valid,
            external,
        };
        records.push(Record::Account(account.clone()));
        Ok(((StatusCode::CREATED, account), records))
    })?;
    answer(&ca, status, &account)
}

/// The external account the client shows it holds (RFC 8555 §7.3.4); none when none is asked for.
fn bound_to(ca: &Ca, jws: Option<&Value>, key: &PublicKey) -> Result<Option<String>, Problem> {
    if ca.eab.is_empty() {
        return Ok(None);
    }
    let Some(jws) = jws else {
        let detail = "this CA wants an external account binding";
        return Err(Problem::new(Kind::ExternalAccountRequired, detail));
    };
    let jws = Jws::from_value(jws).map_err(|why| why.during("external account binding"))?;
    let kid = jws.mac_key_name().unwrap_or_default();
    let Some(secret) = ca.eab.get(kid) else {
        let detail = format!("the external account {kid:?} is not known");
        return Err(Problem::new(Kind::Unauthorized, detail));
    };
    jws.verify_mac(secret)?;
    let refuse = |why: &str| Err(Problem::malformed(format!("external account binding :: {why}")));
    if jws.header.nonce.is_some() {
        return refuse("it must not have a nonce");
    }
    if jws.header.url.as_deref() != Some(&ca.url(NEW_ACCOUNT)) {
        return refuse("its URL is not that of the request");
    }
    match serde_json::from_slice::<PublicKey>(&jws.payload) {
        Ok(bound) if bound == *key => Ok(Some(kid.to_owned())),
        _ => refuse("its payload is not the key of the account"),
    }
}

fn check_contacts(contacts: &[String]) -> Result<(), Problem> {
    if contacts.len() > MOST_CONTACTS {
        let detail = format!("an account may have {MOST_CONTACTS} contacts at most");
        return Err(Problem::new(Kind::InvalidContact, detail));
    }
    for contact in contacts {
        let Some(address) = contact.strip_prefix("mailto:") else {
            let detail = format!("{contact:?} is not a mailto URL");
            return Err(Problem::new(Kind::UnsupportedContact, detail));
        };
        let plain = |c: char| c.is_ascii_graphic() && !",?%<>\"".contains(c);
        let parts = address
            .split_once('@')
            .filter(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
        if parts.is_none() || address.len() > 254 || !address.chars().all(plain) {
            let detail = format!("{contact:?} is not one plain e-mail address");
            return Err(Problem::new(Kind::InvalidContact, detail));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Update {
    contact: Option<Vec<String>>,
    status: Option<AccountStatus>,
}

/// Shows the account, or changes its contacts, or deactivates it (RFC 8555 §7.3.2, §7.3.6).
pub(super) async fn update(
    State(ca): State<Arc<Ca>>,
    Path(id): Path<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    expect_own(&by.account, &id)?;
    if by.payload.is_empty() {
        return answer(&ca, StatusCode::OK, &by.account);
    }
    let wanted: Update = by.payload.json()?;
    check_contacts(wanted.contact.as_deref().unwrap_or_default())?;
    let account = change(&ca, by.account.id, |_, mut account| {
        account.contact = wanted.contact.unwrap_or(account.contact);
        account.status = wanted.status.unwrap_or(account.status);
        Ok(account)
    })?;
    answer(&ca, StatusCode::OK, &account)
}

/// Lists the orders of this process (RFC 8555 §7.1.2.1).
pub(super) async fn orders(
    State(ca): State<Arc<Ca>>,
    Path(id): Path<String>,
    by: ByAccount,
) -> Result<Response, Problem> {
    expect_own(&by.account, &id)?;
    by.payload.nothing()?;
    let urls: Vec<String> = ca
        .orders()
        .of_account(by.account.id)
        .map(|order| ca.url(format_args!("/order/{}", order.id)))
        .collect();
    Ok(Json(json!({ "orders": urls })).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyChange {
    account: String,
    old_key: PublicKey,
}

/// Moves an account to a new key, which must sign the wish itself (RFC 8555 §7.3.5).
pub(super) async fn change_key(
    State(ca): State<Arc<Ca>>,
    by: ByAccount,
) -> Result<Response, Problem> {
    let inner = Jws::parse(by.payload.bytes()).map_err(|why| why.during("inner JWS"))?;
    let KeyName::Jwk(new_key) = inner.key_name()? else {
        return Err(Problem::malformed("the inner JWS must bring the new key as jwk"));
    };
    inner.verify(&new_key).map_err(|why| why.during("inner JWS"))?;
    let refuse = |why: &str| Err(Problem::malformed(format!("inner JWS :: {why}")));
    if inner.header.nonce.is_some() {
        return refuse("it must not have a nonce");
    }
    if inner.header.url.as_deref() != Some(&ca.url(KEY_CHANGE)) {
        return refuse("its URL is not that of the request");
    }
    let wish: KeyChange = serde_json::from_slice(&inner.payload)
        .map_err(|why| Problem::malformed(format!("inner JWS :: the payload: {why}")))?;
    if account_id(&wish.account) != Some(by.account.id) || wish.old_key != by.account.key {
        return refuse("account or oldKey is not that of the request");
    }
    if let Some(other) = ca.ledger.read(|books| books.account_of(&new_key).map(|a| a.id))? {
        return Ok(key_in_use(&ca, other));
    }
    let account = change(&ca, by.account.id, |books, account| {
        if books.account_of(&new_key).is_some() || account.key != wish.old_key {
            return Err(Problem::malformed("the keys have changed meanwhile"));
        }
        let former_keys = [account.former_keys, vec![account.key]].concat();
        Ok(Account { key: new_key, former_keys, ..account })
    })?;
    answer(&ca, StatusCode::OK, &account)
}

fn key_in_use(ca: &Ca, other: AccountId) -> Response {
    let problem =
        Problem::malformed("another account has the new key").status(StatusCode::CONFLICT);
    ([(header::LOCATION, account_url(ca, other))], problem).into_response()
}

/// Rewrites an account under the lock of the ledger.
fn change(
    ca: &Ca,
    id: AccountId,
    rewrite: impl FnOnce(&Books, Account) -> Result<Account, Problem>,
) -> Result<Account, Problem> {
    ca.ledger.change(|books| {
        let account = books.account(id).cloned().ok_or_else(|| Problem::not_found("account"))?;
        let account = rewrite(books, account)?;
        Ok((account.clone(), vec![Record::Account(account)]))
    })
}

fn expect_own(account: &Account, id: &str) -> Result<(), Problem> {
    if account.id.to_string() == id {
        return Ok(());
    }
    Err(Problem::new(Kind::Unauthorized, "this is another account's"))
}

pub(super) fn account_url(ca: &Ca, id: AccountId) -> String {
    ca.url(format_args!("/account/{id}"))
}

fn answer(ca: &Ca, status: StatusCode, account: &Account) -> Result<Response, Problem> {
    let url = account_url(ca, account.id);
    let body = json!({
        "status": account.status,
        "contact": account.contact,
        "key": account.key,
        "termsOfServiceAgreed": true,
        "orders": format!("{url}/orders"),
    });
    let location: [(HeaderName, String); 1] = [(header::LOCATION, url)];
    Ok((status, location, Json(body)).into_response())
}
