//! One CA behind one connection pool.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ca::Endpoint;
use super::directory::Directory;
use super::error::AcmeError;
use super::http::{Expect, Nonce, Reply, Timeouts, Transport};
use super::jws::{self, Signer, SigningKey};
use super::origin::CaUrl;
use super::revoke::{self, Reason};
use crate::model::time::{Clock, Timestamp};

/// How often one request is signed anew before the CA is given up. Where every second nonce is
/// refused, one request in a million still fails.
const NONCE_ATTEMPTS: usize = 20;

/// A CA that answered with its directory. Cloning shares the connection, the nonces and the counts.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    transport: Transport,
    directory: Directory,
}

impl Session {
    /// Fetches and reads the directory.
    ///
    /// The clock turns the CA's waiting times into moments; `user_agent` goes out with every request.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        user_agent: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AcmeError> {
        Self::open_within(endpoint, user_agent, clock, Timeouts::default()).await
    }

    pub(super) async fn open_within(
        endpoint: &Endpoint,
        user_agent: &str,
        clock: Arc<dyn Clock>,
        timeouts: Timeouts,
    ) -> Result<Self, AcmeError> {
        let transport = Transport::new(endpoint, user_agent, clock, timeouts)?;
        let url = transport.origin.directory();
        let reply = transport.get(url, Expect::Json).await?;
        let directory = Directory::parse(&transport.origin, &reply.body)?;
        Ok(Self(Arc::new(Inner { transport, directory })))
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// What the CA's clock shows now, going by its last answer.
    pub(crate) fn ca_time(&self) -> Option<Timestamp> {
        self.0.transport.ca_time()
    }

    /// How many requests were sent so far.
    pub(crate) fn round_trips(&self) -> usize {
        self.0.transport.round_trips()
    }

    /// Revokes a certificate by its own key (RFC 8555 §7.6), for when the account is lost.
    pub(crate) async fn revoke_with_key(
        &self,
        leaf_der: &[u8],
        key_pkcs8: &[u8],
        reason: Reason,
    ) -> Result<(), AcmeError> {
        let key = SigningKey::from_pkcs8(key_pkcs8)?;
        let url = self.directory().revoke_cert()?;
        let leaf = leaf_der.into();
        self.post(Signer::Key(&key), url, &revoke::payload(&leaf, reason)).await?;
        Ok(())
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(super) fn admit(&self, what: &'static str, text: &str) -> Result<CaUrl, AcmeError> {
        self.0.transport.origin.admit(what, text)
    }

    /// Sends a signed payload.
    pub(super) async fn post(
        &self,
        signer: Signer<'_>,
        url: &CaUrl,
        payload: &impl Serialize,
    ) -> Result<Reply, AcmeError> {
        let payload = serde_json::to_vec(payload).expect("our own payloads can be written");
        self.send(signer, url, Some(&payload), Expect::Json).await
    }

    /// Reads a resource (POST-as-GET, RFC 8555 §6.3).
    pub(super) async fn read(
        &self,
        signer: Signer<'_>,
        url: &CaUrl,
        expect: Expect,
    ) -> Result<Reply, AcmeError> {
        self.send(signer, url, None, expect).await
    }

    pub(super) async fn send(
        &self,
        signer: Signer<'_>,
        url: &CaUrl,
        payload: Option<&[u8]>,
        expect: Expect,
    ) -> Result<Reply, AcmeError> {
        for _ in 0..NONCE_ATTEMPTS {
            let nonce = self.nonce().await?;
            let body = jws::request(signer, nonce.as_str(), url.as_str(), payload)?;
            match self.transport().post(url, body, expect).await {
                Err(error) if error.is("badNonce") => {}
                answer => return answer,
            }
        }
        Err(AcmeError::NonceStorm { url: url.boxed(), attempts: NONCE_ATTEMPTS })
    }

    /// Takes a nonce from an earlier answer, else asks for one (RFC 8555 §7.2).
    pub(super) async fn nonce(&self) -> Result<Nonce, AcmeError> {
        if let Some(nonce) = self.transport().take_nonce() {
            return Ok(nonce);
        }
        let url = &self.directory().new_nonce;
        let fresh = self.transport().fresh_nonce(url).await?;
        fresh.ok_or_else(|| unintelligible(url, "no usable nonce"))
    }

    /// How long the last request took, which is how long the next will take at least.
    pub(super) fn last_trip(&self) -> Duration {
        self.transport().last_trip()
    }
}

/// Reads the JSON a URL answered with.
pub(super) fn parse<T: DeserializeOwned>(
    url: &CaUrl,
    what: &'static str,
    body: &[u8],
) -> Result<T, AcmeError> {
    serde_json::from_slice(body).map_err(|source| AcmeError::Unintelligible {
        url: url.boxed(),
        what,
        source: Some(source),
    })
}

pub(super) fn unintelligible(url: &CaUrl, what: &'static str) -> AcmeError {
    AcmeError::Unintelligible { url: url.boxed(), what, source: None }
}
