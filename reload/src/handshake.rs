//! How a handshake ended, which a resolver alone cannot know.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CommonState, HandshakeKind, ServerConfig};

use crate::counters::Failure;
use crate::live::{Choice, LiveCert};
use crate::pair::Pair;

/// One handshake of which it will be told how it ended; see [`LiveCert::begin`].
///
/// Dropped without a word it counts as abandoned, which is what a deadline around an acceptor does.
/// A connection on which no client hello arrived has been given no certificate and counts nowhere,
/// nor does the visit of a CA for its challenge.
#[must_use = "dropped at once it counts as abandoned"]
pub struct Handshake {
    config: Arc<ServerConfig>,
    observed: Arc<Observed>,
    has_ended: bool,
}

impl LiveCert {
    /// Begins a handshake that is to be counted.
    ///
    /// Accept the connection with [`Handshake::config`], which is `config` but for its resolver, and
    /// say how it ended. `config` has been copied for it: a few allocations, no cryptography;
    /// sessions and tickets are shared with `config`.
    pub fn begin(self: &Arc<Self>, config: &ServerConfig) -> Handshake {
        self.observe();
        Handshake::new(self.clone(), config)
    }
}

impl Handshake {
    fn new(live: Arc<LiveCert>, config: &ServerConfig) -> Self {
        let observed = Arc::new(Observed { live, chosen: OnceLock::new() });
        let mut config = config.clone();
        config.cert_resolver = observed.clone();
        Self { config: Arc::new(config), observed, has_ended: false }
    }

    /// The configuration to accept this one connection with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Claims that the client was a CA that came for its challenge: close the connection (RFC 8737,
    /// section 3).
    pub fn is_challenge(&self) -> bool {
        let chosen = self.observed.chosen.get();
        chosen.is_some_and(|chosen| matches!(chosen.choice, Some(Choice::Challenge(_))))
    }

    /// Notes that it ended well. A session that was resumed is counted apart, for its client was not
    /// shown the certificate.
    pub fn completed(mut self, connection: &CommonState) {
        self.has_ended = true;
        if let Some((pair, began)) = self.observed.certificate() {
            match connection.handshake_kind() {
                Some(HandshakeKind::Resumed) => pair.counters.resumed(),
                _ => pair.counters.completed(began.elapsed()),
            }
        }
    }

    /// Notes that it failed, with the error of the acceptor: of rustls itself, of `std::io` around
    /// it, or any other whose sources lead there.
    pub fn failed(mut self, error: &(dyn StdError + 'static)) {
        self.note(failure(error));
    }

    fn note(&mut self, failure: Failure) {
        self.has_ended = true;
        if let Some((pair, _)) = self.observed.certificate() {
            pair.counters.failed(failure);
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        if !self.has_ended {
            self.note(Failure::Abandoned);
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

/// A resolver for one handshake, which remembers its choice. A client that is asked to say hello
/// once more gets the same again.
struct Observed {
    live: Arc<LiveCert>,
    chosen: OnceLock<Chosen>,
}

struct Chosen {
    choice: Option<Choice>,
    at: Instant,
}

impl Observed {
    fn certificate(&self) -> Option<(&Pair, Instant)> {
        match self.chosen.get()? {
            Chosen { choice: Some(Choice::Certificate(pair)), at } => Some((pair, *at)),
            _ => None,
        }
    }
}

impl ResolvesServerCert for Observed {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let choose = || Chosen { at: Instant::now(), choice: self.live.choose(&hello) };
        self.chosen.get_or_init(choose).choice.as_ref().map(Choice::certified)
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").finish_non_exhaustive()
    }
}

/// What the error of an acceptor comes to.
fn failure(error: &(dyn StdError + 'static)) -> Failure {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::AlertReceived(alert) => Failure::Alert(*alert),
                _ => Failure::Tls,
            };
        }
        // The source of an error of `std::io` is not what it holds, but the source of that.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    Failure::Io
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn an_error_is_judged_by_what_it_wraps() {
        let alert = || rustls::Error::AlertReceived(AlertDescription::BadCertificate);
        let bad_certificate = Failure::Alert(AlertDescription::BadCertificate);
        let wrapped = io::Error::other(io::Error::other(alert()));
        assert_eq!(failure(&alert()), bad_certificate);
        assert_eq!(failure(&io::Error::other(alert())), bad_certificate);
        assert_eq!(failure(&wrapped), bad_certificate);
        assert_eq!(failure(&rustls::Error::HandshakeNotComplete), Failure::Tls);
        assert_eq!(failure(&io::Error::from(io::ErrorKind::UnexpectedEof)), Failure::Io);
    }
}
