//! One order, from opening to the chain (RFC 8555 §7.4).

use std::time::Duration;

pub(crate) use instant_acme::OrderStatus;

use super::authorization::Authorization;
use super::error::AcmeError;
use crate::model::challenge::ChallengeKind;
use crate::model::name::Identifier;

/// What to order.
#[derive(Clone, Debug)]
pub(crate) struct NewOrder {
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) profile: Option<String>,
    /// The ARI id of the certificate this order replaces (RFC 9773 §5); same CA and account only.
    pub(crate) replaces: Option<String>,
}

/// An order as last seen. The caller journals its URL before finalizing.
pub(crate) struct Order {}

/// What was issued. The caller parses and verifies it.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// Certificates in PEM, nothing else in between.
    pub(crate) chain_pem: String,
}

impl Order {
    pub(crate) fn url(&self) -> &str {
        todo!()
    }

    pub(crate) fn status(&self) -> OrderStatus {
        todo!()
    }

    /// The profile the CA chose or confirmed.
    pub(crate) fn profile(&self) -> Option<&str> {
        todo!()
    }

    pub(crate) fn identifiers(&self) -> &[Identifier] {
        todo!()
    }

    /// What is still to be proven; empty when the order waits for nothing.
    pub(crate) async fn pending(&self) -> Result<Vec<Authorization>, AcmeError> {
        todo!()
    }

    /// Tells the CA that the challenge of this kind is answered.
    pub(crate) async fn set_ready(
        &self,
        authorization: &Authorization,
        kind: ChallengeKind,
    ) -> Result<(), AcmeError> {
        todo!()
    }

    /// Waits until the CA has checked every challenge; at once when it has.
    pub(crate) async fn wait_ready(&mut self, patience: Duration) -> Result<(), AcmeError> {
        todo!()
    }

    /// Hands the CSR in. The caller has journaled the URL and stored the key.
    pub(crate) async fn finalize(&mut self, csr_der: &[u8]) -> Result<(), AcmeError> {
        todo!()
    }

    /// Waits for the certificate and fetches it.
    pub(crate) async fn wait_certificate(
        &mut self,
        patience: Duration,
    ) -> Result<Issued, AcmeError> {
        todo!()
    }

    /// Fetches the other chains the CA offers for the same certificate (RFC 8555 §7.4.2).
    pub(crate) async fn alternates(&self, issued: &Issued) -> Result<Vec<String>, AcmeError> {
        todo!()
    }
}
