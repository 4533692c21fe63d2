//! Validation by dns-persist-01 (draft-ietf-acme-dns-persist), in every form it was ever served in.
//!
//! The record is read here by rules of its own (RFC 8659 §4.2), apart from those by which the client
//! writes it: a shared mistake would not show.

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::problem::{Kind, Problem};
use crate::model::time::Timestamp;

/// The draft a CA goes by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub(super) enum Draft {
    #[serde(rename = "00")]
    D00,
    /// The challenge names the account.
    #[default]
    #[serde(rename = "01")]
    D01,
    /// The record holds a hash over domain, key and account instead of the account's URL.
    #[serde(rename = "02")]
    D02,
}

/// What a record must say to prove one identifier for one account.
pub(super) struct Wanted<'a> {
    pub(super) issuer: &'a str,
    /// The name to be proved, without `*.`.
    pub(super) base: &'a str,
    pub(super) wildcard: bool,
    pub(super) account_url: &'a str,
    /// Of the account's key (RFC 7638), and of those it had before: a record made with one of them
    /// stays good when the key is replaced.
    pub(super) thumbprints: &'a [String],
    /// What stands before a hash; none where the record is to name the URL itself.
    pub(super) hash_prefix: Option<String>,
    pub(super) now: Timestamp,
}

/// How long a proof holds; without an end as long as any.
pub(super) type Until = Option<Timestamp>;

/// Where the record is looked for.
pub(super) fn record_name(base: &str) -> String {
    format!("_validation-persist.{base}")
}

impl Wanted<'_> {
    /// Finds the record that proves it; where there is none, says what is wrong with the nearest one.
    pub(super) fn judge(&self, records: &[String]) -> Result<Until, Problem> {
        let mut nearest = None;
        for record in records {
            match self.proven_by(record) {
                Ok(Some(until)) => return Ok(until),
                // For another CA.
                Ok(None) => {}
                Err(why) => nearest = nearest.or(Some(format!("{record:?}: {why}"))),
            }
        }
        let name = record_name(self.base);
        let why = nearest.map_or_else(
            || format!("no TXT record at {name} names {}", self.issuer),
            |why| format!("the TXT record at {name} does not do: {why}"),
        );
        Err(Problem::new(Kind::Unauthorized, why))
    }

    /// Whether this record does; none when it concerns another CA.
    fn proven_by(&self, record: &str) -> Result<Option<Until>, String> {
        let issue = Issue::parse(record)?;
        if !issue.issuer.trim_end_matches('.').eq_ignore_ascii_case(self.issuer) {
            return Ok(None);
        }
        if !issue.accounturi.is_some_and(|found| self.is_account(found)) {
            return Err("accounturi is not that of the account".to_owned());
        }
        if self.wildcard && !issue.policy.is_some_and(|it| it.eq_ignore_ascii_case("wildcard")) {
            return Err("a wildcard needs policy=wildcard".to_owned());
        }
        let until = issue.persist_until.map(seconds).transpose()?;
        match until {
            Some(until) if until < self.now => Err(format!("it was good until {until}")),
            until => Ok(Some(until)),
        }
    }

    fn is_account(&self, found: &str) -> bool {
        match &self.hash_prefix {
            None => found == self.account_url,
            Some(prefix) => self.thumbprints.iter().any(|thumbprint| {
                [self.base, "*"].iter().any(|domain| {
                    let hash = account_hash(domain, thumbprint, self.account_url);
                    found == format!("{prefix}sha-256/{hash}")
                })
            }),
        }
    }
}

/// What draft 02 puts in the place of the account's URL.
fn account_hash(domain: &str, thumbprint: &str, account_url: &str) -> String {
    let length = u8::try_from(domain.len()).expect("a name has at most 253 bytes");
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[length]);
    for part in [domain, thumbprint, account_url] {
        context.update(part.as_bytes());
    }
    BASE64URL_NOPAD.encode(context.finish().as_ref())
}

fn seconds(text: &str) -> Result<Timestamp, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok()).flatten();
    seconds.map(Timestamp::from_unix).ok_or_else(|| format!("persistUntil={text} is no time"))
}

/// An issue-value (RFC 8659 §4.2) with what dns-persist-01 reads of it.
#[derive(Debug, Default)]
struct Issue<'a> {
    issuer: &'a str,
    accounturi: Option<&'a str>,
    policy: Option<&'a str>,
    persist_until: Option<&'a str>,
}

impl<'a> Issue<'a> {
    fn parse(record: &'a str) -> Result<Self, String> {
        let mut parts = record.split(';').map(|part| part.trim_matches([' ', '\t']));
        let issuer = parts.next().filter(|issuer| is_host(issuer));
        let mut issue =
            Self { issuer: issuer.ok_or("it does not begin with an issuer")?, ..Self::default() };
        for part in parts {
            let Some((tag, value)) = part.split_once('=') else {
                return Err(format!("{part:?} is not tag=value"));
            };
            let (tag, value) =
                (tag.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
            if !is_tag(tag) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{part:?} is not tag=value"));
            }
            let place = match tag.to_ascii_lowercase().as_str() {
                "accounturi" => &mut issue.accounturi,
                "policy" => &mut issue.policy,
                "persistuntil" => &mut issue.persist_until,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(format!("{tag} occurs twice"));
            }
        }
        Ok(issue)
    }
}

fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.split('.').all(is_tag)
}

/// Letters and digits, and hyphens between them.
fn is_tag(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.bytes().all(inner) && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    const ACCOUNT: &str = "https://ca.example/acct/123";
    const PREFIX: &str = "https://ca.example/account-hash/";
    const NOW: i64 = 1_800_000_000;

    fn wanted(wildcard: bool, hash_prefix: Option<&str>) -> Wanted<'static> {
        // A key of today, and the one before it.
        static THUMBPRINTS: LazyLock<[String; 2]> =
            LazyLock::new(|| ["of-another-key", THUMBPRINT].map(str::to_owned));
        Wanted {
            issuer: "authority.example",
            base: "example.com",
            wildcard,
            account_url: ACCOUNT,
            thumbprints: &*THUMBPRINTS,
            hash_prefix: hash_prefix.map(str::to_owned),
            now: Timestamp::from_unix(NOW),
        }
    }

    fn verdict(wanted: &Wanted<'_>, records: &[&str]) -> Result<Until, String> {
        let records: Vec<String> = records.iter().map(|&record| record.to_owned()).collect();
        wanted.judge(&records).map_err(|problem| {
            serde_json::to_value(problem).unwrap()["detail"].as_str().unwrap().to_owned()
        })
    }

    #[test]
    fn what_names_the_account_proves_it() {
        let plain = "authority.example; accounturi=https://ca.example/acct/123";
        let spaced = "   authority.example   ;   accounturi   =   https://ca.example/acct/123   ;   policy   =   wildcard   ;   persistUntil   =   4102444800   ";
        let far = Some(Timestamp::from_unix(4_102_444_800));
        let with = |more: &str| format!("{plain}{more}");
        let table = [
            (false, with(""), None),
            (true, spaced.to_owned(), far),
            (true, with(";policy=wIlDcArD"), None),
            (false, with(";foo="), None),
            (false, with(";foo=a;FOO=b"), None),
            (false, with(";policy=other"), None),
            (false, with(&format!(";PERSISTUNTIL={NOW}")), Some(Timestamp::from_unix(NOW))),
            (false, plain.replace("authority", "AUTHORITY"), None),
            (false, plain.replace("example;", "example.;"), None),
            (false, plain.replace("accounturi", "AccountURI"), None),
        ];
        for (wildcard, record, until) in table {
            assert_eq!(verdict(&wanted(wildcard, None), &[&record]), Ok(until), "{record}");
        }
    }

    #[test]
    fn what_does_not_is_refused() {
        let plain = "authority.example;accounturi=https://ca.example/acct/123";
        let table = [
            (true, "", "policy=wildcard"),
            (true, ";policy=other", "policy=wildcard"),
            (false, ";", "not tag=value"),
            (false, ";;foo=a", "not tag=value"),
            (false, ";invalidparam", "not tag=value"),
            (false, ";=abc", "not tag=value"),
            (false, ";fo_o=a", "not tag=value"),
            (false, ";-foo=a", "not tag=value"),
            (false, ";policy=wild card", "not tag=value"),
            (false, ";policy=a;Policy=b", "occurs twice"),
            (false, ";accounturi=https://ca.example/acct/123", "occurs twice"),
            (false, ";persistUntil=1;persistuntil=4102444800", "occurs twice"),
            (false, ";persistUntil=", "no time"),
            (false, ";persistUntil=not-a-ts", "no time"),
            (false, ";persistUntil=-1", "no time"),
            (false, ";persistUntil=99999999999999999999", "no time"),
            (false, ";persistUntil=1", "good until"),
        ];
        for (wildcard, more, why) in table {
            let found = verdict(&wanted(wildcard, None), &[&format!("{plain}{more}")]);
            let found = found.unwrap_err();
            assert!(found.contains(why), "{more}: {found}");
        }
        let whole = [
            ("authority.example", "accounturi"),
            ("authority.example;accounturi=", "accounturi"),
            ("authority.example;accounturi=https://ca.example/acct/1234", "accounturi"),
            ("authority.example;accounturi=HTTPS://ca.example/acct/123", "accounturi"),
            ("", "begin with an issuer"),
            (";accounturi=https://ca.example/acct/123", "begin with an issuer"),
            ("other.example;accounturi=https://ca.example/acct/123", "no TXT record at"),
        ];
        for (record, why) in whole {
            let found = verdict(&wanted(false, None), &[record]).unwrap_err();
            assert!(found.contains(why), "{record}: {found}");
        }
    }

    #[test]
    fn one_record_of_several_is_enough() {
        let records = [
            "other.example;accounturi=https://ca.example/acct/123",
            "authority.example;",
            "authority.example;accounturi=https://ca.example/acct/123",
        ];
        assert_eq!(verdict(&wanted(false, None), &records), Ok(None));
        let found = verdict(&wanted(false, None), &records[..2]).unwrap_err();
        assert!(found.contains("not tag=value"), "{found}");
    }

    #[test]
    fn hashes_are_those_of_draft_02() {
        let table = [
            ("example.com", "5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw"),
            ("*", "NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug"),
        ];
        for (domain, hash) in table {
            assert_eq!(account_hash(domain, THUMBPRINT, ACCOUNT), hash);
            let record = format!("authority.example; accounturi={PREFIX}sha-256/{hash}");
            assert_eq!(verdict(&wanted(false, Some(PREFIX)), &[&record]), Ok(None));
            assert!(verdict(&wanted(false, None), &[&record]).is_err());
        }
        let old = "authority.example; accounturi=https://ca.example/acct/123";
        assert!(verdict(&wanted(false, Some(PREFIX)), &[old]).is_err());
    }
}
