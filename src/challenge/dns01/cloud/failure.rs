//! From the library's errors to ours.
//!
//! Its texts quote what companies answer, who may quote what they were asked: secrets are masked,
//! the rest is escaped and cut short.

use dns_update::Error;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::Company;
use crate::challenge::dns01::DnsError;
use crate::challenge::dns01::credentials::Credentials;

/// As much as is shown of a text that is not ours, in characters.
const MOST: usize = 200;
/// What is shorter is no secret, and would tear holes into words.
const LEAST: usize = 4;

/// What must not be shown, the longest first.
pub(super) struct Masks(Vec<Zeroizing<String>>);

impl Masks {
    pub(super) fn of(company: &Company, credentials: &Credentials) -> Self {
        let secrets = company.keys.iter().filter(|key| key.secret);
        let mut masks: Vec<Zeroizing<String>> = Vec::new();
        for secret in secrets.filter_map(|key| credentials.get(key.name)) {
            // Keys in PEM and JSON are quoted line by line.
            for part in [secret].into_iter().chain(secret.lines()).map(str::trim) {
                if part.len() >= LEAST {
                    masks.push(Zeroizing::new(part.to_owned()));
                    masks.push(Zeroizing::new(byte_serialize(part.as_bytes()).collect()));
                }
            }
        }
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        masks.dedup();
        Self(masks)
    }

    /// Makes a text fit to be shown.
    pub(super) fn shorten(&self, text: &str) -> String {
        let masked =
            self.0.iter().fold(text.to_owned(), |text, mask| text.replace(mask.as_str(), "***"));
        let mut shown = masked.trim().escape_debug();
        let mut text: String = shown.by_ref().take(MOST).collect();
        if shown.next().is_some() {
            text.push('…');
        }
        text
    }
}

/// Says what an error of the library means for a zone.
pub(super) fn in_dns(error: &Error, provider: &str, apex: &str, masks: &Masks) -> DnsError {
    let (provider, apex) = (provider.to_owned(), apex.to_owned());
    let refused = |why: &str| DnsError::Refused {
        provider: provider.clone(),
        apex: apex.clone(),
        why: masks.shorten(why),
    };
    match error {
        Error::Unauthorized => DnsError::Unauthorized { provider, why: "HTTP 401".to_owned() },
        Error::NotFound => DnsError::NoZone { provider, apex },
        Error::InvalidRegion => {
            DnsError::Credentials { provider, why: "there is no such region".to_owned() }
        }
        Error::BadRequest => refused("HTTP 400"),
        Error::Parse(text) | Error::Unsupported(text) => refused(text),
        Error::Client(text) => DnsError::Unreachable { provider, why: masks.shorten(text) },
        // Who answers something else is often somebody else: a proxy, a page about maintenance.
        Error::Serialize(text) | Error::Response(text) | Error::Protocol(text) => {
            let text = text.split(" (body: ").next().unwrap_or_default();
            let why = format!("its answer makes no sense: {}", masks.shorten(text));
            DnsError::Unreachable { provider, why }
        }
        Error::Api(text) => match judge(text) {
            Meaning::Limited => DnsError::Limited { provider, until: None },
            Meaning::Unauthorized => DnsError::Unauthorized { provider, why: masks.shorten(text) },
            Meaning::Unreachable => {
                let silent = unanswered(text).map(|url| format!("no answer from {url}"));
                let why = masks.shorten(&silent.unwrap_or_else(|| text.clone()));
                DnsError::Unreachable { provider, why }
            }
            Meaning::Refused => refused(text),
        },
        other => refused(&other.to_string()),
    }
}

/// Where a request went that was never answered, without its query: then the library tells the URL
/// twice, and no reason.
fn unanswered(text: &str) -> Option<&str> {
    let (url, why) = text.strip_prefix("Failed to send request to ")?.split_once(": ")?;
    why.starts_with("error sending request").then(|| url.split('?').next().unwrap_or(url))
}

#[derive(Debug, Eq, PartialEq)]
enum Meaning {
    Limited,
    Unauthorized,
    Unreachable,
    Refused,
}

/// The library tells everything but 401 and 404 in words, with the status first in most.
fn judge(text: &str) -> Meaning {
    let status = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut words = status.take(8).skip_while(|word| !matches!(*word, "HTTP" | "status"));
    let status = words.nth(1).and_then(|word| word.parse::<u16>().ok());
    match status {
        Some(429) => Meaning::Limited,
        Some(403) => Meaning::Unauthorized,
        Some(500..=599) => Meaning::Unreachable,
        _ if text.starts_with("Failed to send request")
            || text.starts_with("Failed to read response") =>
        {
            Meaning::Unreachable
        }
        _ => Meaning::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_library() {
        let api = |text: &str| Error::Api(text.to_owned());
        let company = Company::find("cloudflare").unwrap();
        let credentials = Credentials::parse("token = 'secret+value'").unwrap();
        let masks = Masks::of(company, &credentials);
        let table = [
            (Error::Unauthorized, "box does not accept the credentials: HTTP 401"),
            (Error::NotFound, "box has no zone example.com"),
            (api("HTTP 403: no"), "box does not accept the credentials: HTTP 403: no"),
            (api("HTTP 429: slow\ndown"), "box has too many requests to answer"),
            (api("HTTP 503"), "box cannot be reached: HTTP 503"),
            (
                api("BadRequest {\"token\":\"secret+value\"}"),
                "box refuses to change the zone example.com: BadRequest {\\\"token\\\":\\\"***\\\"}",
            ),
            (
                api("Failed to send request to https://box/?token=secret%2Bvalue: no route"),
                "box cannot be reached: Failed to send request to https://box/?token=***: no route",
            ),
            (
                api(
                    "Failed to send request to https://box/z?t=1: error sending request for url (https://box/z?t=1)",
                ),
                "box cannot be reached: no answer from https://box/z",
            ),
            (
                Error::Serialize("expected value (body: {\"access\":\"x\"})".to_owned()),
                "box cannot be reached: its answer makes no sense: expected value",
            ),
            (
                Error::Unsupported("\x1b[2Jno".to_owned()),
                "box refuses to change the zone example.com: \\u{1b}[2Jno",
            ),
        ];
        for (error, expected) in table {
            let said = in_dns(&error, "box", "example.com", &masks).to_string();
            assert_eq!(said, expected, "{error:?}");
        }
        let long = in_dns(&api(&"x".repeat(9000)), "box", "example.com", &masks).to_string();
        assert!(long.chars().count() < 300, "{long}");
    }

    #[test]
    fn keys_of_several_lines_are_masked_by_the_line() {
        let company = Company::find("transip").unwrap();
        let text = "user = 'me'\nprivate-key = '''\n-----BEGIN X-----\nMIIEabcd\nefghijkl\n'''";
        let masks = Masks::of(company, &Credentials::parse(text).unwrap());
        assert_eq!(masks.shorten("bad: MIIEabcd, efghijkl of me"), "bad: ***, *** of me");
    }
}
