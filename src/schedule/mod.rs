//! Floor 3: when to renew. Pure: the same facts and the same `now` always give the same answer.
//!
//! [`due`] is the one decision; every message, exit code and JSON field quotes its [`Reason`].

pub(crate) mod backoff;
pub(crate) mod bearings;
mod bucket;
pub(crate) mod budget;
pub(crate) mod cadence;
pub(crate) mod choose_ca;
pub(crate) mod ladder;
pub(crate) mod limits;
pub(crate) mod rollout;
pub(crate) mod window;

use std::fmt;
use std::time::Duration;

use crate::model::time::{Timestamp, Validity, Window, in_words};
use window::Seed;

/// How soon to ask for advice again when the CA could not be reached.
pub(crate) const ARI_RETRY: Duration = Duration::from_secs(15 * 60);

/// What the CA last said about one certificate (RFC 9773 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Advice {
    pub(crate) window: Window,
    pub(crate) fetched_at: Timestamp,
    /// When to ask again; Retry-After already clamped.
    pub(crate) poll_at: Timestamp,
}

/// The failures of this certificate since its last success.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct History {
    pub(crate) failures: u32,
    /// The earliest next attempt, stored when the last one failed.
    pub(crate) retry_at: Option<Timestamp>,
}

/// Whether a certificate is to be renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    Now(Reason),
    At(Timestamp, Reason),
    /// Wanted, but not to be tried before this instant.
    Blocked(Timestamp, Reason),
}

/// Why an instant was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// The instant drawn in the CA's window.
    Ari(Window),
    /// The CA's window was already over when it was given: it wants this certificate replaced at once.
    Emergency(Window),
    /// No usable advice: a fixed share of the lifetime.
    Lifetime,
    /// So little life is left that advice no longer counts.
    LastTwentieth,
    /// Waiting after failures.
    Retry { failures: u32 },
}

impl Reason {
    /// Whether so little life is left, or so little worth, that what is held back may be used.
    pub(crate) fn is_emergency(self) -> bool {
        matches!(self, Self::Emergency(_) | Self::LastTwentieth)
    }

    /// The word for `next_renewal.source` in JSON.
    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Ari(_) | Self::Emergency(_) => "ari",
            Self::Lifetime | Self::LastTwentieth => "lifetime",
            Self::Retry { .. } => "retry",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ari(w) => write!(f, "the CA suggests {} to {}", w.start(), w.end()),
            Self::Emergency(w) => {
                write!(
                    f,
                    "the CA's window ended at {}: it wants this certificate replaced now",
                    w.end()
                )
            }
            Self::Lifetime => f.write_str("the lifetime rule (the CA gave no renewal window)"),
            Self::LastTwentieth => f.write_str("less than a twentieth of its life is left"),
            // What the CA's limits hold up was not tried, and did not fail.
            Self::Retry { failures: 0 } => f.write_str("waiting for what the CA allows"),
            Self::Retry { failures } => {
                write!(
                    f,
                    "waiting after {failures} failed attempt{}",
                    if *failures == 1 { "" } else { "s" }
                )
            }
        }
    }
}

/// Decides when a certificate is to be renewed.
///
/// `advice` counts only while its window begins before the certificate ends; once it is older than
/// two polling periods the lifetime rule may only bring the instant forward.
pub(crate) fn due(
    validity: Validity,
    advice: Option<Advice>,
    history: History,
    seed: &Seed,
    now: Timestamp,
) -> Due {
    let (at, reason) = planned(validity, advice, seed, now);
    if now < at {
        return Due::At(at, reason);
    }
    match history.retry_at {
        Some(until) if now < until => {
            Due::Blocked(until, Reason::Retry { failures: history.failures })
        }
        _ => Due::Now(reason),
    }
}

fn planned(
    validity: Validity,
    advice: Option<Advice>,
    seed: &Seed,
    now: Timestamp,
) -> (Timestamp, Reason) {
    let last = (window::last_twentieth(validity), Reason::LastTwentieth);
    let by_lifetime = (seed.instant(window::lifetime_rule(validity)), Reason::Lifetime);
    let usable = advice.filter(|a| a.window.start() <= validity.not_after);
    let Some(advice) = usable else {
        return by_lifetime.min_by_time(last);
    };
    if advice.window.end() <= advice.fetched_at {
        return (advice.window.start(), Reason::Emergency(advice.window));
    }
    let by_ari = (seed.instant(window::early_half(advice.window)), Reason::Ari(advice.window));
    let period = advice.poll_at.since(advice.fetched_at);
    let stale = now > advice.poll_at.plus(period);
    let chosen = if stale { by_ari.min_by_time(by_lifetime) } else { by_ari };
    chosen.min_by_time(last)
}

trait Earlier {
    fn min_by_time(self, other: Self) -> Self;
}

impl Earlier for (Timestamp, Reason) {
    fn min_by_time(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

/// Whether the CA's advice is to be asked for again (RFC 9773 §4.3: never after expiry).
pub(crate) fn poll_is_due(
    validity: Validity,
    advice_poll_at: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    now <= validity.not_after && advice_poll_at.is_none_or(|at| at <= now)
}

/// Whether an order costs nothing of the CA's limits: it must name the certificate it replaces, and
/// arrive inside that one's window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exemption {
    Exempt,
    NoRenewalInfo,
    NoReplaces,
    NoWindow,
    Outside(Window),
}

impl Exemption {
    /// Judges an order that is made at `now`; `window` is that of the certificate it replaces.
    pub(crate) fn of(
        offers_renewal_info: bool,
        replaces: bool,
        window: Option<Window>,
        now: Timestamp,
    ) -> Self {
        match window {
            _ if !offers_renewal_info => Self::NoRenewalInfo,
            _ if !replaces => Self::NoReplaces,
            None => Self::NoWindow,
            Some(window) if window.contains(now) => Self::Exempt,
            Some(window) => Self::Outside(window),
        }
    }

    pub(crate) fn holds(self) -> bool {
        self == Self::Exempt
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exempt => f.write_str("inside its window"),
            Self::NoRenewalInfo => f.write_str("the CA has no ARI"),
            Self::NoReplaces => f.write_str("it replaces no certificate of this CA and account"),
            Self::NoWindow => f.write_str("the CA's window is not known"),
            Self::Outside(window) => {
                write!(f, "not inside its window, {} to {}", window.start(), window.end())
            }
        }
    }
}

/// Says the wait until an instant in words, as in `in 3 d 7 h`.
pub(crate) fn until_in_words(at: Timestamp, now: Timestamp) -> String {
    if at <= now { "now".to_owned() } else { format!("in {}", in_words(at.since(now))) }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
