//! One order, from opening to the chain (RFC 8555 §7.4).

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
pub(crate) use instant_acme::OrderStatus;
use instant_acme::{CertificateIdentifier, NewOrder as Payload};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::authorization::{Authorization, Seen};
use super::error::{AcmeError, ChallengeFailure};
use super::http::{Expect, Reply};
use super::jws;
use super::origin::CaUrl;
use super::poll::Looks;
use super::problem::{Problem, printable};
use super::renewal_info::split_id;
use super::session::{parse, unintelligible};
use crate::model::challenge::ChallengeKind;
use crate::model::name::Identifier;

/// A certificate profile of the CA (draft-ietf-acme-profiles §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Profile {
    /// Left out of the order where the CA does not offer it.
    Preferred(String),
    /// Without it there is no order.
    Required(String),
}

impl Profile {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Preferred(name) | Self::Required(name) => name,
        }
    }
}

/// What to order.
#[derive(Clone, Debug)]
pub(crate) struct NewOrder {
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) profile: Option<String>,
    /// The ARI id of the certificate this order replaces (RFC 9773 §5); same CA and account only.
    pub(crate) replaces: Option<String>,
}

impl NewOrder {
    /// Opens the order; `replaces` stays out where the CA has no renewal information.
    async fn send(&self, account: &Account) -> Result<Reply, AcmeError> {
        let directory = account.session().directory();
        let identifiers: Vec<_> = self.identifiers.iter().map(foreign).collect();
        let mut payload = Payload::new(&identifiers);
        if let Some(profile) = &self.profile {
            payload = payload.profile(profile);
        }
        let replaces = self.replaces.as_deref().filter(|_| directory.offers_renewal_info());
        if let Some((key, serial)) = replaces.and_then(split_id) {
            payload = payload.replaces(CertificateIdentifier {
                authority_key_identifier: key.into(),
                serial: serial.into(),
            });
        }
        let sent = account.post(&directory.new_order, &payload).await;
        sent.map_err(|error| match error.problem() {
            Some(problem) if replaces.is_some() && problem.concerns_replaces() => {
                AcmeError::ReplacesRefused { problem: Box::new(problem.clone()) }
            }
            _ => error,
        })
    }
}

/// An order as last seen. The caller journals its URL before finalizing.
pub(crate) struct Order {
    account: Account,
    url: CaUrl,
    state: State,
}

/// What the CA says of an order, every part of it checked.
struct State {
    status: OrderStatus,
    identifiers: Vec<Identifier>,
    authorizations: Vec<CaUrl>,
    finalize: CaUrl,
    certificate: Option<CaUrl>,
    profile: Option<String>,
    error: Option<Problem>,
    retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Wire {
    status: OrderStatus,
    identifiers: Vec<Value>,
    authorizations: Vec<String>,
    finalize: String,
    #[serde(default)]
    certificate: Option<String>,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    error: Value,
}

/// What was issued. The caller parses and verifies it.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// Certificates in PEM and nothing else.
    pub(crate) chain_pem: String,
    alternates: Vec<String>,
}

const MOST_ALTERNATES: usize = 8;

impl State {
    fn read(account: &Account, url: &CaUrl, reply: &Reply) -> Result<Self, AcmeError> {
        let wire: Wire = parse(url, "this is no order", &reply.body)?;
        let admit = |what, text: &str| account.session().admit(what, text);
        let identifiers = wire.identifiers.iter().map(Identifier::deserialize);
        let identifiers = identifiers.collect::<Result<Vec<_>, _>>().map_err(|error| {
            let (what, why) = ("identifiers of the order", "were not asked for");
            AcmeError::Unacceptable { what, value: printable(&error.to_string(), 200), why }
        })?;
        if wire.authorizations.len() > identifiers.len() {
            return Err(unintelligible(url, "more authorizations than identifiers"));
        }
        let authorizations = wire.authorizations.iter();
        Ok(Self {
            status: wire.status,
            identifiers,
            authorizations: authorizations
                .map(|text| admit("authorization URL", text))
                .collect::<Result<_, _>>()?,
            finalize: admit("finalize URL", &wire.finalize)?,
            certificate: wire
                .certificate
                .map(|text| admit("certificate URL", &text))
                .transpose()?,
            profile: wire.profile.map(|name| printable(&name, 64)),
            error: Problem::from_value(&wire.error),
            retry_after: reply.retry_after,
        })
    }
}

impl Order {
    pub(super) async fn open(account: Account, wanted: &NewOrder) -> Result<Self, AcmeError> {
        let reply = wanted.send(&account).await?;
        let new_order = &account.session().directory().new_order;
        let location = reply.location.as_deref();
        let location = location.ok_or_else(|| unintelligible(new_order, "no order URL"))?;
        let url = account.session().admit("order URL", location)?;
        let state = State::read(&account, &url, &reply)?;
        same_identifiers(&wanted.identifiers, &state.identifiers)?;
        Ok(Self { account, url, state })
    }

    pub(super) async fn resume(account: Account, url: &str) -> Result<Self, AcmeError> {
        let url = account.session().admit("order URL", url)?;
        let reply = account.read(&url, Expect::Json).await?;
        let state = State::read(&account, &url, &reply)?;
        Ok(Self { account, url, state })
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn status(&self) -> OrderStatus {
        self.state.status
    }

    /// The profile the CA chose or confirmed.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.state.profile.as_deref()
    }

    pub(crate) fn identifiers(&self) -> &[Identifier] {
        &self.state.identifiers
    }

    /// What is still to be proven; empty when the order waits for nothing.
    pub(crate) async fn pending(&self) -> Result<Vec<Authorization>, AcmeError> {
        match self.state.status {
            OrderStatus::Pending => {}
            OrderStatus::Invalid => return Err(self.why_invalid().await),
            _ => return Ok(Vec::new()),
        }
        let mut pending = Vec::new();
        for seen in self.authorizations().await? {
            match seen {
                Seen::Valid => {}
                Seen::Failed(failures) => return Err(AcmeError::Unproven { failures }),
                Seen::Pending(authorization) => pending.push(authorization),
            }
        }
        let foreign = pending.iter().find(|one| !self.state.identifiers.contains(&one.identifier));
        if let Some(one) = foreign {
            let got = one.identifier.to_string();
            return Err(AcmeError::OtherIdentifiers { wanted: join(self.identifiers()), got });
        }
        Ok(pending)
    }

    /// Fetches all authorizations, several at a time when there are many.
    async fn authorizations(&self) -> Result<Vec<Seen>, AcmeError> {
        let urls = &self.state.authorizations;
        let lanes = (urls.len() / 4).clamp(1, 8);
        // Boxed, because the compiler cannot see through the closure that the whole is `Send`.
        let fetches = urls.iter().map(|url| Authorization::fetch(&self.account, url).boxed());
        let fetches: Vec<_> = fetches.collect();
        stream::iter(fetches).buffered(lanes).try_collect().await
    }

    /// Tells the CA that the challenge of this kind is answered.
    pub(crate) async fn set_ready(
        &self,
        authorization: &Authorization,
        kind: ChallengeKind,
    ) -> Result<(), AcmeError> {
        let Some(url) = authorization.url(kind) else {
            return Err(AcmeError::NotOffered { what: "challenge of this type" });
        };
        match self.account.post(url, &json!({})).await {
            // Some CAs say so when they are validating already.
            Err(error) if error.is("conflict") => Ok(()),
            sent => sent.map(drop),
        }
    }

    /// Waits until the CA has checked every challenge; at once when it has.
    pub(crate) async fn wait_ready(&mut self, patience: Duration) -> Result<(), AcmeError> {
        let settled = |status| status != OrderStatus::Pending;
        match self.wait(patience, "ready", settled).await {
            Err(error @ AcmeError::StillWaiting { .. }) => {
                // An order may wait on for the other names although one is lost.
                let failures = self.failures().await.unwrap_or_default();
                if failures.is_empty() { Err(error) } else { Err(AcmeError::Unproven { failures }) }
            }
            Err(error) => Err(error),
            Ok(()) if self.state.status == OrderStatus::Invalid => Err(self.why_invalid().await),
            Ok(()) => Ok(()),
        }
    }

    /// Hands the CSR in. The caller has journaled the URL and stored the key.
    pub(crate) async fn finalize(&mut self, csr_der: &[u8]) -> Result<(), AcmeError> {
        if self.state.status != OrderStatus::Ready {
            return Err(self.not_fit("finalized"));
        }
        let payload = json!({ "csr": jws::encode(csr_der) });
        let reply = self.account.post(&self.state.finalize, &payload).await?;
        self.take(&reply)
    }

    /// Waits for the certificate and fetches it.
    pub(crate) async fn wait_certificate(
        &mut self,
        patience: Duration,
    ) -> Result<Issued, AcmeError> {
        let settled = |status| status != OrderStatus::Processing;
        self.wait(patience, "issued", settled).await?;
        match self.state.status {
            OrderStatus::Valid => {}
            OrderStatus::Invalid => return Err(self.why_invalid().await),
            _ => return Err(self.not_fit("downloaded")),
        }
        let Some(url) = &self.state.certificate else {
            return Err(unintelligible(&self.url, "a valid order without certificate URL"));
        };
        let reply = self.account.read(url, Expect::Chain).await?;
        let chain_pem = pem_chain(url, &reply)?;
        Ok(Issued { chain_pem, alternates: reply.alternates })
    }

    /// Fetches the other chains the CA offers for the same certificate (RFC 8555 §7.4.2).
    pub(crate) async fn alternates(&self, issued: &Issued) -> Result<Vec<String>, AcmeError> {
        let mut chains = Vec::new();
        for link in issued.alternates.iter().take(MOST_ALTERNATES) {
            let url = self.account.session().admit("alternate chain URL", link)?;
            let reply = self.account.read(&url, Expect::Chain).await?;
            chains.push(pem_chain(&url, &reply)?);
        }
        Ok(chains)
    }

    /// Looks until the status is settled. An answer that fails to come is only one look lost.
    async fn wait(
        &mut self,
        patience: Duration,
        what: &'static str,
        settled: impl Fn(OrderStatus) -> bool,
    ) -> Result<(), AcmeError> {
        let started = Instant::now();
        let mut looks = Looks::new(patience, self.account.session().last_trip());
        let mut lost = None;
        looks.heed(Duration::ZERO, self.state.retry_after);
        while !settled(self.state.status) {
            let Some(delay) = looks.next() else {
                return Err(lost.unwrap_or_else(|| self.still_waiting(what, started.elapsed())));
            };
            sleep(delay).await;
            lost = match self.look().await {
                Ok(()) => None,
                Err(error) if error.is_no_answer() => Some(error),
                Err(error) => return Err(error),
            };
            looks.heed(started.elapsed(), self.state.retry_after);
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), AcmeError> {
        let reply = self.account.read(&self.url, Expect::Json).await?;
        self.take(&reply)
    }

    /// Takes over what the CA says now, unless the order has become another one.
    fn take(&mut self, reply: &Reply) -> Result<(), AcmeError> {
        let state = State::read(&self.account, &self.url, reply)?;
        same_identifiers(&self.state.identifiers, &state.identifiers)?;
        self.state = state;
        Ok(())
    }

    async fn failures(&self) -> Result<Vec<ChallengeFailure>, AcmeError> {
        let seen = self.authorizations().await?.into_iter();
        let failed = seen.filter_map(|seen| match seen {
            Seen::Failed(failures) => Some(failures),
            Seen::Valid | Seen::Pending(_) => None,
        });
        Ok(failed.flatten().collect())
    }

    /// The CA's reasons: those of the challenges where there are some, else the order's own.
    async fn why_invalid(&self) -> AcmeError {
        let failures = self.failures().await.unwrap_or_default();
        if !failures.is_empty() {
            return AcmeError::Unproven { failures };
        }
        let unexplained = || Problem::unexplained("the CA gives no reason".to_owned());
        let problem = self.state.error.clone().unwrap_or_else(unexplained);
        AcmeError::OrderInvalid { url: self.url.boxed(), problem: Box::new(problem) }
    }

    fn still_waiting(&self, what: &'static str, waited: Duration) -> AcmeError {
        let asked = self.state.retry_after;
        let until = asked.map(|span| self.account.session().transport().in_future(span));
        AcmeError::StillWaiting { url: self.url.boxed(), what, waited, until }
    }

    fn not_fit(&self, what: &'static str) -> AcmeError {
        let status = match self.state.status {
            OrderStatus::Pending => "pending",
            OrderStatus::Ready => "ready",
            OrderStatus::Processing => "processing",
            OrderStatus::Valid => "valid",
            OrderStatus::Invalid => "invalid",
        };
        AcmeError::OrderNotFit { url: self.url.boxed(), what, status }
    }
}

fn foreign(identifier: &Identifier) -> instant_acme::Identifier {
    match identifier {
        Identifier::Dns(name) => instant_acme::Identifier::Dns(name.as_str().to_owned()),
        Identifier::Ip(ip) => instant_acme::Identifier::Ip(*ip),
    }
}

/// A CA must not certify other names than asked for, nor fewer, in whatever order it lists them.
fn same_identifiers(wanted: &[Identifier], got: &[Identifier]) -> Result<(), AcmeError> {
    let set = |identifiers: &[Identifier]| identifiers.iter().cloned().collect::<BTreeSet<_>>();
    if set(wanted) == set(got) {
        return Ok(());
    }
    Err(AcmeError::OtherIdentifiers { wanted: join(wanted), got: join(got) })
}

fn join(identifiers: &[Identifier]) -> String {
    let shown = identifiers.iter().take(100).map(ToString::to_string).collect::<Vec<_>>();
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
}

/// Takes a body that holds certificates and nothing else (RFC 8555 §9.1).
fn pem_chain(url: &CaUrl, reply: &Reply) -> Result<String, AcmeError> {
    let refuse = || unintelligible(url, "this is no chain of certificates");
    let text = std::str::from_utf8(&reply.body).map_err(|_| refuse())?;
    if is_pem_chain(text) { Ok(text.to_owned()) } else { Err(refuse()) }
}

fn is_pem_chain(text: &str) -> bool {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let (mut inside, mut count) = (false, 0);
    for line in text.lines().map(str::trim_end) {
        match (inside, line) {
            (false, "") => {}
            (false, "-----BEGIN CERTIFICATE-----") => inside = true,
            (true, "-----END CERTIFICATE-----") => (inside, count) = (false, count + 1),
            (true, line) if line.bytes().all(base64) => {}
            _ => return false,
        }
    }
    !inside && count > 0
}
