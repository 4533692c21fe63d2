//! Records that stay: dns-persist-01 (draft-ietf-acme-dns-persist), in both of its wire forms.
//!
//! They differ in what the record calls the account: its URL up to draft -01, and from -02 on a hash
//! that no one can trace to another name of the same account.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

use super::name::DnsName;
use super::time::Timestamp;

/// The label below which records stand.
const LABEL: &str = "_validation-persist";

/// What must stand in the DNS for one name to be proved by dns-persist-01.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    /// With its `*.` where a wildcard is to be proved.
    name: DnsName,
    issuers: Vec<String>,
    accounts: Vec<String>,
}

/// What the records at one name come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// One of them proves it, until then or for good.
    Good {
        until: Option<Timestamp>,
    },
    /// The time one of them gave itself is over.
    Expired {
        at: Timestamp,
    },
    /// One of them is for the name alone, where a wildcard is wanted.
    NeedsWildcardPolicy,
    /// One of them means the CA, and this account instead of ours.
    OtherAccount(String),
    /// One of them means the CA, and cannot be read further.
    Malformed(&'static str),
    /// They all mean other CAs, this one among them.
    OtherIssuer(String),
    Missing,
}

impl Standing {
    /// The most names by which a CA may be meant.
    const MOST_ISSUERS: usize = 10;

    /// `issuers` are the names by which a record may mean the CA, `accounts` what it may call the
    /// account; the first of each are what a new record says.
    ///
    /// Refuses, with the reason, what no record could say and what no client may follow.
    pub(crate) fn new(
        name: DnsName,
        issuers: Vec<String>,
        accounts: Vec<String>,
    ) -> Result<Self, &'static str> {
        if issuers.is_empty() || issuers.len() > Self::MOST_ISSUERS {
            return Err("it names no issuer, or more than ten");
        }
        if !issuers.iter().all(|issuer| is_issuer_name(issuer)) {
            return Err("it calls an issuer by what is no lower-case domain name");
        }
        if accounts.is_empty() || !accounts.iter().all(|account| is_account(account)) {
            return Err("no record could say which account is meant");
        }
        Ok(Self { name, issuers, accounts })
    }

    /// What is to be proved, with its `*.`.
    pub(crate) fn name(&self) -> &DnsName {
        &self.name
    }

    /// What a new record calls the account.
    pub(crate) fn account(&self) -> &str {
        &self.accounts[0]
    }

    /// Where the CA looks, without a final dot. May be longer than the DNS allows.
    pub(crate) fn record_name(&self) -> String {
        format!("{LABEL}.{}", self.name.base())
    }

    /// What the record says; good until then or for good.
    pub(crate) fn record(&self, until: Option<Timestamp>) -> String {
        let mut text = format!("{}; accounturi={}", self.issuers[0], self.account());
        if self.name.is_wildcard() {
            text += "; policy=wildcard";
        }
        if let Some(until) = until {
            text += &format!("; persistUntil={}", until.unix());
        }
        text
    }

    /// The record as a line of a zone file.
    pub(crate) fn zone_line(&self, until: Option<Timestamp>) -> String {
        format!("{}. IN TXT {}", self.record_name(), quoted(&self.record(until)))
    }

    /// What these TXT records come to, the strings of each joined: the best of them counts.
    pub(crate) fn judge<'a>(
        &self,
        records: impl IntoIterator<Item = &'a [u8]>,
        now: Timestamp,
    ) -> Verdict {
        let verdicts = records.into_iter().map(|record| self.judge_one(record, now));
        verdicts.max_by_key(Verdict::worth).unwrap_or(Verdict::Missing)
    }

    fn judge_one(&self, record: &[u8], now: Timestamp) -> Verdict {
        let text = String::from_utf8_lossy(record);
        let mut parts = text.split(';').map(trim);
        let issuer = parts.next().unwrap_or_default();
        if !self.issuers.iter().any(|ours| ours == issuer) {
            return Verdict::OtherIssuer(bounded(issuer));
        }
        match Parameters::read(parts) {
            Err(why) => Verdict::Malformed(why),
            Ok(parameters) => self.judge_parameters(parameters, now),
        }
    }

    fn judge_parameters(&self, parameters: Parameters<'_>, now: Timestamp) -> Verdict {
        let Parameters { account, wildcard, until } = parameters;
        if !self.accounts.iter().any(|ours| ours == account) {
            return Verdict::OtherAccount(bounded(account));
        }
        match until {
            _ if self.name.is_wildcard() && !wildcard => Verdict::NeedsWildcardPolicy,
            Some(at) if at < now => Verdict::Expired { at },
            until => Verdict::Good { until },
        }
    }
}

impl Verdict {
    /// Nearer to what is wanted is worth more; among good ones the one that lasts.
    fn worth(&self) -> (u8, Timestamp) {
        let nothing = Timestamp::default();
        match self {
            Self::Good { until } => (6, until.unwrap_or(Timestamp::MAX)),
            Self::Expired { at } => (5, *at),
            Self::NeedsWildcardPolicy => (4, nothing),
            Self::OtherAccount(_) => (3, nothing),
            Self::Malformed(_) => (2, nothing),
            Self::OtherIssuer(_) => (1, nothing),
            Self::Missing => (0, nothing),
        }
    }
}

/// Says what is there, after the name of the record.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { until: None } => f.write_str("is good"),
            Self::Good { until: Some(until) } => write!(f, "is good until {until}"),
            Self::Expired { at } => write!(f, "was good until {at} (persistUntil)"),
            Self::NeedsWildcardPolicy => f.write_str("lacks policy=wildcard"),
            Self::OtherAccount(found) => write!(f, "is for the account {}", found.escape_debug()),
            Self::Malformed(why) => write!(f, "is malformed: {why}"),
            Self::OtherIssuer(found) => write!(f, "is for the CA {found:?}, not this one"),
            Self::Missing => f.write_str("does not exist"),
        }
    }
}

/// What follows the issuer in an issue value (RFC 8659 §4.2), as far as it is of use here.
struct Parameters<'a> {
    account: &'a str,
    wildcard: bool,
    until: Option<Timestamp>,
}

impl<'a> Parameters<'a> {
    fn read(parts: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let (mut seen, mut account, mut wildcard, mut until) = (Vec::new(), None, false, None);
        for part in parts {
            let Some((tag, value)) = part.split_once('=') else {
                return Err("a parameter is no tag=value, or a semicolon is the last character");
            };
            let (tag, value) = (trim(tag).to_ascii_lowercase(), trim(value));
            if tag.is_empty() || !tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err("a parameter has no proper tag");
            }
            if !value.bytes().all(is_value_byte) {
                return Err("the value of a parameter has blanks or unusual characters");
            }
            match tag.as_str() {
                "accounturi" if value.is_empty() => return Err("accounturi is empty"),
                "accounturi" => account = Some(value),
                // Another policy counts as none.
                "policy" => wildcard = value.eq_ignore_ascii_case("wildcard"),
                "persistuntil" => until = Some(seconds(value).ok_or("persistUntil is no time")?),
                _ => {}
            }
            if seen.contains(&tag) {
                return Err("a parameter is given twice");
            }
            seen.push(tag);
        }
        let account = account.ok_or("accounturi is missing")?;
        Ok(Self { account, wildcard, until })
    }
}

/// One for each record: one that is made for a wildcard proves the name itself as well.
pub(crate) fn merged(standings: impl IntoIterator<Item = Standing>) -> Vec<Standing> {
    let mut records: BTreeMap<String, Standing> = BTreeMap::new();
    for standing in standings {
        let name = standing.record_name();
        if standing.name.is_wildcard() || !records.contains_key(&name) {
            records.insert(name, standing);
        }
    }
    records.into_values().collect()
}

/// What records call an account from draft -02 on (§4.1): only who knows URL and key can tell whose
/// it is, and for which domain.
///
/// `prefix` is the CA's, `thumbprint` that of the account key (RFC 7638).
pub(crate) fn hashed_account(
    prefix: &str,
    domain: Domain<'_>,
    thumbprint: &str,
    url: &str,
) -> Option<String> {
    let domain = match domain {
        Domain::Only(name) => name.base(),
        Domain::Any => "*",
    };
    let length = u8::try_from(domain.len()).ok()?;
    let parts = [&[length], domain.as_bytes(), thumbprint.as_bytes(), url.as_bytes()];
    let hash = BASE64URL_NOPAD.encode(digest(&SHA256, &parts.concat()).as_ref());
    Some(format!("{prefix}sha-256/{hash}"))
}

/// What a hashed account is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain<'a> {
    /// The records of this one, with or without `*.`.
    Only(&'a DnsName),
    /// Those of all, which may then be seen to be of one account.
    Any,
}

/// Whether records may mean a CA by this name: A-labels in lower case, no final dot.
pub(crate) fn is_issuer_name(text: &str) -> bool {
    DnsName::parse(text).is_ok_and(|name| name.as_str() == text && !name.is_wildcard())
}

/// Whether a record could say this, and a zone file quote it.
pub(crate) fn is_account(text: &str) -> bool {
    const LONGEST: usize = 1000;
    let fits = (1..=LONGEST).contains(&text.len());
    fits && text.bytes().all(|b| is_value_byte(b) && !matches!(b, b'"' | b'\\'))
}

/// Everything printable but blank and semicolon (RFC 8659 §4.2).
fn is_value_byte(b: u8) -> bool {
    b.is_ascii_graphic() && b != b';'
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn seconds(text: &str) -> Option<Timestamp> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Timestamp::from_unix))?
}

fn bounded(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// As character strings of a zone file, each of them no longer than the DNS allows (RFC 1035 §5.1).
fn quoted(text: &str) -> String {
    const LONGEST: usize = 255;
    let strings = text.as_bytes().chunks(LONGEST).map(|chunk| {
        let chunk = String::from_utf8_lossy(chunk);
        format!("\"{}\"", chunk.replace('\\', "\\\\").replace('"', "\\\""))
    });
    strings.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
