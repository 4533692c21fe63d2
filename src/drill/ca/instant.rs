//! Times and spans as others write them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::time::Timestamp;

/// The date form of HTTP headers (RFC 9110 §5.6.7).
pub(super) fn http_date(at: Timestamp) -> String {
    calendar(at).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// As Let's Encrypt writes times in its refusals: `2026-11-22 12:00:37 UTC`.
pub(super) fn in_utc(at: Timestamp) -> String {
    calendar(at).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// As Go writes whole seconds: `168h0m0s`, `1m30s`, `5s`.
pub(super) fn in_go(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, m) => format!("{m}m{seconds}s"),
        (h, m) => format!("{h}h{m}m{seconds}s"),
    }
}

fn calendar(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.unix(), 0).expect("a Timestamp has a four-digit year")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_as_others_write_them() {
        let at = Timestamp::parse("2026-11-22T12:00:37Z").unwrap();
        assert_eq!(http_date(at), "Sun, 22 Nov 2026 12:00:37 GMT");
        assert_eq!(Timestamp::parse_http_date(&http_date(at)), Some(at));
        assert_eq!(in_utc(at), "2026-11-22 12:00:37 UTC");
        let table = [(5, "5s"), (60, "1m0s"), (3600, "1h0m0s"), (604_800, "168h0m0s")];
        for (seconds, text) in table {
            assert_eq!(in_go(Duration::from_secs(seconds)), text);
        }
    }
}
