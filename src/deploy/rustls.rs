//! The target `rustls`: a server that links `acmeagent-reload`, by its socket.
//!
//! Such a server can hold two certificates and give the new one a share of the handshakes, so that
//! a certificate is judged by the clients themselves before all of them get it.

mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use self::wire::{
    Active, Canary, Challenged, Cleared, Counted, Held, Hello, Prepared, Request, Socket, Stats,
};
use super::{Delivery, Target, TargetError, Told, readable};
use crate::certificate::Fingerprint;
use crate::model::traffic::{Counters, Share, Traffic};

/// Which server, and what it calls the certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    pub(crate) socket: PathBuf,
    /// The certificate's name unless given.
    pub(crate) certificate: Option<String>,
}

/// A server to be asked to exchange a certificate in its memory.
///
/// It reads the live files when it is asked to prepare; what it says it read is compared with what
/// is to be served before it is asked to serve it.
#[derive(Debug)]
pub(crate) struct Rustls {
    certificate: Option<String>,
    socket: Socket,
}

impl Rustls {
    /// `label` is what it is called in settings and messages.
    pub(crate) fn new(label: String, settings: Settings) -> Self {
        let Settings { socket, certificate } = settings;
        Self { certificate, socket: Socket::new(label, socket) }
    }

    /// What the server calls the certificate.
    fn name<'a>(&'a self, delivery: &'a Delivery) -> &'a str {
        self.certificate.as_deref().unwrap_or(delivery.name.as_str())
    }

    /// What the server holds under our name.
    async fn held(&self, delivery: &Delivery) -> Result<Held, TargetError> {
        let name = self.name(delivery);
        let hint = "name a certificate that it holds in the setting `certificate`";
        let hello: Hello = match self.socket.ask(Request::Hello { name }).await {
            Err(TargetError::Refused { target, what, output, .. }) => {
                let hint = Some(hint.to_owned());
                return Err(TargetError::Refused { target, what, output, hint });
            }
            other => other?,
        };
        let held = hello.certificates.into_iter().find(|held| held.name == name);
        let unknown = || format!("it holds no certificate {name:?}");
        held.ok_or_else(|| self.socket.refuse(unknown(), Some(hint)))
    }

    /// Lets it read what is live. Says whether that is served already.
    async fn prepare(&self, delivery: &Delivery) -> Result<bool, TargetError> {
        let (cert, key) = (delivery.fullchain(), delivery.privkey());
        let request = Request::Prepare { name: self.name(delivery), cert: &cert, key: &key };
        let prepared: Prepared = self.socket.ask(request).await?;
        self.expect(prepared.fingerprint, delivery, "it prepared")?;
        Ok(prepared.is_active())
    }

    /// Lets it serve what is live to everybody.
    async fn commit(&self, delivery: &Delivery) -> Result<(), TargetError> {
        if self.prepare(delivery).await? {
            return Ok(());
        }
        let (name, fingerprint) = (self.name(delivery), delivery.fingerprint);
        let active: Active = self.socket.ask(Request::Commit { name, fingerprint }).await?;
        self.expect(active.fingerprint, delivery, "it serves")
    }

    /// Lets it serve again what it remembers. Returns whether it serves this one, and no other
    /// beside it.
    async fn remembered(&self, delivery: &Delivery) -> Result<bool, TargetError> {
        let wanted = delivery.fingerprint;
        let held = self.held(delivery).await?;
        let remembers =
            held.prepared.is_some() || held.previous.is_some_and(|it| it.fingerprint == wanted);
        let mut active = held.fingerprint;
        let mut settled = held.prepared.is_none();
        if remembers && !(settled && active == wanted) {
            let rolled: Result<Active, _> =
                self.socket.ask(Request::Rollback { name: self.name(delivery) }).await;
            // Whatever it has against it, the other way is left.
            if let Ok(rolled) = rolled {
                (active, settled) = (rolled.fingerprint, true);
            }
        }
        Ok(settled && active == wanted)
    }

    async fn canary(&self, delivery: &Delivery, share: Share) -> Result<(), TargetError> {
        if self.prepare(delivery).await? {
            return Ok(());
        }
        let (name, percent) = (self.name(delivery), share.percent());
        let canary: Canary = self.socket.ask(Request::Canary { name, percent }).await?;
        self.expect(canary.fingerprint, delivery, "it splits off")?;
        match canary.percent == percent {
            true => Ok(()),
            false => {
                let what = format!("asked for {percent} %, it gives {} %", canary.percent);
                Err(self.socket.refuse(what, None))
            }
        }
    }

    /// The user whose server answers `acme-tls/1` for us; `None` while it does not run.
    pub(crate) async fn user(&self) -> Option<u32> {
        Some(self.socket.peer().await?.uid())
    }

    /// Lets it show a challenge certificate to hellos that ask for `server_name` and offer
    /// `acme-tls/1` alone (RFC 8737 §3). Once this returns, the file is read and may go.
    pub(crate) async fn challenge(&self, server_name: &str, pem: &Path) -> Result<(), TargetError> {
        let request = Request::Challenge { name: server_name, cert: pem, key: pem };
        let shown: Challenged = self.socket.ask(request).await?;
        match shown.name == server_name {
            true => Ok(()),
            false => {
                let what = format!("asked to answer for {server_name}, it answers for another");
                Err(self.socket.refuse(what, None))
            }
        }
    }

    /// Lets it forget that certificate. A server that does not run has forgotten it.
    pub(crate) async fn clear(&self, server_name: &str) -> Result<(), TargetError> {
        match self.socket.ask::<Cleared>(Request::Clear { name: server_name }).await {
            Err(error) if error.is_nobody() => Ok(()),
            cleared => cleared.map(drop),
        }
    }

    fn expect(
        &self,
        found: Fingerprint,
        delivery: &Delivery,
        what: &str,
    ) -> Result<(), TargetError> {
        if found == delivery.fingerprint {
            return Ok(());
        }
        let wanted = delivery.fingerprint;
        Err(self.socket.refuse(format!("{what} certificate {found} instead of {wanted}"), None))
    }
}

#[async_trait]
impl Target for Rustls {
    fn label(&self) -> &str {
        self.socket.label()
    }

    async fn stage(&self, delivery: &Delivery) -> Result<(), TargetError> {
        self.held(delivery).await?;
        let Some(pid) = self.socket.server().await else { return Ok(()) };
        readable::check(pid, delivery).map_err(|unreadable| {
            self.socket.refuse(format!("its process {unreadable}"), Some(&unreadable.hint))
        })
    }

    /// A server that does not run reads what is live when it starts: before its first certificate
    /// it cannot. Later [`stage`](Target::stage) has it run.
    async fn activate(&self, delivery: &Delivery, share: Share) -> Result<Told, TargetError> {
        if share != Share::ALL {
            self.canary(delivery, share).await?;
            return Ok(Told::default());
        }
        match self.commit(delivery).await {
            Err(error) if error.is_nobody() => {
                let label = self.label();
                Ok(Told {
                    output: format!("{label} does not run; it reads what is live when it starts"),
                })
            }
            committed => committed.map(|()| Told::default()),
        }
    }

    async fn recall(&self, delivery: &Delivery) {
        let _ = self.remembered(delivery).await;
    }

    /// Goes back by what the server remembers, which needs no file; where it does not remember,
    /// as after a restart, it is given what is live.
    async fn restore(&self, delivery: &Delivery) -> Result<Told, TargetError> {
        if !self.remembered(delivery).await? {
            self.commit(delivery).await?;
        }
        Ok(Told::default())
    }

    fn splits(&self) -> bool {
        true
    }

    fn slot(&self) -> Option<&Rustls> {
        Some(self)
    }

    async fn traffic(&self, delivery: &Delivery) -> Result<Option<Traffic>, TargetError> {
        let stats: Stats = self.socket.ask(Request::Stats { name: self.name(delivery) }).await?;
        if !stats.observed {
            return Ok(None);
        }
        let (ours, others): (Vec<Counted>, Vec<Counted>) =
            stats.certificates.into_iter().partition(|one| one.fingerprint == delivery.fingerprint);
        let Some(new) = ours.first() else {
            let what = "it does not hold the certificate any more that it was given";
            return Err(self.socket.refuse(what.to_owned(), None));
        };
        // Beside a prepared one that is the active one, beside an active one the previous.
        let old = others.iter().max_by_key(|one| one.is_active());
        Ok(Some(Traffic { old: old.map(counters).unwrap_or_default(), new: counters(new) }))
    }
}

/// The alerts by which a client refuses a certificate (RFC 8446 §6.2); all others are about
/// something else. The last is about a signature: of an issuer with a known name and another key, or
/// made by a key that is not the certificate's.
const ABOUT_THE_CERTIFICATE: [&str; 7] = [
    "bad_certificate",
    "unsupported_certificate",
    "certificate_revoked",
    "certificate_expired",
    "certificate_unknown",
    "unknown_ca",
    "decrypt_error",
];
/// The one about the stapled OCSP response.
const ABOUT_THE_STAPLE: &str = "bad_certificate_status_response";

fn counters(one: &Counted) -> Counters {
    let sum = |is_meant: fn(&str) -> bool| {
        let meant = one.failed.alerts.iter().filter(|(alert, _)| is_meant(alert));
        meant.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
    };
    let refused = |alert: &str| ABOUT_THE_CERTIFICATE.contains(&alert);
    let other = |alert: &str| !ABOUT_THE_CERTIFICATE.contains(&alert) && alert != ABOUT_THE_STAPLE;
    let failed = [sum(other), one.failed.tls, one.failed.io, one.failed.abandoned];
    Counters {
        completed: one.completed,
        refused: sum(refused),
        ocsp_refused: sum(|alert| alert == ABOUT_THE_STAPLE),
        failed: failed.into_iter().fold(0, u64::saturating_add),
        timed: one.latency.count,
        took: Duration::from_micros(one.latency.sum_us),
    }
}

#[cfg(test)]
mod tests;
