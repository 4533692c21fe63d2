//! How the handshakes with one certificate ended, counted without a lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::AlertDescription;
use serde::Serialize;

/// The alerts of TLS (RFC 8446, section 6.2) by the names the protocol gives them.
const ALERTS: [(AlertDescription, &str); 26] = [
    (AlertDescription::UnexpectedMessage, "unexpected_message"),
    (AlertDescription::BadRecordMac, "bad_record_mac"),
    (AlertDescription::RecordOverflow, "record_overflow"),
    (AlertDescription::HandshakeFailure, "handshake_failure"),
    (AlertDescription::BadCertificate, "bad_certificate"),
    (AlertDescription::UnsupportedCertificate, "unsupported_certificate"),
    (AlertDescription::CertificateRevoked, "certificate_revoked"),
    (AlertDescription::CertificateExpired, "certificate_expired"),
    (AlertDescription::CertificateUnknown, "certificate_unknown"),
    (AlertDescription::IllegalParameter, "illegal_parameter"),
    (AlertDescription::UnknownCA, "unknown_ca"),
    (AlertDescription::AccessDenied, "access_denied"),
    (AlertDescription::DecodeError, "decode_error"),
    (AlertDescription::DecryptError, "decrypt_error"),
    (AlertDescription::ProtocolVersion, "protocol_version"),
    (AlertDescription::InsufficientSecurity, "insufficient_security"),
    (AlertDescription::InternalError, "internal_error"),
    (AlertDescription::InappropriateFallback, "inappropriate_fallback"),
    (AlertDescription::UserCanceled, "user_canceled"),
    (AlertDescription::MissingExtension, "missing_extension"),
    (AlertDescription::UnsupportedExtension, "unsupported_extension"),
    (AlertDescription::UnrecognisedName, "unrecognized_name"),
    (AlertDescription::BadCertificateStatusResponse, "bad_certificate_status_response"),
    (AlertDescription::UnknownPSKIdentity, "unknown_psk_identity"),
    (AlertDescription::CertificateRequired, "certificate_required"),
    (AlertDescription::NoApplicationProtocol, "no_application_protocol"),
];

/// How a handshake failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// The client said why.
    Alert(AlertDescription),
    /// The server itself would not go on.
    Tls,
    /// The connection was lost.
    Io,
    /// The server gave it up: nobody said how it ended.
    Abandoned,
}

/// The counters of one certificate.
#[derive(Default)]
pub(crate) struct Counters {
    chosen: AtomicU64,
    completed: AtomicU64,
    resumed: AtomicU64,
    alerts: [AtomicU64; ALERTS.len()],
    other_alerts: AtomicU64,
    tls: AtomicU64,
    io: AtomicU64,
    abandoned: AtomicU64,
    latency: Histogram,
}

impl Counters {
    pub(crate) fn chosen(&self) {
        add(&self.chosen, 1);
    }

    pub(crate) fn completed(&self, took: Duration) {
        add(&self.completed, 1);
        self.latency.note(took);
    }

    pub(crate) fn resumed(&self) {
        add(&self.resumed, 1);
    }

    pub(crate) fn failed(&self, failure: Failure) {
        let counter = match failure {
            Failure::Alert(alert) => ALERTS
                .iter()
                .position(|(known, _)| *known == alert)
                .map_or(&self.other_alerts, |at| &self.alerts[at]),
            Failure::Tls => &self.tls,
            Failure::Io => &self.io,
            Failure::Abandoned => &self.abandoned,
        };
        add(counter, 1);
    }

    /// What has been counted so far. Each figure is exact, but they are not of one instant.
    pub(crate) fn read(&self) -> Counts {
        let named = ALERTS.iter().map(|(_, name)| *name).zip(&self.alerts);
        let alerts = named
            .chain([("other", &self.other_alerts)])
            .map(|(name, counter)| (name, get(counter)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Counts {
            chosen: get(&self.chosen),
            completed: get(&self.completed),
            resumed: get(&self.resumed),
            failed: Failures {
                alerts,
                tls: get(&self.tls),
                io: get(&self.io),
                abandoned: get(&self.abandoned),
            },
            latency: self.latency.read(),
        }
    }
}

/// How the handshakes with one certificate ended.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Client hellos that got it; counted whether or not the server uses `begin`.
    pub chosen: u64,
    /// Full handshakes that ended well.
    pub completed: u64,
    /// Handshakes that ended well by resuming a session: the certificate was not shown.
    pub resumed: u64,
    /// Those that did not end well.
    pub failed: Failures,
    /// How long the completed ones took, from the client's hello to its last message.
    pub latency: Latency,
}

/// Handshakes that did not end well.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Failures {
    /// Refused by the client with an alert, by the alert's name; an alert never seen is left out.
    pub alerts: BTreeMap<&'static str, u64>,
    /// Refused by the server: nothing in common with the client, or what it sent was not TLS.
    pub tls: u64,
    /// The connection was lost.
    pub io: u64,
    /// Given up by the server.
    pub abandoned: u64,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// Their sum in microseconds.
    pub sum_us: u64,
    /// The buckets that are not empty, each on its own.
    pub buckets: Vec<Bucket>,
}

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bucket {
    /// The longest duration it takes, in microseconds; none takes all that is longer.
    pub le_us: Option<u64>,
    /// How many fell into it.
    pub count: u64,
}

/// Buckets that double from 64 µs to 67 s, and one above.
#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; Self::BOUNDED + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    const FIRST_BITS: u32 = 6;
    const BOUNDED: usize = 21;

    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.buckets[Self::bucket(micros)], 1);
        add(&self.sum_us, micros);
    }

    fn bucket(micros: u64) -> usize {
        let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
        (bits.saturating_sub(Self::FIRST_BITS) as usize).min(Self::BOUNDED)
    }

    fn read(&self) -> Latency {
        let counts = self.buckets.iter().map(get).enumerate();
        let bound = |at| (at < Self::BOUNDED).then(|| 1 << (at as u32 + Self::FIRST_BITS));
        let buckets = counts
            .filter(|(_, count)| *count > 0)
            .map(|(at, count)| Bucket { le_us: bound(at), count })
            .collect::<Vec<_>>();
        let count = buckets.iter().map(|bucket| bucket.count).sum();
        Latency { count, sum_us: get(&self.sum_us), buckets }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_that_bounds_them() {
        for (micros, bound) in [
            (0, Some(64)),
            (64, Some(64)),
            (65, Some(128)),
            (128, Some(128)),
            (1_000_000, Some(1 << 20)),
            (1 << 26, Some(1 << 26)),
            ((1 << 26) + 1, None),
            (u64::MAX, None),
        ] {
            let histogram = Histogram::default();
            histogram.note(Duration::from_micros(micros));
            let latency = histogram.read();
            assert_eq!(latency.buckets, [Bucket { le_us: bound, count: 1 }], "{micros}");
            assert_eq!((latency.count, latency.sum_us), (1, micros));
        }
    }

    #[test]
    fn failures_are_told_apart() {
        let counters = Counters::default();
        counters.failed(Failure::Alert(AlertDescription::UnknownCA));
        counters.failed(Failure::Alert(AlertDescription::UnknownCA));
        counters.failed(Failure::Alert(AlertDescription::Unknown(200)));
        counters.failed(Failure::Tls);
        counters.failed(Failure::Io);
        counters.failed(Failure::Abandoned);
        let failed = counters.read().failed;
        assert_eq!(failed.alerts, BTreeMap::from([("unknown_ca", 2), ("other", 1)]));
        assert_eq!((failed.tls, failed.io, failed.abandoned), (1, 1, 1));
    }
}
