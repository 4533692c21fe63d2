//! Windows and the instant drawn in them.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::model::time::{Timestamp, Validity, Window};

/// Certificates shorter than this are renewed at half their life, others at two thirds.
const SHORT_LIVED: Duration = Duration::from_secs(10 * 86_400);

/// What makes one host's instant differ from another's and one certificate's from the next.
///
/// Drawn from a hash instead of dice: the instant survives restarts without being stored, is drawn
/// once per certificate and window, and still spreads a fleet evenly (RFC 9773 §4.2).
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    certificate: Vec<u8>,
    host: Vec<u8>,
}

impl Seed {
    /// `certificate` is its fingerprint; `host` anything that stays the same on this host.
    pub(crate) fn new(certificate: &[u8], host: &[u8]) -> Self {
        Self { certificate: certificate.to_vec(), host: host.to_vec() }
    }

    /// The instant in `window` that is this certificate's own on this host.
    pub(crate) fn instant(&self, window: Window) -> Timestamp {
        let mut context = Context::new(&SHA256);
        for part in [self.certificate.as_slice(), &self.host] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(&window.start().unix().to_be_bytes());
        context.update(&window.end().unix().to_be_bytes());
        let digest = context.finish();
        let first = digest.as_ref().first_chunk::<8>().expect("SHA-256 has 32 bytes");
        let offset = u64::from_be_bytes(*first) % window.width().as_secs();
        window.start().plus(Duration::from_secs(offset))
    }
}

/// The part of the CA's window an instant is drawn in: who runs from a timer comes later than
/// planned, and only inside the window does the CA forgive the rate limit.
pub(super) fn early_half(window: Window) -> Window {
    let half = (window.width() / 2).max(Duration::from_secs(1));
    Window::new(window.start(), window.start().plus(half)).expect("half is at least a second")
}

/// How much of a life is over when it is to be renewed: 2/3, or 1/2 under ten days.
pub(super) fn renewal_share(life: Duration) -> Duration {
    if life < SHORT_LIVED { life / 2 } else { life / 3 * 2 }
}

/// The window used without advice: a fiftieth of the life, ending at its [`renewal_share`].
pub(crate) fn lifetime_rule(validity: Validity) -> Window {
    let life = validity.lifetime();
    let end = validity.not_before.plus(renewal_share(life).max(Duration::from_secs(1)));
    let width = (life / 50).max(Duration::from_secs(1));
    Window::new(end.minus(width), end).expect("the width is at least a second")
}

/// From here on nothing may hold a renewal back: the last twentieth of the life.
pub(crate) fn last_twentieth(validity: Validity) -> Timestamp {
    validity.not_after.minus(validity.lifetime() / 20)
}
