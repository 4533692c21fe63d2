//! Whether all is well, in one line: what `/healthz` answers. Pure.

use std::fmt;

use crate::model::outlook::Outlook;
use crate::model::time::in_words;

/// The verdict, with its line of text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Health {
    Well(String),
    Ill(String),
}

impl Health {
    /// Judges what only gets worse if nobody looks: no good run for too long, or certificates whose
    /// end is near while they are not renewed. What the next run may mend is no illness.
    pub(crate) fn of(outlook: &Outlook) -> Self {
        let now = outlook.at;
        if let Some(silent) = outlook.runs.silence(now) {
            return Self::Ill(format!("no run was good for {}", in_words(silent)));
        }
        let at_risk: Vec<_> = outlook.certificates.iter().filter(|one| one.at_risk).collect();
        match (at_risk.as_slice(), outlook.runs.last_good) {
            ([], Some(good)) => Self::Well(format!("well: the last good run was at {good}")),
            ([], None) => Self::Well("well: no run came to its end yet".to_owned()),
            ([one], _) => Self::Ill(format!("at risk: {}", one.name)),
            ([first, others @ ..], _) => {
                Self::Ill(format!("at risk: {} and {} more", first.name, others.len()))
            }
        }
    }

    /// The status code of HTTP.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Well(_) => 200,
            Self::Ill(_) => 503,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Well(text) | Self::Ill(text)) = self;
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::outlook::RunsSeen;
    use crate::model::outlook::sample::{now, sample};

    #[test]
    fn silence_comes_before_what_is_at_risk() {
        let ago = |hours: u64| Some(now().minus(Duration::from_secs(hours * 3600)));
        // good hours ago, certificates of the sample (the third is at risk, and each eighth after it)
        let table = [
            (ago(1), 0, 200, "well: the last good run was at 2027-01-15T07:00:00Z"),
            (ago(6), 2, 200, "well: the last good run was at"),
            (None, 1, 200, "well: no run came to its end yet"),
            (ago(1), 8, 503, "at risk: host-2.example"),
            (None, 11, 503, "at risk: host-2.example and 1 more"),
            (ago(7), 8, 503, "no run was good for 7 h"),
            (ago(7), 0, 503, "no run was good for 7 h"),
        ];
        for (last_good, count, status, says) in table {
            let patience = Duration::from_secs(6 * 3600);
            let runs = RunsSeen { last: last_good, last_good, patience };
            let health = Health::of(&Outlook { runs, ..sample(count) });
            assert_eq!(health.status(), status, "{health}");
            assert!(health.to_string().starts_with(says), "{health}");
        }
    }
}
