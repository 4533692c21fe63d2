//! Points and spans of time, in whole seconds, and the clock as a parameter.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: seconds since the Unix epoch, UTC.
///
/// Reads and prints as RFC 3339; fractions of a second are dropped on reading.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    /// The last second RFC 3339 can write (year 9999); arithmetic saturates here.
    pub(crate) const MAX: Self = Self(253_402_300_799);

    /// Takes seconds since the Unix epoch; values outside the years 0 to 9999 are clamped.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(-62_167_219_200, Self::MAX.0))
    }

    pub(crate) fn unix(self) -> i64 {
        self.0
    }

    /// The year of it, from 0 to 9999.
    pub(crate) fn year(self) -> u16 {
        let at = DateTime::from_timestamp(self.0, 0).expect("clamped to four-digit years");
        u16::try_from(at.year()).expect("clamped to four-digit years")
    }

    /// Reads RFC 3339, with any offset and any fraction of a second.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self::from_unix(at.timestamp()))
    }

    /// Reads the date form of HTTP headers (RFC 9110 §5.6.7, which RFC 2822 parsing covers).
    pub(crate) fn parse_http_date(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc2822(text).ok().map(|at| Self::from_unix(at.timestamp()))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub(crate) fn plus(self, span: Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_add(seconds))
    }

    pub(crate) fn minus(self, span: Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_sub(seconds))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = DateTime::from_timestamp(self.0, 0).expect("clamped to four-digit years");
        f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("not an RFC 3339 time: {text:?}")))
    }
}

/// A half-open span `[start, end)`; never empty.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub(crate) struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    /// Refuses `end <= start` (RFC 9773 §4.2: treat it exactly like no answer).
    pub(crate) fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    pub(crate) fn start(self) -> Timestamp {
        self.start
    }

    pub(crate) fn end(self) -> Timestamp {
        self.end
    }

    pub(crate) fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    pub(crate) fn width(self) -> Duration {
        self.end.since(self.start)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {
            start: Timestamp,
            end: Timestamp,
        }
        let Plain { start, end } = Plain::deserialize(deserializer)?;
        Self::new(start, end)
            .ok_or_else(|| serde::de::Error::custom("window ends before it starts"))
    }
}

/// What a certificate says of its own life: `notBefore` and `notAfter`, both inclusive (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Validity {
    /// The whole life, counting the last second.
    pub(crate) fn lifetime(self) -> Duration {
        self.not_after.since(self.not_before) + Duration::from_secs(1)
    }

    /// The share of the life still left at `now`, from 1.0 down to 0.0.
    pub(crate) fn left(self, now: Timestamp) -> f64 {
        let left = self.not_after.since(now).as_secs_f64() / self.lifetime().as_secs_f64();
        left.clamp(0.0, 1.0)
    }
}

/// Where the present comes from. The system's clock in production, a fixed one in tests.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back; for measuring spans.
    fn monotonic(&self) -> Duration;
}

/// Writes a span the way an operator says it: its two largest units, as in `3 d 8 h`.
pub(crate) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, 0, _) => format!("{d} d"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_rfc3339() {
        let table = [
            ("2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z"),
            ("2026-11-22T01:30:00.999+01:30", "2026-11-22T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ];
        for (input, printed) in table {
            assert_eq!(Timestamp::parse(input).unwrap().to_string(), printed, "{input}");
        }
        for bad in ["", "null", "2026-11-22", "2026-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::from_unix(i64::MIN).minus(Duration::MAX).to_string(),
            "0000-01-01T00:00:00Z"
        );
        assert_eq!(Timestamp::from_unix(5).since(Timestamp::from_unix(9)), Duration::ZERO);
    }

    #[test]
    fn http_dates() {
        let at = Timestamp::parse_http_date("Sun, 22 Nov 2026 12:00:37 GMT").unwrap();
        assert_eq!(at.to_string(), "2026-11-22T12:00:37Z");
        assert_eq!(Timestamp::parse_http_date("abc"), None);
    }

    #[test]
    fn spans_in_words() {
        let table = [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (288_000, "3 d 8 h")];
        for (seconds, words) in table {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
