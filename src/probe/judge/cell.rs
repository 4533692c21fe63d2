//! What to think of one cell before and after a switch.

use std::fmt;

use super::flaws::{Expected, Flaw, Flaws, flaws};
use crate::certificate::Fingerprint;
use crate::probe::look::{LookError, Sight};

/// What a cell showed.
///
/// Prints as one short line that [`Seen::parse`] reads, for the journal; of the flaws it keeps
/// which there were, not how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// Nothing, and why.
    Down(String),
    Serves {
        fingerprint: Fingerprint,
        flaws: Flaws,
        alpn: Option<String>,
    },
}

/// What stands where there is nothing to say.
const NONE: &str = "-";

impl Seen {
    /// What a look showed, with everything a client would find wrong with it.
    pub(crate) fn of(look: Result<Sight, LookError>, expected: &Expected<'_>) -> Self {
        match look {
            Ok(sight) => Self::Serves {
                fingerprint: sight.fingerprint,
                flaws: flaws(&sight, expected),
                alpn: sight.alpn,
            },
            Err(error) => Self::Down(error.to_string()),
        }
    }

    /// Reads what its `Display` wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(why) = text.strip_prefix("down ") {
            return Some(Self::Down(why.to_owned()));
        }
        let parts = text.split(' ').collect::<Vec<_>>();
        let [fingerprint, alpn, flaws] = parts[..] else { return None };
        let some = |part| Some(part).filter(|part| *part != NONE);
        let words = some(flaws).into_iter().flat_map(|words| words.split(','));
        let named = |word| Flaw::parse(word).map(|flaw| (flaw, flaw.to_string()));
        Some(Self::Serves {
            fingerprint: Fingerprint::parse(fingerprint)?,
            flaws: words.map(named).collect::<Option<_>>()?,
            alpn: some(alpn).map(str::to_owned),
        })
    }

    /// Whether the two are the same to a client.
    fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Down(_), Self::Down(_)) => true,
            (
                Self::Serves { fingerprint, flaws, alpn },
                Self::Serves { fingerprint: other, flaws: others, alpn: other_alpn },
            ) => fingerprint == other && flaws.keys().eq(others.keys()) && alpn == other_alpn,
            _ => false,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(why) => write!(f, "down {why}"),
            Self::Serves { fingerprint, flaws, alpn } => {
                let words = flaws.keys().map(|flaw| flaw.as_str()).collect::<Vec<_>>().join(",");
                let words = if words.is_empty() { NONE } else { &words };
                write!(f, "{fingerprint} {} {words}", alpn.as_deref().unwrap_or(NONE))
            }
        }
    }
}

/// What follows from a cell for the deploy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CellVerdict {
    Good,
    /// Not as it should be, and not of our doing.
    Tolerated(String),
    /// A reason to go back. One that condemns is a reason never to serve this certificate again.
    Bad {
        why: String,
        condemns: bool,
    },
}

/// Judges a cell by what it showed `before` the switch, where anybody looked, and shows `after`.
///
/// `old` and `new` are what was switched from and to.
pub(crate) fn judge_cell(
    before: Option<&Seen>,
    after: &Seen,
    old: Option<Fingerprint>,
    new: Fingerprint,
) -> CellVerdict {
    match (before, after) {
        (_, Seen::Serves { fingerprint, flaws, alpn }) if *fingerprint == new => {
            judge_new(before, flaws, alpn.as_deref(), &[old, Some(new)])
        }
        (_, Seen::Serves { fingerprint, .. }) if Some(*fingerprint) == old => {
            bad("it still serves the previous certificate".to_owned())
        }
        (Some(Seen::Serves { fingerprint: third, .. }), Seen::Serves { fingerprint, .. })
            if third == fingerprint =>
        {
            CellVerdict::Tolerated(format!("it serves {fingerprint}, as before"))
        }
        (_, Seen::Serves { fingerprint, .. }) => {
            bad(format!("it serves {fingerprint}, which is neither the new nor the previous one"))
        }
        (Some(Seen::Down(_)), Seen::Down(why)) => {
            CellVerdict::Tolerated(format!("it was down before: {why}"))
        }
        (_, Seen::Down(why)) => bad(why.clone()),
    }
}

fn bad(why: String) -> CellVerdict {
    CellVerdict::Bad { why, condemns: false }
}

/// Judges a cell that serves the new certificate; `ours` are the ones whose flaws excuse it.
fn judge_new(
    before: Option<&Seen>,
    flaws: &Flaws,
    alpn: Option<&str>,
    ours: &[Option<Fingerprint>],
) -> CellVerdict {
    let had = |flaw: Flaw| match before {
        Some(Seen::Serves { fingerprint, flaws, .. }) => {
            ours.contains(&Some(*fingerprint)) && flaws.contains_key(&flaw)
        }
        _ => false,
    };
    let (known, fresh): (Vec<_>, Vec<_>) =
        flaws.iter().partition(|(flaw, _)| had(**flaw) && !flaw.is_inborn());
    if !fresh.is_empty() {
        let condemns = fresh.iter().any(|(flaw, _)| flaw.condemns());
        return CellVerdict::Bad { why: listed(&fresh), condemns };
    }
    if let Some(Seen::Serves { alpn: Some(had), .. }) = before
        && alpn != Some(had)
    {
        let now = alpn.unwrap_or("nothing");
        return bad(format!("it agreed on {had} by ALPN before, and on {now} now"));
    }
    match known.is_empty() {
        true => CellVerdict::Good,
        false => CellVerdict::Tolerated(format!("as before: {}", listed(&known))),
    }
}

fn listed(flaws: &[(&Flaw, &String)]) -> String {
    flaws.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; ")
}

/// What a cell shows by what at least `least` of its looks say; `None` until so many agree.
///
/// After `most` looks that do not agree, what it shows is that.
pub(crate) fn settled(looks: &[Seen], least: usize, most: usize) -> Option<Seen> {
    let agreeing = |one: &Seen| looks.iter().filter(|other| one.agrees_with(other)).count();
    if let Some(seen) = looks.iter().find(|seen| agreeing(seen) >= least.max(1)) {
        return Some(seen.clone());
    }
    let count = looks.len();
    (count >= most).then(|| Seen::Down(format!("no {least} of {count} looks show the same")))
}

#[cfg(test)]
mod tests;
