//! What was done, kept for good: records chained by their sums. Pure.
//!
//! ```text
//! {"seq":7,"at":…,"name":…,"what":"issued",…,"prev":"…","hash":"…"}     one a line
//! ```
//! `seq` counts from 1. `hash` is the SHA-256 of the line without it: of the bytes before
//! `,"hash"` and a closing brace. `prev` is the `hash` of the record before, empty in the first.
//!
//! So a record that was changed, taken out, put in or moved is found by whoever has a later hash.
//! Who owns the store can write the whole chain anew, and nothing in it would show that: only a
//! hash that was kept elsewhere does. That is why each new one also goes to the log.

use std::fmt;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::ended::Ended;
use super::event::{Event, Failing};
use super::generation::Generation;
use super::name::CertName;
use super::time::Timestamp;

/// What is kept of one event.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Deed {
    pub(crate) at: Timestamp,
    pub(crate) name: CertName,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// The kinds of deeds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    Issued {
        generation: Generation,
        ca: String,
        /// SHA-256 of the certificate, and of its public key (SPKI), in hexadecimal digits.
        #[serde(rename = "fingerprint_sha256")]
        fingerprint: String,
        #[serde(rename = "key_sha256")]
        key: String,
        not_after: Timestamp,
    },
    /// Live became another generation.
    Switched {
        from: Option<Generation>,
        to: Generation,
        #[serde(rename = "fingerprint_sha256")]
        fingerprint: String,
    },
    /// A person changed something by a command.
    Decided { decision: String, text: String },
    /// A rollout was undone.
    RolledBack { kind: String, message: String },
    Failed {
        /// How the run ended, as in `retry`.
        ended: String,
        kind: String,
        message: String,
    },
    /// Of a later version.
    #[serde(other)]
    Other,
}

/// A deed in its place.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    #[serde(flatten)]
    pub(crate) deed: Deed,
    pub(crate) hash: String,
}

/// The end of a chain; by default that of an empty one.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

/// Where a chain does not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Broken {
    /// The first record concerned.
    pub(crate) seq: u64,
    pub(crate) why: Why,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Unreadable,
    /// Its hash is not that of its text.
    Changed,
    /// With all others up to this one.
    Missing {
        last: u64,
    },
    /// Before or behind its place, or there once more.
    Misplaced,
    /// The record before has another hash than it says.
    Unlinked,
    /// Not the one that was written at its place.
    Replaced,
}

/// The longest text that is kept, in characters.
const LONGEST: usize = 500;

impl Deed {
    /// What is to be kept of an event, if anything.
    pub(crate) fn of(at: Timestamp, event: &Event) -> Option<Self> {
        let what = match event {
            Event::Issued { generation, ca, fingerprint, key, not_after, .. } => What::Issued {
                generation: *generation,
                ca: ca.clone(),
                fingerprint: fingerprint.clone(),
                key: key.clone(),
                not_after: *not_after,
            },
            Event::Switched { from, to, fingerprint, .. } => {
                What::Switched { from: *from, to: *to, fingerprint: fingerprint.clone() }
            }
            Event::Decided { what, text, .. } => {
                What::Decided { decision: (*what).to_owned(), text: bounded(text) }
            }
            Event::RunEnded { ended, failing: Some(failing), .. } => failure(*ended, failing)?,
            Event::RunEnded { .. }
            | Event::PhaseStarted { .. }
            | Event::PhaseEnded { .. }
            | Event::ChallengeEnded { .. }
            | Event::Activated { .. }
            | Event::Seen { .. }
            | Event::Counted { .. }
            | Event::RevocationSeen { .. }
            | Event::Recorded { .. }
            | Event::Measured { .. }
            | Event::Noticed { .. } => return None,
        };
        Some(Self { at, name: event.name().clone(), what })
    }
}

/// That another run holds a certificate is no failure.
fn failure(ended: Ended, failing: &Failing) -> Option<What> {
    let (kind, message) = (failing.kind.to_owned(), bounded(&failing.message));
    match ended {
        Ended::Locked => None,
        Ended::RolledBack => Some(What::RolledBack { kind, message }),
        _ => Some(What::Failed { ended: ended.as_str().to_owned(), kind, message }),
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issued { generation, ca, fingerprint, key, not_after } => {
                let (leaf, key) = (short(fingerprint), short(key));
                write!(f, "issued generation {generation} by {ca}: certificate {leaf}, ")?;
                write!(f, "key {key}, valid until {not_after}")
            }
            Self::Switched { from: Some(from), to, fingerprint } => {
                let leaf = short(fingerprint);
                write!(f, "live is generation {to} in place of {from}: certificate {leaf}")
            }
            Self::Switched { from: None, to, fingerprint } => {
                write!(f, "live is generation {to}: certificate {}", short(fingerprint))
            }
            Self::Decided { decision, text } if text.is_empty() => f.write_str(decision),
            Self::Decided { decision, text } => write!(f, "{decision} by hand: {text}"),
            Self::RolledBack { kind, message } => write!(f, "rolled back ({kind}): {message}"),
            Self::Failed { ended, kind, message } => {
                write!(f, "failed ({ended}, {kind}): {message}")
            }
            Self::Other => f.write_str("something only a later version knows"),
        }
    }
}

/// As much of a fingerprint as tells it from others.
fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(16).collect()
}

impl Head {
    /// Writes a deed as the next record, and goes on to that; the line ends as lines do.
    pub(crate) fn append(&mut self, deed: &Deed) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            seq: u64,
            #[serde(flatten)]
            deed: &'a Deed,
            prev: &'a str,
        }
        let seq = self.seq + 1;
        let body = serde_json::to_string(&Body { seq, deed, prev: &self.hash });
        let mut line = body.expect("plain data with text keys");
        let hash = sum(line.as_bytes());
        line.truncate(line.len() - 1);
        line += &format!("{BEFORE_HASH}{hash}{AFTER_HASH}\n");
        *self = Self { seq, hash };
        line
    }

    /// Goes on to the record of this line, if that is the next one.
    pub(crate) fn follow(&mut self, line: &[u8]) -> bool {
        let linked = Sealed::read(line).filter(|read| {
            read.is_whole && read.link.seq == self.seq + 1 && read.link.prev == self.hash
        });
        linked.is_some_and(|read| {
            *self = Self { seq: read.link.seq, hash: read.hash.to_owned() };
            true
        })
    }

    /// Where the record of this line says that it stands; `None` for what is none.
    pub(crate) fn at(line: &[u8]) -> Option<Self> {
        let read = Sealed::read(line)?;
        Some(Self { seq: read.link.seq, hash: read.hash.to_owned() })
    }
}

const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
/// Of a SHA-256 in hexadecimal digits.
const HASH_LENGTH: usize = 64;

fn sum(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// A line as far as the chain is concerned.
struct Sealed<'a> {
    link: Link,
    hash: &'a str,
    /// The hash is that of the text.
    is_whole: bool,
}

/// What of a record makes the chain; the rest may be what only a later version knows.
#[derive(Deserialize)]
struct Link {
    seq: u64,
    prev: String,
}

impl<'a> Sealed<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let link = serde_json::from_slice(line).ok()?;
        let at = line.len().checked_sub(BEFORE_HASH.len() + HASH_LENGTH + AFTER_HASH.len())?;
        let (body, seal) = line.split_at(at);
        let hash = seal.strip_prefix(BEFORE_HASH.as_bytes())?;
        let hash = std::str::from_utf8(hash.strip_suffix(AFTER_HASH.as_bytes())?).ok()?;
        let is_whole = sum(&[body, b"}"].concat()) == hash;
        Some(Self { link, hash, is_whole })
    }
}

/// Follows a chain from its beginning, and says where it does not hold.
#[derive(Debug)]
pub(crate) struct Verifier {
    head: Head,
    known: Option<Head>,
}

impl Verifier {
    /// With a head that is known from elsewhere, also a lost end is seen.
    pub(crate) fn new(known: Option<Head>) -> Self {
        Self { head: Head::default(), known }
    }

    /// Takes the next lines, without their ends.
    ///
    /// # Errors
    /// The first record that is not what was written there; nothing further can be verified then.
    pub(crate) fn follow(&mut self, lines: &[&[u8]]) -> Result<(), Broken> {
        for (place, line) in lines.iter().enumerate() {
            let seq = self.head.seq + 1;
            let broken = |why| Err(Broken { seq, why });
            let Some(read) = Sealed::read(line) else { return broken(Why::Unreadable) };
            let found = read.link.seq;
            if !read.is_whole {
                return broken(Why::Changed);
            } else if found < seq {
                return Err(Broken { seq: found, why: Why::Misplaced });
            } else if found > seq {
                let comes_later = |line: &&[u8]| Head::at(line).is_some_and(|at| at.seq == seq);
                return broken(match lines[place..].iter().any(comes_later) {
                    true => Why::Misplaced,
                    false => Why::Missing { last: found - 1 },
                });
            } else if read.link.prev != self.head.hash {
                return broken(Why::Unlinked);
            }
            self.head = Head { seq, hash: read.hash.to_owned() };
            if self.known.as_ref().is_some_and(|known| known.seq == seq && *known != self.head) {
                return broken(Why::Replaced);
            }
        }
        Ok(())
    }

    /// The head of what was followed, once there is no more.
    ///
    /// # Errors
    /// What is missing at the end, as far as is known.
    pub(crate) fn end(self) -> Result<Head, Broken> {
        let known = self.known.map_or(0, |known| known.seq);
        match self.head.seq {
            seq if seq < known => Err(Broken { seq: seq + 1, why: Why::Missing { last: known } }),
            _ => Ok(self.head),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, why } = self;
        match why {
            Why::Unreadable => write!(f, "record {seq} cannot be read"),
            Why::Changed => write!(f, "record {seq} was changed after it was written"),
            Why::Missing { last } if last == seq => write!(f, "record {seq} is missing"),
            Why::Missing { last } => write!(f, "records {seq} to {last} are missing"),
            Why::Misplaced => write!(f, "record {seq} is not in its place"),
            Why::Unlinked => {
                write!(f, "record {seq} does not follow from the record before it")
            }
            Why::Replaced => write!(f, "record {seq} is not the one that was written"),
        }
    }
}

#[cfg(test)]
mod tests;
