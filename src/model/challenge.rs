//! What a CA asks to be shown (RFC 8555 §8).

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use aws_lc_rs::digest;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde::{Deserialize, Serialize};

use super::name::Identifier;

/// A way of proving control over an identifier.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum ChallengeKind {
    #[serde(rename = "http-01")]
    Http01,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    #[serde(rename = "dns-01")]
    Dns01,
    #[serde(rename = "dns-account-01")]
    DnsAccount01,
    #[serde(rename = "dns-persist-01")]
    DnsPersist01,
}

impl ChallengeKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Http01, Self::TlsAlpn01, Self::Dns01, Self::DnsAccount01, Self::DnsPersist01];

    /// The registered name (IANA, "ACME Validation Methods").
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
            Self::DnsAccount01 => "dns-account-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }

    /// Whether the CA looks into the DNS, and at no address.
    pub(crate) fn is_dns(self) -> bool {
        match self {
            Self::Http01 | Self::TlsAlpn01 => false,
            Self::Dns01 | Self::DnsAccount01 | Self::DnsPersist01 => true,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether the method can prove this identifier (RFC 8555 §8.3, RFC 8737 §3, RFC 8738 §7).
    pub(crate) fn proves(self, identifier: &Identifier) -> bool {
        match self {
            Self::Http01 | Self::TlsAlpn01 => !identifier.is_wildcard(),
            Self::Dns01 | Self::DnsAccount01 | Self::DnsPersist01 => {
                matches!(identifier, Identifier::Dns(_))
            }
        }
    }

    /// Where a CA looks for a TXT record, without a final dot (RFC 8555 §8.4); `None` where it
    /// looks elsewhere, or nobody knows without an account. May be longer than the DNS allows.
    pub(crate) fn record_name(
        self,
        identifier: &Identifier,
        account: Option<&AccountLabel>,
    ) -> Option<String> {
        let Identifier::Dns(name) = identifier else { return None };
        match (self, account) {
            (Self::Dns01, _) => Some(format!("_acme-challenge.{}", name.base())),
            (Self::DnsAccount01, Some(account)) => {
                Some(format!("{}._acme-challenge.{}", account.as_str(), name.base()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The protocol a CA asks for, and the only one spoken here (RFC 8737 §6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// What a CA puts into SNI: the name, or the reverse name of an address (RFC 8738 §6).
pub(crate) fn server_name(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.as_str().to_owned(),
        Identifier::Ip(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(ip)) => {
            let octets = ip.octets();
            let nibbles = octets.iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// A challenge token that obeys RFC 8555 §8.3: base64url characters, and never long enough to hurt.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Token(String);

impl Token {
    const LONGEST: usize = 512;

    /// Refuses anything that is not 1 to 512 characters of `A-Z a-z 0-9 - _`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::LONGEST).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (fits && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Token and account key thumbprint, joined (RFC 8555 §8.1).
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct KeyAuthorization(String);

impl KeyAuthorization {
    /// `thumbprint` is the base64url SHA-256 of the account's JWK (RFC 7638).
    pub(crate) fn new(token: &Token, thumbprint: &str) -> Self {
        Self(format!("{}.{thumbprint}", token.as_str()))
    }

    /// Reads what [`Self::new`] makes of a token and a base64url text; refuses all else.
    pub(crate) fn parse(token: &Token, text: &str) -> Option<Self> {
        let thumbprint = text.strip_prefix(token.as_str())?.strip_prefix('.')?;
        Token::parse(thumbprint).map(|thumbprint| Self::new(token, thumbprint.as_str()))
    }

    /// What http-01 serves as the body.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What tls-alpn-01 puts into the certificate (RFC 8737 §3).
    pub(crate) fn digest(&self) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.0.as_bytes());
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// What dns-01 and dns-account-01 put into the TXT record (RFC 8555 §8.4).
    pub(crate) fn txt_value(&self) -> String {
        BASE64URL_NOPAD.encode(&self.digest())
    }
}

impl fmt::Debug for KeyAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyAuthorization(***)")
    }
}

/// What tells the records of one account from those of another, as a DNS label
/// (draft-ietf-acme-dns-account-label-02 §3).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct AccountLabel(String);

impl AccountLabel {
    /// Bytes of the digest that go into the label.
    const DIGEST: usize = 10;

    /// The label of the account with this URL.
    pub(crate) fn of(account_url: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, account_url.as_bytes());
        let text = BASE32_NOPAD.encode(&digest.as_ref()[..Self::DIGEST]);
        Self(format!("_{}", text.to_ascii_lowercase()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One challenge with a token, and everything a solver needs to answer it.
///
/// dns-persist-01 has none: nothing is presented for it, its record [stands](super::persist).
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) identifier: Identifier,
    pub(crate) kind: ChallengeKind,
    pub(crate) token: Token,
    pub(crate) key_authorization: KeyAuthorization,
    /// Of the account that is to prove it; only dns-account-01 needs it.
    pub(crate) account: Option<AccountLabel>,
}

impl Challenge {
    /// Where the CA looks for a TXT record; `None` where it looks elsewhere.
    pub(crate) fn record_name(&self) -> Option<String> {
        self.kind.record_name(&self.identifier, self.account.as_ref())
    }
}

/// The ports on which a CA looks for answers; may be changed while the CA runs.
///
/// A public CA always looks at the registered ones. The embedded CA looks where the solver listens,
/// so that no port below 1024 is needed.
#[derive(Debug)]
pub(crate) struct ValidationPorts {
    http_01: AtomicU16,
    tls_alpn_01: AtomicU16,
}

impl ValidationPorts {
    pub(crate) fn new(http_01: u16, tls_alpn_01: u16) -> Self {
        Self { http_01: http_01.into(), tls_alpn_01: tls_alpn_01.into() }
    }

    pub(crate) fn http_01(&self) -> u16 {
        self.http_01.load(Ordering::Acquire)
    }

    pub(crate) fn tls_alpn_01(&self) -> u16 {
        self.tls_alpn_01.load(Ordering::Acquire)
    }

    pub(crate) fn set_http_01(&self, port: u16) {
        self.http_01.store(port, Ordering::Release);
    }

    pub(crate) fn set_tls_alpn_01(&self, port: u16) {
        self.tls_alpn_01.store(port, Ordering::Release);
    }
}

impl Default for ValidationPorts {
    /// The registered ports (RFC 8555 §8.3, RFC 8737 §3).
    fn default() -> Self {
        Self::new(80, 443)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn key_authorization_vector() {
        let token = Token::parse("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA").unwrap();
        let answer = KeyAuthorization::new(&token, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let hex = "653471d42925d7eb4cd39a39cda8b34d3034c94cb90067ab78c8123560ba2e5f";
        assert_eq!(HEXLOWER.encode(&answer.digest()), hex);
        assert_eq!(answer.txt_value(), "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8");
        assert!(!format!("{answer:?}").contains("eva"));
    }

    #[test]
    fn account_label_vectors() {
        let table = [
            ("https://example.com/acme/acct/ExampleAccount", "_ujmmovf2vn55tgye"),
            ("https://acme-v02.api.letsencrypt.org/acme/acct/1234567890", "_rhuccyogo34zlvsj"),
        ];
        for (url, label) in table {
            assert_eq!(AccountLabel::of(url).as_str(), label);
        }
    }

    #[test]
    fn only_key_authorizations_of_the_token_are_read() {
        let token = Token::parse("token").unwrap();
        let read = |text| KeyAuthorization::parse(&token, text);
        assert!(read("token.abc") == Some(KeyAuthorization::new(&token, "abc")));
        for bad in ["", "token", "token.", "other.abc", "token.a b", "token.abc\n", "token.a.b"] {
            assert!(read(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn hostile_tokens_are_refused() {
        let long = "a".repeat(513);
        for bad in ["", "../../x", "$(x)", "a b", "a\n", "a\0", "a/b", "a=", &long] {
            assert_eq!(Token::parse(bad), None, "{bad:?}");
        }
    }
}
