//! Opening orders: what may be asked for, and by whom what may be replaced (RFC 8555 §7.4, RFC 9773 §5).

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use super::account::account_url;
use super::charge::Demand;
use super::ledger::{AccountId, Certificate};
use super::nonce::random_text;
use super::offer::{offers, offers_dns};
use super::order::{Order, Replaces, Request};
use super::problem::{Kind, Problem, Subproblem};
use super::profile::Profile;
use super::renewal_info::advice;
use super::serial::CertId;
use super::signed::ByAccount;
use super::state::Ca;
use crate::model::name::{DnsName, Identifier};
use crate::model::time::Timestamp;

pub(super) const NEW_ORDER: &str = "/new-order";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Named>,
    profile: Option<String>,
    replaces: Option<String>,
    not_before: Option<Value>,
    not_after: Option<Value>,
}

#[derive(Deserialize)]
struct Named {
    r#type: String,
    value: String,
}

/// Answers newOrder.
pub(super) async fn create(State(ca): State<Arc<Ca>>, by: ByAccount) -> Result<Response, Problem> {
    let wanted: NewOrder = by.payload.json()?;
    let named = wanted.identifiers.iter().map(|named| named.value.to_ascii_lowercase());
    ca.scene().count_order(named.collect());
    if wanted.not_before.is_some() || wanted.not_after.is_some() {
        return Err(Problem::malformed("notBefore and notAfter are not supported"));
    }
    let profile = profile(wanted.profile.as_deref())?;
    let identifiers = identifiers(&ca, &wanted.identifiers, profile)?;
    expect_not_paused(&ca, &identifiers)?;
    let (account, now) = (by.account.id, ca.now());
    let mut orders = ca.orders();
    let cert_id = wanted.replaces.filter(|_| ca.behaviour.has_ari());
    let old = cert_id.as_deref().map(|id| replaced(&ca, id, account, &identifiers)).transpose()?;
    if old.as_ref().is_some_and(|old| orders.replacing(&old.serial, now)) {
        return Err(already_replaced());
    }
    let unproven = |one: &&Identifier| !orders.authorized(account, one, now);
    let advised = |old: &Certificate| advice(&ca, old, now).suggested_window.contains(now);
    let demand = Demand {
        account,
        identifiers: &identifiers,
        unproven: identifiers.iter().filter(unproven).cloned().collect(),
        on_advice: old.as_ref().is_some_and(advised),
    };
    ca.ledger.change(|books| match ca.meter(books, now).order(demand) {
        Ok(records) => Ok(((), records)),
        Err(denied) => Err(ca.too_many(&denied, now)),
    })?;
    let waiting = orders.waiting(account, &identifiers, profile, now);
    if let Some(order) = waiting.filter(|_| old.is_none() && ca.behaviour.order_reuse) {
        return Ok(opened(&ca, order, now));
    }
    let replaces = cert_id.zip(old).map(|(cert_id, old)| Replaces { cert_id, serial: old.serial });
    let request = Request { identifiers, profile, replaces };
    let account_url = account_url(&ca, account);
    let order = Order::new(account, request, now, |one| offers(&ca, one, &account_url));
    let answer = opened(&ca, &order, now);
    orders.insert(order, now);
    Ok(answer)
}

fn opened(ca: &Ca, order: &Order, now: Timestamp) -> Response {
    let location = [(header::LOCATION, ca.url(format_args!("/order/{}", order.id)))];
    (StatusCode::CREATED, location, Json(order.view(&ca.origin, now))).into_response()
}

/// Refuses what only a person can let go on, in the words of Let's Encrypt.
fn expect_not_paused(ca: &Ca, identifiers: &[Identifier]) -> Result<(), Problem> {
    let paused = ca.scene().paused_among(identifiers);
    if paused.is_empty() {
        return Ok(());
    }
    let (names, ticket) = (paused.join(", "), random_text());
    let url = ca.url(format_args!("/sfe/v1/unpause?jwt={ticket}"));
    let detail = format!(
        "Your account is temporarily prevented from requesting certificates for {names} and possibly others. Please visit: {url}"
    );
    Err(Problem::new(Kind::RateLimited, detail))
}

/// Shows an order.
pub(super) async fn show(
    State(ca): State<Arc<Ca>>,
    Path(id): Path<String>,
    by: ByAccount,
) -> Result<Json<Value>, Problem> {
    by.payload.nothing()?;
    let mut orders = ca.orders();
    let order = orders.owned(&id, by.account.id)?;
    Ok(Json(order.view(&ca.origin, ca.now())))
}

fn profile(name: Option<&str>) -> Result<Profile, Problem> {
    let Some(name) = name else {
        return Ok(Profile::DEFAULT);
    };
    let unknown = || Problem::new(Kind::InvalidProfile, format!("no profile is called {name:?}"));
    Profile::parse(name).ok_or_else(unknown)
}

/// Parses, sorts and judges the identifiers; of several faults of single ones all are told.
fn identifiers(ca: &Ca, named: &[Named], profile: Profile) -> Result<Vec<Identifier>, Problem> {
    let parsed: Result<Vec<_>, Problem> = named.iter().map(identifier).collect();
    let mut identifiers = parsed?;
    identifiers.sort();
    identifiers.dedup();
    if identifiers.is_empty() {
        return Err(Problem::malformed("an order needs at least one identifier"));
    }
    let most = profile.most_identifiers();
    if identifiers.len() > most {
        let detail = format!("the profile allows {most} identifiers at most");
        return Err(Problem::malformed(detail));
    }
    expect_no_overlap(&identifiers)?;
    let refused: Vec<Subproblem> = identifiers
        .iter()
        .filter_map(|identifier| Some((identifier, refusal(ca, identifier, profile)?)))
        .map(|(identifier, detail)| Subproblem {
            kind: Kind::RejectedIdentifier,
            detail,
            identifier: identifier.clone(),
        })
        .collect();
    match refused.first() {
        None => Ok(identifiers),
        Some(first) => {
            let detail = format!("{}: {}", first.identifier, first.detail);
            Err(Problem::new(Kind::RejectedIdentifier, detail).subproblems(refused))
        }
    }
}

/// Takes only what is written the one right way: A-labels, in any case, and RFC 5952 for IPv6.
fn identifier(named: &Named) -> Result<Identifier, Problem> {
    let value = &named.value;
    let parsed = match named.r#type.as_str() {
        "dns" => DnsName::parse(value).map(Identifier::Dns).map_err(|why| why.to_string()),
        "ip" => match value.parse::<IpAddr>() {
            Ok(ip) => Ok(Identifier::Ip(ip)),
            Err(_) => Err(format!("{value:?} is not an IP address")),
        },
        other => {
            let detail = format!("identifiers of type {other:?} are not supported");
            return Err(Problem::new(Kind::UnsupportedIdentifier, detail));
        }
    };
    let identifier = parsed.map_err(Problem::malformed)?;
    if identifier.to_string() != value.to_ascii_lowercase() {
        return Err(Problem::malformed(format!("{value:?} must be written {identifier}")));
    }
    Ok(identifier)
}

/// Refuses `*.x` together with `a.x`, as public CAs do.
fn expect_no_overlap(identifiers: &[Identifier]) -> Result<(), Problem> {
    let names = || {
        identifiers.iter().filter_map(|identifier| match identifier {
            Identifier::Dns(name) => Some(name),
            Identifier::Ip(_) => None,
        })
    };
    for wildcard in names().filter(|name| name.is_wildcard()) {
        let covered = |name: &&DnsName| *name != wildcard && wildcard.covers(name);
        if let Some(name) = names().find(covered) {
            let (name, wildcard) = (name.as_str(), wildcard.as_str());
            let detail = format!("{name} is redundant with the wildcard {wildcard}");
            return Err(Problem::malformed(detail));
        }
    }
    Ok(())
}

fn refusal(ca: &Ca, identifier: &Identifier, profile: Profile) -> Option<String> {
    match identifier {
        Identifier::Dns(name) if name.is_wildcard() && !offers_dns(ca) => {
            Some("a wildcard needs dns-01, which this CA offers with a name server only".to_owned())
        }
        Identifier::Dns(_) => None,
        Identifier::Ip(_) if !profile.allows_ip() => {
            Some(format!("the profile {} does not permit IP address identifiers", profile.as_str()))
        }
        Identifier::Ip(ip) if !ip.is_loopback() => {
            Some("this CA validates loopback addresses only".to_owned())
        }
        Identifier::Ip(_) => None,
    }
}

/// Finds the certificate to be replaced; refuses as Let's Encrypt does.
fn replaced(
    ca: &Ca,
    cert_id: &str,
    account: AccountId,
    identifiers: &[Identifier],
) -> Result<Certificate, Problem> {
    let unknown = || field(Problem::not_found("certificate"));
    let Some(id) = CertId::parse(cert_id) else {
        return Err(field(Problem::malformed("it is not a certificate identifier")));
    };
    if id.authority_key != ca.issuer.key_id {
        return Err(unknown());
    }
    let old = ca.ledger.read(|books| books.certificate(&id.serial).cloned())?;
    let old = old.ok_or_else(unknown)?;
    if old.account != account {
        let detail = "the certificate belongs to another account";
        return Err(field(Problem::new(Kind::Unauthorized, detail)));
    }
    if !old.identifiers.iter().any(|identifier| identifiers.contains(identifier)) {
        return Err(field(Problem::malformed("the certificates share no identifier")));
    }
    if old.replaced_by.is_some() {
        return Err(already_replaced());
    }
    Ok(old)
}

fn already_replaced() -> Problem {
    field(Problem::new(Kind::AlreadyReplaced, "another order replaces that certificate already"))
}

fn field(problem: Problem) -> Problem {
    problem.during("Could not validate ARI 'replaces' field")
}
