//! What is certified ([`Identifier`]) and what the operator calls it ([`CertName`]).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is no identifier or no certificate name. The text is kept escaped: it may be hostile.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{text:?} is not a valid {what}: {why}")]
pub(crate) struct NameError {
    text: String,
    what: &'static str,
    why: &'static str,
}

impl NameError {
    fn new(text: &str, what: &'static str, why: &'static str) -> Self {
        let mut text = text.to_owned();
        if text.len() > 80 {
            text = text.chars().take(80).chain(['…']).collect();
        }
        Self { text, what, why }
    }
}

/// A DNS name as A-labels in lower case, perhaps with a leading `*.` (RFC 8555 §7.1.3, RFC 5890).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct DnsName(String);

impl DnsName {
    /// Takes U-labels or A-labels in any case; refuses what no CA may certify.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |why| Err(NameError::new(text, "DNS name", why));
        if text.len() > 1000 {
            return refuse("longer than 253 characters");
        }
        let (wildcard, base) = match text.strip_prefix("*.") {
            Some(base) => ("*.", base),
            None => ("", text),
        };
        if base.contains('*') {
            return refuse("a wildcard may only stand alone as the first label");
        }
        if base.ends_with('.') {
            return refuse("leave the trailing dot out");
        }
        let Ok(base) = idna::domain_to_ascii_strict(base) else {
            return refuse("only letters, digits, inner hyphens and valid IDNA labels are allowed");
        };
        if wildcard.len() + base.len() > 253 {
            return refuse("longer than 253 characters");
        }
        if base.rsplit('.').next().is_some_and(|tld| tld.bytes().all(|b| b.is_ascii_digit())) {
            return refuse("it ends like an IP address but is none");
        }
        Ok(Self(format!("{wildcard}{base}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name without its leading `*.`.
    pub(crate) fn base(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }

    /// Whether a wildcard certifies `other` already (RFC 9525 §6.3): exactly one label in its place.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let parent = other.0.split_once('.').map(|(_, parent)| parent);
        self.is_wildcard() && !other.is_wildcard() && parent == Some(self.base())
    }
}

/// A thing to be certified: a DNS name or an IP address (RFC 8555 §9.7.7, RFC 8738 §3).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub(crate) enum Identifier {
    Dns(DnsName),
    Ip(IpAddr),
}

impl Identifier {
    /// Reads what an operator types: a DNS name, a wildcard, an IPv4 or IPv6 address (brackets allowed).
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        if text.contains([':', '%']) {
            return Err(NameError::new(
                text,
                "IP address",
                "neither IPv4 nor plain IPv6 without zone",
            ));
        }
        DnsName::parse(text).map(Self::Dns)
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns(name) if name.is_wildcard())
    }

    pub(crate) fn is_ip(&self) -> bool {
        matches!(self, Self::Ip(_))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name.as_str()),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// The shape of RFC 8555 §7.1.4: `{"type": "dns", "value": "example.org"}`.
#[derive(Deserialize, Serialize)]
struct Wire {
    r#type: String,
    value: String,
}

impl From<Identifier> for Wire {
    fn from(identifier: Identifier) -> Self {
        let kind = if identifier.is_ip() { "ip" } else { "dns" };
        Self { r#type: kind.to_owned(), value: identifier.to_string() }
    }
}

impl TryFrom<Wire> for Identifier {
    type Error = NameError;

    fn try_from(wire: Wire) -> Result<Self, NameError> {
        match wire.r#type.as_str() {
            "dns" => DnsName::parse(&wire.value).map(Self::Dns),
            "ip" => match wire.value.parse() {
                Ok(ip) => Ok(Self::Ip(ip)),
                Err(_) => Err(NameError::new(&wire.value, "IP address", "neither IPv4 nor IPv6")),
            },
            other => Err(NameError::new(other, "identifier type", "only dns and ip are known")),
        }
    }
}

/// The operator's label for a certificate; safe as a file name by construction.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CertName(String);

impl CertName {
    /// Room is left for suffixes within the 255 bytes of a file name.
    const LONGEST: usize = 240;

    /// Takes 1 to 240 characters of `a-z 0-9 . - _` that do not begin with `.` or `-`.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |why| Err(NameError::new(text, "certificate name", why));
        if text.is_empty() || text.len() > Self::LONGEST {
            return refuse("it must have 1 to 240 characters");
        }
        if text.starts_with(['.', '-']) {
            return refuse("it may not begin with a dot or a hyphen");
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        if !text.bytes().all(allowed) {
            return refuse("only a-z, 0-9, dot, hyphen and underscore are allowed");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name a certificate gets when the operator gives none; different for different identifiers.
    ///
    /// `*.` becomes `_wildcard.`; the colons of an IPv6 address become hyphens, with a leading
    /// `0` where it would begin with one. Names of 241 to 253 characters need `--cert-name`.
    pub(crate) fn from_identifier(identifier: &Identifier) -> Result<Self, NameError> {
        Self::parse(&match identifier {
            Identifier::Ip(IpAddr::V6(ip)) => Self::encode_ipv6(*ip),
            Identifier::Ip(IpAddr::V4(ip)) => ip.to_string(),
            Identifier::Dns(name) if name.is_wildcard() => format!("_wildcard.{}", name.base()),
            Identifier::Dns(name) if Self::reads_as_ipv6(name.as_str()) => {
                format!("_dns.{}", name.as_str())
            }
            Identifier::Dns(name) => name.as_str().to_owned(),
        })
    }

    fn encode_ipv6(ip: Ipv6Addr) -> String {
        let text = ip.to_string();
        let padded = if text.starts_with(':') { format!("0{text}") } else { text };
        padded.replace(':', "-")
    }

    fn reads_as_ipv6(name: &str) -> bool {
        name.replace('-', ":").parse::<Ipv6Addr>().is_ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CertName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<CertName> for String {
    fn from(name: CertName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_normalised() {
        let table = [
            ("Example.COM", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("[2001:DB8:0::1]", "2001:db8::1"),
            ("::1", "::1"),
            ("localhost", "localhost"),
        ];
        for (typed, meant) in table {
            assert_eq!(Identifier::parse(typed).unwrap().to_string(), meant, "{typed}");
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        let long = format!("{}.example", "a".repeat(300));
        let label = format!("{}.example", "a".repeat(64));
        let bad = [
            "",
            ".",
            "..",
            "a..b",
            "a/b",
            "-a.example",
            "a-.example",
            "a b",
            "a\n.example",
            "a\0b",
            "$(x)",
            "*",
            "*.*.a.example",
            "a.*.example",
            "example.com.",
            "xn--a\u{80}.example",
            "xn--zzzzzzzzzz-.example",
            "1.2.3.4.5",
            "300.1.1.1",
            "fe80::1%eth0",
            "a_b.example",
            "a:b",
            &long,
            &label,
        ];
        for text in bad {
            assert!(Identifier::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn certificate_names_are_safe_and_distinct() {
        let table = [
            ("*.example.com", "_wildcard.example.com"),
            ("::1", "0--1"),
            ("2001:db8::1", "2001-db8--1"),
            ("192.0.2.10", "192.0.2.10"),
            ("2001-db8--1", "_dns.2001-db8--1"),
        ];
        for (typed, name) in table {
            let identifier = Identifier::parse(typed).unwrap();
            assert_eq!(CertName::from_identifier(&identifier).unwrap().as_str(), name);
        }
        for bad in ["", ".", "..", ".a", "-a", "a/b", "A", "a b", "a\n", "ä", &"a".repeat(241)] {
            assert!(CertName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let name = |text| DnsName::parse(text).unwrap();
        assert!(name("*.a.example").covers(&name("b.a.example")));
        for other in ["a.example", "c.b.a.example", "b.a.example.net"] {
            assert!(!name("*.a.example").covers(&name(other)), "{other}");
        }
    }

    #[test]
    fn the_wire_form_is_rfc_8555() {
        let identifier = Identifier::parse("2001:db8::1").unwrap();
        let json = serde_json::to_string(&identifier).unwrap();
        assert_eq!(json, r#"{"type":"ip","value":"2001:db8::1"}"#);
        assert_eq!(serde_json::from_str::<Identifier>(&json).unwrap(), identifier);
        assert!(serde_json::from_str::<Identifier>(r#"{"type":"dns","value":"../x"}"#).is_err());
    }

    proptest! {
        #[test]
        fn naming_is_injective(a in any::<u128>(), b in "[0-9a-f]{1,4}(-[0-9a-f]{0,4}){1,7}") {
            let ip = Identifier::Ip(IpAddr::V6(Ipv6Addr::from(a)));
            let name = CertName::from_identifier(&ip).unwrap();
            if let Ok(dns) = Identifier::parse(&b) {
                prop_assert_ne!(CertName::from_identifier(&dns).unwrap(), name.clone());
            }
            prop_assert_eq!(name.as_str().replace('-', ":").parse::<Ipv6Addr>().unwrap(), Ipv6Addr::from(a));
        }
    }
}
