//! The embedded CA: a real ACME server on loopback HTTPS, inside this process.
//!
//! It obeys RFC 8555 (with EAB, key rollover, revocation), RFC 8737 and RFC 8738 (challenges for names
//! and addresses), RFC 9773 (renewal information) and the profiles of Let's Encrypt. It validates
//! over real sockets but only ever dials loopback addresses, and nobody trusts its roots. Every name
//! is this machine to it; told of a name server, it offers the challenges of the DNS too, and asks
//! that one for TXT records and nothing else.
//!
//! Told so by a [`Behaviour`], it has the limits of Let's Encrypt, incidents and outages too. What it
//! knows of them it knows by itself: the client it is to try must not share its errors.

mod account;
mod any_certificate;
mod authority;
mod authorization;
mod behaviour;
mod challenge;
mod charge;
mod csr;
mod denied;
mod directory;
mod finalize;
mod incident;
mod instant;
mod issuer;
mod jws;
mod keep;
mod ledger;
mod limits;
mod listen;
mod lookup;
mod management;
mod new_order;
mod nonce;
mod offer;
mod order;
mod problem;
mod profile;
mod public_key;
mod renewal_info;
mod resource;
mod revoke;
mod routes;
mod scene;
mod serial;
mod serve;
mod settings;
mod signed;
mod state;
#[cfg(test)]
mod tests;
mod trouble;
mod validate;
mod validate_dns;
mod validate_http;
mod validate_persist;
mod validate_tls_alpn;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use authority::{Authorities, ROOTS, TLS_ROOT, certificate_file};
pub(crate) use behaviour::Behaviour;
use directory::DIRECTORY;
use issuer::Issuer;
use keep::Keep;
use ledger::Ledger;
use management::MANAGEMENT;
use scene::Scene;
use serve::Doors;
pub(crate) use settings::Settings;
use state::Ca;

use crate::model::time::{Timestamp, Validity};

/// How long the certificate of the server itself is good; it is made anew at every start.
const SERVER_LIFE: Duration = Duration::from_secs(397 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why the embedded CA could not be started.
#[derive(Debug, Error)]
pub(crate) enum CaError {
    #[error("the embedded CA may listen on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("the embedded CA may ask name servers on loopback addresses only, not {0}")]
    DnsNotLoopback(SocketAddr),
    #[error("the embedded CA cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use {path:?} for the embedded CA")]
    Keep {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path:?} of the embedded CA is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error("the embedded CA cannot make a certificate of its own")]
    Sign(#[from] rcgen::Error),
    #[error("the embedded CA cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// An embedded CA at work. Dropping it stops it at once.
pub(crate) struct Running {
    /// URL of the ACME directory.
    pub(crate) directory: String,
    /// URL below which the management answers.
    pub(crate) management: String,
    /// PEM file: the root to trust when talking to the CA.
    pub(crate) tls_root: PathBuf,
    /// PEM file: the root its certificates chain to by default.
    pub(crate) issuing_root: PathBuf,
    task: JoinHandle<()>,
    ca: Arc<Ca>,
}

impl Running {
    /// Stops listening and ends open connections and validations; the port is free when this returns.
    pub(crate) async fn shutdown(mut self) {
        self.stop();
        // It ends by having been cancelled, which is what was asked for.
        let _ = (&mut self.task).await;
    }

    fn stop(&self) {
        self.task.abort();
        self.ca.stop();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the CA; it answers as soon as this returns.
///
/// Must be called within a tokio runtime, with I/O and time enabled.
pub(crate) async fn start(settings: Settings) -> Result<Running, CaError> {
    let Settings { listen, dir, ports, dns_server, eab, clock, behaviour } = settings;
    let dns_server = dns_server.or(behaviour.dns_server);
    if let Some(server) = dns_server.filter(|server| !server.ip().is_loopback()) {
        return Err(CaError::DnsNotLoopback(server));
    }
    let keep = Keep::open(&dir)?;
    let now = clock.now();
    let issuer = Issuer::new(Authorities::open(&keep, now)?);
    let ledger = Ledger::open(&keep)?;
    let listener = listen::bind(&keep, listen).await?;
    let address = listener.local_addr();
    let address = address.map_err(|source| CaError::Listen { address: listen, source })?;
    let tls = TlsAcceptor::from(Arc::new(server_config(&issuer, address, now)?));
    let ca = Arc::new(Ca {
        origin: format!("https://{address}"),
        plain_origin: format!("http://{address}"),
        issuer,
        ledger,
        nonces: nonce::Nonces::default(),
        ports,
        dns_server,
        eab,
        clock,
        scene: Scene::opening(&behaviour, now).into(),
        behaviour,
        orders: Default::default(),
        validations: Default::default(),
    });
    let doors = Doors { tls, secure: routes::secure(&ca), plain: routes::plain(&ca) };
    Ok(Running {
        directory: ca.url(DIRECTORY),
        management: ca.url(MANAGEMENT),
        tls_root: keep.path(&certificate_file(TLS_ROOT)),
        issuing_root: keep.path(&certificate_file(ROOTS[0])),
        task: tokio::spawn(serve::serve(listener, doors)),
        ca,
    })
}

fn server_config(
    issuer: &Issuer,
    listening: SocketAddr,
    now: Timestamp,
) -> Result<ServerConfig, CaError> {
    let not_before = now.minus(DAY);
    let validity = Validity { not_before, not_after: not_before.plus(SERVER_LIFE) };
    let addresses = listen::server_addresses(listening);
    let (certificate, key) = issuer.server_identity(&addresses, validity)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
