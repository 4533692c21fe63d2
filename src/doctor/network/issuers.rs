//! Who may issue, as CAA records say it (RFC 8659 §4, RFC 8657). Pure.

use crate::dns::Property;
use crate::model::challenge::ChallengeKind;

/// What would be asked of a CA.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) wildcard: bool,
    /// The names by which records mean the CA.
    pub(super) identities: &'a [String],
    /// The URL of our account; `None` before there is one.
    pub(super) account: Option<&'a str>,
    /// The ways in which control may be proved, in the order in which they are tried.
    pub(super) kinds: &'a [ChallengeKind],
}

/// Whether the records let the CA issue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// By these ways of proving control.
    Allowed(Vec<ChallengeKind>),
    /// A property nobody may ignore, and no CA knows.
    Unknown { tag: String },
    /// Only these others may issue; none may where the list is empty.
    Others(Vec<String>),
    /// The CA may, but only for this account.
    Account(String),
    /// The CA may, but only after these proofs.
    Methods(Vec<String>),
}

/// An `issue` or `issuewild` property that could be read.
struct Issuer {
    /// Empty where nobody is meant.
    name: String,
    parameters: Vec<(String, String)>,
}

/// The tag whose properties count: `issuewild` outranks `issue` for wildcards, where there is any.
pub(super) fn tag(set: &[Property], wildcard: bool) -> &'static str {
    let wild = wildcard && set.iter().any(|property| property.tag == "issuewild");
    if wild { "issuewild" } else { "issue" }
}

/// Judges the relevant set of records as a CA does.
pub(super) fn judge(set: &[Property], wish: Wish<'_>) -> Verdict {
    const KNOWN: [&str; 4] = ["issue", "issuewild", "issuemail", "iodef"];
    let unknown = set.iter().find(|one| one.critical && !KNOWN.contains(&one.tag.as_str()));
    if let Some(property) = unknown {
        return Verdict::Unknown { tag: property.tag.clone() };
    }
    let tag = tag(set, wish.wildcard);
    let issuers: Vec<Issuer> =
        set.iter().filter(|one| one.tag == tag).map(|one| Issuer::read(&one.value)).collect();
    if issuers.is_empty() {
        return Verdict::Allowed(wish.kinds.to_vec());
    }
    let is_us = |issuer: &&Issuer| wish.identities.contains(&issuer.name);
    let ours: Vec<&Issuer> = issuers.iter().filter(is_us).collect();
    if ours.is_empty() {
        let mut others: Vec<_> = issuers.into_iter().map(|issuer| issuer.name).collect();
        others.retain(|name| !name.is_empty());
        others.dedup();
        return Verdict::Others(others);
    }
    let for_us: Vec<_> = ours.iter().filter(|issuer| issuer.fits_account(wish.account)).collect();
    if for_us.is_empty() {
        let account = ours.iter().find_map(|issuer| issuer.parameter("accounturi"));
        return Verdict::Account(account.unwrap_or_default().to_owned());
    }
    let fits = |kind: &ChallengeKind| for_us.iter().any(|issuer| issuer.fits_method(*kind));
    let kinds: Vec<_> = wish.kinds.iter().copied().filter(fits).collect();
    if kinds.is_empty() {
        let methods = for_us.iter().flat_map(|issuer| issuer.methods().unwrap_or_default());
        return Verdict::Methods(methods.map(str::to_owned).collect());
    }
    Verdict::Allowed(kinds)
}

impl Issuer {
    /// Reads an issue value; one that breaks the grammar means nobody (RFC 8659 §4.2).
    fn read(value: &[u8]) -> Self {
        let nobody = Self { name: String::new(), parameters: Vec::new() };
        let Ok(text) = std::str::from_utf8(value) else { return nobody };
        let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if !name.bytes().all(is_host) {
            return nobody;
        }
        let mut parameters = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let Some((tag, value)) = part.split_once('=') else { return nobody };
            let (tag, value) = (tag.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']));
            if !value.bytes().all(|b| b.is_ascii_graphic()) {
                return nobody;
            }
            parameters.push((tag.to_ascii_lowercase(), value.to_owned()));
        }
        Self { name, parameters }
    }

    fn parameter(&self, wanted: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(tag, _)| tag == wanted);
        found.next().map(|(_, value)| value.as_str())
    }

    /// RFC 8657 §3: byte for byte; one account only.
    fn fits_account(&self, account: Option<&str>) -> bool {
        let mut named = self.parameters.iter().filter(|(tag, _)| tag == "accounturi");
        match (named.next(), named.next()) {
            (None, _) => true,
            (Some((_, only)), None) => account == Some(only.as_str()),
            (Some(_), Some(_)) => false,
        }
    }

    /// RFC 8657 §4.
    fn methods(&self) -> Option<Vec<&str>> {
        Some(self.parameter("validationmethods")?.split(',').collect())
    }

    fn fits_method(&self, kind: ChallengeKind) -> bool {
        self.methods().is_none_or(|methods| methods.contains(&kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use ChallengeKind::{Dns01, Http01};
    use proptest::prelude::*;

    use super::*;

    const ACCOUNT: &str = "https://ca.example/acct/1";

    fn set(lines: &[(&str, &str)]) -> Vec<Property> {
        let property = |(tag, value): &(&str, &str)| Property {
            critical: tag.ends_with('!'),
            tag: tag.trim_end_matches('!').to_owned(),
            value: value.as_bytes().to_vec(),
        };
        lines.iter().map(property).collect()
    }

    fn judged(lines: &[(&str, &str)], wildcard: bool) -> Verdict {
        let identities = ["ca.example".to_owned(), "old-ca.example".to_owned()];
        let (account, kinds) = (Some(ACCOUNT), &[Http01, Dns01]);
        judge(&set(lines), Wish { wildcard, identities: &identities, account, kinds })
    }

    #[test]
    fn who_may_issue() {
        let all = || Verdict::Allowed(vec![Http01, Dns01]);
        let others =
            |names: &[&str]| Verdict::Others(names.iter().map(|n| (*n).to_owned()).collect());
        let account = |text: &str| Verdict::Account(text.to_owned());
        let ours = format!("ca.example; accounturi={ACCOUNT}");
        let both = format!("ca.example;accounturi={ACCOUNT};validationmethods=dns-01");
        let twice = format!("ca.example;accounturi={ACCOUNT};accounturi={ACCOUNT}");
        let table = [
            (&[][..], all()),
            (&[("issue", "ca.example")], all()),
            (&[("issue", "CA.Example")], all()),
            (&[("issue", " \tca.example \t; ")], all()),
            (&[("issue", "old-ca.example")], all()),
            (&[("issue", "x.example"), ("issue", "ca.example")], all()),
            (&[("iodef", "mailto:a@b.example")], all()),
            (&[("iodef!", "mailto:a@b.example")], all()),
            (&[("issuewild", "x.example")], all()),
            (&[("futuretag", "x")], all()),
            (&[("futuretag!", "x")], Verdict::Unknown { tag: "futuretag".to_owned() }),
            (&[("issue", ";")], others(&[])),
            (&[("issue", "")], others(&[])),
            (&[("issue", "x.example")], others(&["x.example"])),
            (&[("issue", "ca.example\u{e4}")], others(&[])),
            (&[("issue", "ca.example; nonsense")], others(&[])),
            (&[("issue", "ca.example x.example")], others(&[])),
            (&[("issue", &ours)], all()),
            (&[("issue", "ca.example; accounturi=https://x/2")], account("https://x/2")),
            (&[("issue", "ca.example; accounturi=https://x/2"), ("issue", &ours)], all()),
            (&[("issue", &twice)], account(ACCOUNT)),
            (&[("issue", &both)], Verdict::Allowed(vec![Dns01])),
            (
                &[("issue", "ca.example;validationmethods=tls-alpn-01")],
                Verdict::Methods(vec!["tls-alpn-01".to_owned()]),
            ),
        ];
        for (lines, verdict) in table {
            assert_eq!(judged(lines, false), verdict, "{lines:?}");
        }
    }

    #[test]
    fn wildcards_have_their_own_records() {
        let table: [(&[(&str, &str)], bool); 5] = [
            (&[("issue", "ca.example")], true),
            (&[("issue", ";"), ("issuewild", "ca.example")], true),
            (&[("issue", "ca.example"), ("issuewild", ";")], false),
            (&[("issue", "x.example")], false),
            (&[("iodef", "mailto:a@b.example")], true),
        ];
        for (lines, allowed) in table {
            assert_eq!(matches!(judged(lines, true), Verdict::Allowed(_)), allowed, "{lines:?}");
        }
    }

    #[test]
    fn an_account_yet_to_be_made_is_not_the_one_that_is_named() {
        let identities = ["ca.example".to_owned()];
        let set = set(&[("issue", "ca.example;accounturi=https://x/2")]);
        let wish =
            Wish { wildcard: false, identities: &identities, account: None, kinds: &[Http01] };
        assert_eq!(judge(&set, wish), Verdict::Account("https://x/2".to_owned()));
    }

    proptest! {
        #[test]
        fn bytes_of_anybody_do_no_harm(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let property = Property { critical: false, tag: "issue".to_owned(), value };
            let wish = Wish { wildcard: false, identities: &[], account: None, kinds: &[Http01] };
            prop_assert!(matches!(judge(&[property], wish), Verdict::Others(_)));
        }
    }
}
