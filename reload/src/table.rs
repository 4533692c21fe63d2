//! What is served to whom: a value that is exchanged whole, so that a reader needs no lock.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::pair::{Fingerprint, Pair, PairError};

/// Why the certificate of a name stays as it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The server holds no certificate under this name.
    #[error("no certificate is held under the name {0:?}")]
    UnknownName(String),
    /// The pair cannot be served.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// There is nothing to try or to commit.
    #[error("nothing is prepared for {0:?}")]
    NothingPrepared(String),
    /// Another certificate is prepared than the one to be committed.
    #[error("prepared for {name:?} is {prepared}, not what is to be committed")]
    OtherPrepared {
        /// The name.
        name: String,
        /// What is prepared.
        prepared: Fingerprint,
    },
    /// A client who asks for this name would be given a certificate without it.
    #[error(
        "what is prepared for {name:?} lacks {lacks:?}, so no share of the clients can have it"
    )]
    Lacks {
        /// The name the certificates are held under.
        name: String,
        /// What the active one covers and the prepared one does not.
        lacks: String,
    },
    /// More than all.
    #[error("{0} is no percentage")]
    Percent(u64),
    /// Going back would serve an expired certificate.
    #[error("what was served before under {name:?} expired at Unix time {not_after}")]
    PreviousExpired {
        /// The name.
        name: String,
        /// When, in Unix seconds.
        not_after: i64,
    },
    /// A folder's pair is not loaded over one that is being tried.
    #[error("another certificate is prepared for {0:?}")]
    BeingTried(String),
    /// The server keeps no more challenges.
    #[error("too many challenges at once")]
    TooManyChallenges,
}

/// All certificates of a server.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Arc<Entry>>,
    index: Arc<Index>,
    default: usize,
    pub(crate) challenges: Vec<Challenge>,
}

/// A certificate for the CA's eyes alone.
#[derive(Clone)]
pub(crate) struct Challenge {
    pub(crate) server_name: String,
    pub(crate) certified: Arc<CertifiedKey>,
}

impl Table {
    const CHALLENGES: usize = 100;

    /// `entries` are not empty, and `default` is one of them.
    pub(crate) fn new(entries: Vec<Arc<Entry>>, default: usize) -> Self {
        let index = Arc::new(Index::of(&entries, default));
        Self { entries, index, default, challenges: Vec::new() }
    }

    /// The certificate for a client that asks for `server_name`; takes the client's turn if a share
    /// of them gets the prepared one.
    pub(crate) fn choose(&self, server_name: Option<&str>) -> &Arc<Pair> {
        self.entries[self.index.find(server_name)].choose()
    }

    /// The answer to a CA that asks for `server_name`.
    pub(crate) fn challenge(&self, server_name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = |challenge: &&Challenge| Some(&*challenge.server_name) == server_name;
        let challenge = self.challenges.iter().find(named).or(self.challenges.last());
        challenge.map(|challenge| &challenge.certified)
    }

    pub(crate) fn place_of(&self, name: &str) -> Result<usize, ChangeError> {
        let found = self.entries.iter().position(|entry| entry.name == name);
        found.ok_or_else(|| ChangeError::UnknownName(name.to_owned()))
    }

    pub(crate) fn is_default(&self, entry: &Entry) -> bool {
        self.entries[self.default].name == entry.name
    }

    /// The table with another entry at `place`.
    pub(crate) fn with(mut self, place: usize, entry: Entry) -> Self {
        let same_names = self.entries[place].active.names() == entry.active.names();
        self.entries[place] = Arc::new(entry);
        if !same_names {
            self.index = Arc::new(Index::of(&self.entries, self.default));
        }
        self
    }

    /// The table with one more challenge, in the place of an older one for the same server name.
    pub(crate) fn with_challenge(mut self, challenge: Challenge) -> Result<Self, ChangeError> {
        self.challenges.retain(|other| other.server_name != challenge.server_name);
        if self.challenges.len() >= Self::CHALLENGES {
            return Err(ChangeError::TooManyChallenges);
        }
        self.challenges.push(challenge);
        Ok(self)
    }
}

/// Which entry a server name belongs to; of several the first.
struct Index {
    exact: HashMap<Box<str>, usize>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, usize>,
    /// For names nobody covers.
    default: usize,
    /// For clients that send no name: mostly they go to an address.
    nameless: usize,
}

impl Index {
    fn of(entries: &[Arc<Entry>], default: usize) -> Self {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (place, entry) in entries.iter().enumerate() {
            for name in entry.active.names() {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut wildcard, suffix),
                    None => (&mut exact, name.as_str()),
                };
                names.entry(name.into()).or_insert(place);
            }
        }
        let names_address = |entry: &Arc<Entry>| entry.active.names_address();
        let nameless = if names_address(&entries[default]) {
            default
        } else {
            entries.iter().position(names_address).unwrap_or(default)
        };
        Self { exact, wildcard, default, nameless }
    }

    fn find(&self, server_name: Option<&str>) -> usize {
        let Some(name) = server_name else { return self.nameless };
        let name = name.strip_suffix('.').unwrap_or(name);
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(wildcard).copied().unwrap_or(self.default)
    }
}

/// What is held under one name.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) active: Arc<Pair>,
    pub(crate) stage: Stage,
}

/// How far the replacement of a certificate is.
#[derive(Clone)]
pub(crate) enum Stage {
    Settled,
    Prepared(Arc<Canary>),
    Committed { previous: Arc<Pair> },
}

/// A certificate that only a share of the clients gets.
pub(crate) struct Canary {
    pub(crate) pair: Arc<Pair>,
    pub(crate) percent: u8,
    turns: AtomicU64,
}

impl Canary {
    fn new(pair: Arc<Pair>, percent: u8) -> Arc<Self> {
        Arc::new(Self { pair, percent, turns: AtomicU64::new(0) })
    }

    /// Claims that this client gets it; of every hundred it is exactly the share.
    fn takes(&self) -> bool {
        self.percent > 0
            && is_of_share(self.turns.fetch_add(1, Ordering::Relaxed), u64::from(self.percent))
    }
}

/// Visits each of a hundred places once, in steps near the golden section: no habit of the clients
/// (two connections each, a visitor in every tenth place) meets always the same side.
fn is_of_share(turn: u64, percent: u64) -> bool {
    turn % 100 * 61 % 100 < percent
}

impl Entry {
    pub(crate) fn settled(name: String, folder: PathBuf, active: Pair) -> Self {
        Self { name, folder, active: Arc::new(active), stage: Stage::Settled }
    }

    fn choose(&self) -> &Arc<Pair> {
        match &self.stage {
            Stage::Prepared(canary) if canary.takes() => &canary.pair,
            _ => &self.active,
        }
    }

    fn at(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    /// The entry with `pair` prepared for nobody yet. What is prepared already keeps its share and
    /// its counters; what is active already is not prepared again.
    pub(crate) fn prepare(&self, pair: Arc<Pair>) -> Self {
        match &self.stage {
            Stage::Prepared(canary) if canary.pair.is(&pair) => self.clone(),
            Stage::Prepared(_) if self.active.is(&pair) => self.at(Stage::Settled),
            _ if self.active.is(&pair) => self.clone(),
            _ => self.at(Stage::Prepared(Canary::new(pair, 0))),
        }
    }

    /// The entry with a share of the clients going to what is prepared.
    pub(crate) fn canary(&self, percent: u64) -> Result<Self, ChangeError> {
        let canary = self.prepared()?;
        let percent = u8::try_from(percent)
            .ok()
            .filter(|percent| *percent <= 100)
            .ok_or(ChangeError::Percent(percent))?;
        if percent == canary.percent {
            return Ok(self.clone());
        }
        let lacks = |name: &&String| !canary.pair.covers(name);
        if let Some(name) = self.active.names().iter().find(lacks) {
            return Err(ChangeError::Lacks { name: self.name.clone(), lacks: name.clone() });
        }
        Ok(self.at(Stage::Prepared(Canary::new(canary.pair.clone(), percent))))
    }

    /// The entry with what is prepared as the active one. `expected` is the fingerprint it must
    /// have; it makes a repeated commit safe, also if the server was started anew in between.
    pub(crate) fn commit(&self, expected: Option<&str>) -> Result<Self, ChangeError> {
        let is_expected = |pair: &Pair| {
            expected.is_none_or(|expected| expected == pair.fingerprint().to_string())
        };
        match &self.stage {
            Stage::Prepared(canary) if is_expected(&canary.pair) => Ok(Self {
                active: canary.pair.clone(),
                ..self.at(Stage::Committed { previous: self.active.clone() })
            }),
            Stage::Prepared(canary) => Err(ChangeError::OtherPrepared {
                name: self.name.clone(),
                prepared: canary.pair.fingerprint(),
            }),
            Stage::Committed { .. } if is_expected(&self.active) => Ok(self.clone()),
            Stage::Settled if expected.is_some() && is_expected(&self.active) => Ok(self.clone()),
            _ => Err(ChangeError::NothingPrepared(self.name.clone())),
        }
    }

    /// The entry as it was before the last preparation.
    pub(crate) fn rollback(&self, now: i64) -> Result<Self, ChangeError> {
        match &self.stage {
            Stage::Committed { previous } if previous.not_after() <= now => {
                Err(ChangeError::PreviousExpired {
                    name: self.name.clone(),
                    not_after: previous.not_after(),
                })
            }
            Stage::Committed { previous } => {
                Ok(Self { active: previous.clone(), ..self.at(Stage::Settled) })
            }
            Stage::Prepared(_) | Stage::Settled => Ok(self.at(Stage::Settled)),
        }
    }

    /// The entry with what its folder holds now, without a trial.
    pub(crate) fn reload(&self, pair: Arc<Pair>) -> Result<Self, ChangeError> {
        match &self.stage {
            _ if self.active.is(&pair) => Ok(self.clone()),
            Stage::Prepared(_) => Err(ChangeError::BeingTried(self.name.clone())),
            _ => Ok(Self { active: pair, ..self.at(Stage::Settled) }),
        }
    }

    pub(crate) fn prepared(&self) -> Result<&Canary, ChangeError> {
        match &self.stage {
            Stage::Prepared(canary) => Ok(canary),
            _ => Err(ChangeError::NothingPrepared(self.name.clone())),
        }
    }

    /// What a rollback may return to.
    pub(crate) fn previous(&self) -> Option<&Pair> {
        match &self.stage {
            Stage::Committed { previous } => Some(previous),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_hundred_turns_hold_exactly_the_share() {
        for percent in 0..=100 {
            for first in [0, 1, 37, 99, 1_000_000_007] {
                let taken = (first..first + 100).filter(|turn| is_of_share(*turn, percent));
                assert_eq!(taken.count() as u64, percent);
            }
        }
    }

    #[test]
    fn the_share_is_spread_and_no_habit_escapes_it() {
        let turns = (0..100).filter(|turn| is_of_share(*turn, 5)).collect::<Vec<_>>();
        assert_eq!(turns, [0, 23, 41, 64, 82]);
        for (every, first) in [(2, 0), (2, 1), (3, 0), (5, 0), (10, 0)] {
            let mut seen = (first..1000).step_by(every).map(|turn| is_of_share(turn, 50));
            assert!(seen.clone().any(|taken| taken) && !seen.all(|taken| taken), "{every}");
        }
    }
}
