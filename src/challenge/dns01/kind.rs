//! The kinds of providers, each with what the settings say of it.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::acme_dns::AcmeDns;
use super::acme_sh::AcmeSh;
use super::credentials::Credentials;
use super::exec::{Exec, Words};
use super::httpreq::HttpReq;
use super::manual::Manual;
use super::rfc2136::Rfc2136;
use super::{DnsError, Memory, Zone, cloud};
use crate::hook::command::Command;

/// A provider as the settings name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Dynamic updates (RFC 2136) signed by TSIG (RFC 8945).
    Rfc2136,
    /// A program of the operator: `add NAME VALUE`, `remove NAME VALUE`.
    Exec(Command),
    /// A `dns_*.sh` of acme.sh, unchanged.
    AcmeSh(Script),
    /// Programs written for certbot's `--manual-auth-hook` and `--manual-cleanup-hook`.
    Manual { auth: Command, cleanup: Option<Command> },
    /// A program written for lego's provider `exec`.
    LegoExec(Command),
    /// A server that speaks lego's `httpreq`.
    HttpReq(Url),
    /// An acme-dns server.
    AcmeDns(Url),
    /// A company with an API of its own.
    Cloud(&'static cloud::Company),
}

/// Where a script of acme.sh is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Script {
    /// Its name, as in `dns_cf`: to be found where acme.sh is installed.
    Named(String),
    At(PathBuf),
}

impl Kind {
    /// Makes the hands; nothing is asked of the provider yet.
    pub(crate) fn build(
        &self,
        label: &str,
        credentials: Credentials,
        memory: &Arc<dyn Memory>,
    ) -> Result<Arc<dyn Zone>, DnsError> {
        Ok(match self {
            Self::Rfc2136 => Arc::new(Rfc2136::new(label, &credentials)?),
            Self::Exec(command) => Arc::new(Exec::new(label, command, Words::Ours, credentials)?),
            Self::AcmeSh(script) => Arc::new(AcmeSh::new(label, script, credentials)?),
            Self::Manual { auth, cleanup } => {
                Arc::new(Manual::new(label, auth, cleanup.as_ref(), credentials)?)
            }
            Self::LegoExec(command) => {
                Arc::new(Exec::new(label, command, Words::Legos, credentials)?)
            }
            Self::HttpReq(url) => Arc::new(HttpReq::new(label, url, &credentials)?),
            Self::AcmeDns(url) => Arc::new(AcmeDns::new(label, url, &credentials, memory)?),
            Self::Cloud(company) => cloud::build(label, company, &credentials)?,
        })
    }
}
