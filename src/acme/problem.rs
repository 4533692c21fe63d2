//! What a CA says went wrong (RFC 9457, RFC 8555 §6.7), made safe to show.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::schedule::limits::Scope;

const PREFIX: &str = "urn:ietf:params:acme:error:";

/// The error types of RFC 8555 §6.7, RFC 9773 §7.4 and draft-ietf-acme-profiles §6.
const WORDS: [&str; 26] = [
    "accountDoesNotExist",
    "alreadyReplaced",
    "alreadyRevoked",
    "badCSR",
    "badNonce",
    "badPublicKey",
    "badRevocationReason",
    "badSignatureAlgorithm",
    "caa",
    "compound",
    "connection",
    "dns",
    "externalAccountRequired",
    "incorrectResponse",
    "invalidContact",
    "invalidProfile",
    "malformed",
    "orderNotReady",
    "rateLimited",
    "rejectedIdentifier",
    "serverInternal",
    "tls",
    "unauthorized",
    "unsupportedContact",
    "unsupportedIdentifier",
    "userActionRequired",
];

/// A problem document. Its texts are bounded and printable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    /// The ACME error name (`rateLimited`), or a whole URI of another registry.
    pub(crate) kind: String,
    pub(crate) detail: String,
    /// The status of the response; 0 inside an order or challenge that gives none.
    pub(crate) status: u16,
    pub(crate) subproblems: Vec<Subproblem>,
}

/// A part of a problem that concerns one identifier (RFC 8555 §6.7.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subproblem {
    pub(crate) identifier: Option<Identifier>,
    pub(crate) kind: String,
    pub(crate) detail: String,
}

/// The wire form, read as leniently as is safe: whatever is odd is left out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    r#type: Value,
    detail: Value,
    status: Value,
    subproblems: Value,
    identifier: Value,
}

impl Problem {
    const LONGEST_DETAIL: usize = 1000;
    const LONGEST_FOREIGN: usize = 200;
    const MOST_SUBPROBLEMS: usize = 100;

    /// Reads the body of an error response; a body that is no problem document is quoted shortly.
    pub(super) fn from_response(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice(body).ok().and_then(|value| Self::from_value(&value));
        let mut problem = parsed.unwrap_or_else(|| Self {
            kind: "about:blank".to_owned(),
            detail: printable(&String::from_utf8_lossy(body), Self::LONGEST_FOREIGN),
            status,
            subproblems: Vec::new(),
        });
        problem.status = status;
        problem
    }

    /// Reads a problem inside an order or a challenge.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let wire = Wire::deserialize(value).ok()?;
        if wire.r#type.as_str().is_none() && wire.detail.as_str().is_none() {
            return None;
        }
        let listed = wire.subproblems.as_array().map(Vec::as_slice).unwrap_or_default();
        let subproblems = listed.iter().take(Self::MOST_SUBPROBLEMS);
        Some(Self {
            kind: kind(&wire.r#type),
            detail: detail(&wire.detail),
            status: wire.status.as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(0),
            subproblems: subproblems.filter_map(Subproblem::from_value).collect(),
        })
    }

    /// The type where it is one that is known: whatever a CA invents, there are no more words.
    ///
    /// A compound problem is called by the first of its parts that is known.
    pub(super) fn word(&self) -> Option<&'static str> {
        let known = |kind: &str| WORDS.into_iter().find(|word| *word == kind);
        let parts = || self.subproblems.iter().find_map(|part| known(&part.kind));
        match known(&self.kind) {
            Some("compound") => parts().or(Some("compound")),
            word => word,
        }
    }

    /// Stands in where the CA calls something failed and does not say why.
    pub(super) fn unexplained(detail: String) -> Self {
        Self { kind: "about:blank".to_owned(), detail, status: 0, subproblems: Vec::new() }
    }

    /// Whether this is the ACME error `name` (RFC 8555 §6.7), as in `badNonce`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.kind == name
    }

    /// Whether the CA objects to the `replaces` field rather than to the order itself.
    pub(super) fn concerns_replaces(&self) -> bool {
        let detail = self.detail.to_ascii_lowercase();
        let named = detail.contains("replaces")
            || detail.contains("replaced")
            || detail.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "ari")
            || detail.contains("could not find an order for the given certificate");
        let refused = (400..500).contains(&self.status) || self.status == 500;
        self.is("alreadyReplaced") || (refused && !self.is("rateLimited") && named)
    }

    /// The moment Boulder names in its texts: "retry after 2026-11-22 12:00:37 UTC".
    pub(super) fn retry_after(&self) -> Option<Timestamp> {
        let (_, rest) = self.detail.split_once("retry after ")?;
        let (day, clock) = (rest.get(..10)?, rest.get(11..19)?);
        rest.get(19..)?.starts_with(" UTC").then_some(())?;
        Timestamp::parse(&format!("{day}T{clock}Z"))
    }

    /// Which limit Boulder's text speaks of, for an order of `identifiers`.
    ///
    /// Any other text is taken to speak of this very order: what is limited for one certificate
    /// must not hold up another.
    pub(super) fn limit(&self, identifiers: &BTreeSet<Identifier>) -> Scope {
        let detail = self.detail.as_str();
        let quoted = || detail.split('"').nth(1).unwrap_or_default().to_owned();
        if detail.contains("too many new registrations") {
            return Scope::Registrations;
        }
        if detail.contains("too many new orders") {
            return Scope::Orders;
        }
        if detail.contains("too many failed authorizations")
            && let Ok(identifier) = Identifier::parse(&quoted())
        {
            return Scope::Failures(identifier);
        }
        if detail.contains("already issued for \"") {
            return Scope::Domain(quoted());
        }
        Scope::ExactSet(identifiers.clone())
    }

    /// The page a person must visit to lift a pause.
    pub(super) fn page(&self) -> Option<&str> {
        let page = self.detail.split_whitespace().find(|word| word.starts_with("https://"))?;
        Some(page.trim_end_matches(['.', ',', ')']))
    }

    /// The identifiers of `all` that the text names as words of their own.
    pub(super) fn named<'a>(&self, all: &'a BTreeSet<Identifier>) -> Vec<&'a Identifier> {
        let before_page = self.detail.split("https://").next().unwrap_or_default();
        let words: Vec<&str> = before_page
            .split(|c: char| c.is_whitespace() || c == ',')
            .map(|word| word.trim_end_matches('.'))
            .collect();
        all.iter().filter(|one| words.contains(&one.to_string().as_str())).collect()
    }

    /// Whether only a person can lift this limit: a paused account is told so without Retry-After.
    pub(super) fn is_pause(&self) -> bool {
        self.is("rateLimited") && self.detail.contains("unpause")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.kind)?;
        for sub in &self.subproblems {
            match &sub.identifier {
                Some(identifier) => write!(f, "; {identifier}: {} ({})", sub.detail, sub.kind)?,
                None => write!(f, "; {} ({})", sub.detail, sub.kind)?,
            }
        }
        Ok(())
    }
}

impl Subproblem {
    fn from_value(value: &Value) -> Option<Self> {
        let wire = Wire::deserialize(value).ok()?;
        Some(Self {
            identifier: Identifier::deserialize(&wire.identifier).ok(),
            kind: kind(&wire.r#type),
            detail: detail(&wire.detail),
        })
    }
}

/// Keeps letters, digits and visible ASCII, at most `longest` characters: nothing that moves a cursor,
/// turns the writing direction or begins a new line.
pub(super) fn printable(text: &str, longest: usize) -> String {
    let visible = |c: char| c.is_ascii_graphic() || c.is_alphanumeric();
    let mut shown = String::new();
    for c in text.chars().take(longest) {
        match c {
            c if visible(c) => shown.push(c),
            _ if !shown.ends_with(' ') => shown.push(' '),
            _ => {}
        }
    }
    shown.trim().to_owned()
}

fn detail(value: &Value) -> String {
    printable(value.as_str().unwrap_or("no detail given"), Problem::LONGEST_DETAIL)
}

fn kind(value: &Value) -> String {
    let uri = value.as_str().unwrap_or("about:blank");
    let short = uri.strip_prefix(PREFIX).unwrap_or(uri);
    let fits = (1..=200).contains(&short.len()) && short.bytes().all(|b| b.is_ascii_graphic());
    if fits { short.to_owned() } else { "about:blank".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(status: u16, json: &str) -> Problem {
        Problem::from_response(status, json.as_bytes())
    }

    #[test]
    fn problems_keep_what_matters() {
        let json = r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","status":400,
            "detail":"policy\u001b[2J","subproblems":[
            {"type":"urn:ietf:params:acme:error:caa","detail":"CAA","identifier":{"type":"dns","value":"a.example"}},
            {"type":7,"identifier":{"type":"email","value":"x"}}]}"#;
        let problem = problem(400, json);
        assert!(problem.is("rejectedIdentifier"));
        assert_eq!(problem.detail, "policy [2J");
        let named = problem.subproblems[0].identifier.as_ref().unwrap();
        assert_eq!(named.to_string(), "a.example");
        assert_eq!(problem.subproblems[1].kind, "about:blank");
        assert!(problem.to_string().contains("a.example: CAA (caa)"));
    }

    #[test]
    fn other_bodies_are_quoted_shortly() {
        let html = format!("<html>\u{7}\u{202e}{}", "x".repeat(5000));
        let problem = problem(503, &html);
        assert_eq!(problem.status, 503);
        assert!(problem.detail.chars().count() <= 200);
        assert!(problem.detail.starts_with("<html> xxx"));
    }

    #[test]
    fn the_moment_in_the_text_is_read() {
        let table = [
            ("too many, retry after 2026-11-22 12:00:37 UTC: see x", Some("2026-11-22T12:00:37Z")),
            ("retry after 2026-11-22 12:00:37", None),
            ("retry after äääääääääääääääää UTC", None),
            ("retry after", None),
            ("no", None),
        ];
        for (detail, at) in table {
            let json = serde_json::json!({ "type": "x", "detail": detail }).to_string();
            let read = problem(429, &json).retry_after().map(|at| at.to_string());
            assert_eq!(read.as_deref(), at, "{detail}");
        }
    }

    #[test]
    fn the_limit_is_read_from_boulders_texts() {
        let set = |names: &[&str]| -> BTreeSet<Identifier> {
            names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
        };
        let order = set(&["a.example", "b.example"]);
        let failing = Identifier::parse("b.example").unwrap();
        let table = [
            (
                "too many new registrations (10) from this IP address in the last 3h0m0s, retry",
                Scope::Registrations,
            ),
            (
                "too many new orders (300) from this account in the last 3h0m0s, retry",
                Scope::Orders,
            ),
            (
                "too many failed authorizations (5) for \"b.example\" in the last 1h0m0s",
                Scope::Failures(failing),
            ),
            (
                "too many certificates (50) already issued for \"example\" in the last 168h0m0s",
                Scope::Domain("example".to_owned()),
            ),
            (
                "too many certificates (5) already issued for this exact set of identifiers in",
                Scope::ExactSet(order.clone()),
            ),
            ("slow down", Scope::ExactSet(order.clone())),
            ("too many failed authorizations (5) for \"../x\"", Scope::ExactSet(order.clone())),
        ];
        for (detail, scope) in table {
            let json = serde_json::json!({ "type": "x", "detail": detail }).to_string();
            assert_eq!(problem(429, &json).limit(&order), scope, "{detail}");
        }
    }

    #[test]
    fn a_pause_names_its_page_and_who_is_paused() {
        let order =
            ["a.example", "b.example", "example"].map(|name| Identifier::parse(name).unwrap());
        let order = BTreeSet::from(order);
        let detail = "Your account is temporarily prevented from requesting certificates for b.example \
            and possibly others. Please visit: https://ca.example/sfe/v1/unpause?jwt=a.example";
        let json = serde_json::json!({ "type": "x", "detail": detail }).to_string();
        let problem = problem(429, &json);
        assert_eq!(problem.page(), Some("https://ca.example/sfe/v1/unpause?jwt=a.example"));
        let named: Vec<String> = problem.named(&order).iter().map(ToString::to_string).collect();
        assert_eq!(named, ["b.example"]);
    }

    #[test]
    fn objections_to_replaces_are_recognised() {
        let table = [
            (409, "alreadyReplaced", "x", true),
            (409, "malformed", "certificate already replaced", true),
            (404, "malformed", "Could not validate ARI 'replaces' field :: unknown", true),
            (403, "unauthorized", "Could not validate ARI 'replaces' field", true),
            (500, "serverInternal", "could not find an order for the given certificate", true),
            (400, "malformed", "various names", false),
            (503, "serverInternal", "ari is down", false),
            (429, "rateLimited", "too many replaces", false),
        ];
        for (status, kind, detail, concerned) in table {
            let kind = format!("{PREFIX}{kind}");
            let json = serde_json::json!({ "type": kind, "detail": detail }).to_string();
            assert_eq!(problem(status, &json).concerns_replaces(), concerned, "{kind} {detail}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_ca_writes_reaches_the_terminal_raw(text in any::<String>()) {
            let shown = printable(&text, 200);
            prop_assert!(shown.chars().count() <= 200);
            prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn any_body_gives_a_problem(body in any::<Vec<u8>>(), status in 400u16..600) {
            prop_assert_eq!(Problem::from_response(status, &body).status, status);
        }
    }
}
