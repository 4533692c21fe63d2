//! Validations as a CA makes them, each address apart: by http-01 from port 80, redirects followed,
//! and by tls-alpn-01 with port 443.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::join_all;
use http::StatusCode;
use http::header::LOCATION;
use reqwest::{Client, Response, redirect};
use rustls::crypto::aws_lc_rs::default_provider;
use tokio::time::timeout;
use url::{Host, Url};

use super::handshake;
use crate::model::challenge::{
    ACME_TLS, Challenge, ChallengeKind, KeyAuthorization, Token, server_name,
};
use crate::model::name::Identifier;

/// How far a CA goes (RFC 8555 §8.3 leaves it to the CA; these are Boulder's).
const MOST_REDIRECTS: usize = 10;
const LONGEST_PATH: usize = 2000;

/// Where a CA shakes hands (RFC 8737 §3).
const HTTPS: u16 = 443;

/// For one request, and for all of them.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_IN_ALL: Duration = Duration::from_secs(10);

/// What is read of a body: more than any key authorization has.
const LONGEST_BODY: usize = 512;

/// Why nothing came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Refused,
    Silent,
    /// This host cannot send anything there, which says nothing about the address.
    NoRoute,
    Other(String),
}

/// What came back instead of what was put there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Miss {
    /// Nothing; `at` is where, if a redirect led there.
    Nothing { at: Option<Url>, why: Why },
    /// Something else; `at` is from where, if a redirect led there.
    Other { at: Option<Url>, status: u16, body: String },
    /// Another server's handshake.
    Stranger,
    /// A redirect no CA follows.
    Astray { to: String, why: &'static str },
}

/// What came of asking an address.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) address: IpAddr,
    /// Whether it is this host's own.
    pub(crate) is_local: bool,
    /// Whether packets to it leave under an address that means nothing outside: a router stands
    /// between.
    pub(crate) is_behind: bool,
    pub(crate) came: Result<(), Miss>,
}

/// Asks every address for what is presented, all at once.
pub(crate) async fn visit(challenge: &Challenge, addresses: &[IpAddr]) -> Vec<Seen> {
    let visits = addresses.iter().map(async |&address| Seen {
        address,
        is_local: UdpSocket::bind((address, 0)).is_ok(),
        is_behind: is_global(address) && source(address).is_none_or(|from| !is_global(from)),
        came: match challenge.kind {
            ChallengeKind::TlsAlpn01 => greet(challenge, address).await,
            _ => fetch(challenge, address).await,
        },
    });
    join_all(visits).await
}

/// A challenge that no CA made, to be presented and visited.
pub(crate) fn random_challenge(identifier: &Identifier, kind: ChallengeKind) -> Option<Challenge> {
    let (token, secret) = (random()?, random()?);
    let key_authorization = KeyAuthorization::new(&token, secret.as_str());
    Some(Challenge {
        identifier: identifier.clone(),
        kind,
        token,
        key_authorization,
        account: None,
    })
}

fn random() -> Option<Token> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Token::parse(&BASE64URL_NOPAD.encode(&bytes))
}

/// Under which address packets leave for there; nothing is sent.
fn source(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((address, HTTPS)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Whether an address means the same from everywhere (RFC 6890).
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared || a == 0)
        }
        IpAddr::V6(ip) => {
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            !(local || ip.is_loopback() || ip.is_unspecified())
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Silent => f.write_str("no answer in time"),
            Self::NoRoute => f.write_str("no way leads there from here"),
            Self::Other(text) => f.write_str(&escaped(text)),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = |at: &Option<Url>| match at {
            Some(at) => format!(" from {}", escaped(at.as_str())),
            None => String::new(),
        };
        match self {
            Self::Nothing { at, why } => write!(f, "{why}{}", from(at)),
            Self::Other { at, status, .. } => {
                write!(f, "{status} instead of our file{}", from(at))
            }
            Self::Stranger => f.write_str("another server shakes hands"),
            Self::Astray { to, why } => write!(f, "a redirect to {}: {why}", escaped(to)),
        }
    }
}

/// Text of others: short, and harmless to a terminal.
pub(crate) fn escaped(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

/// Where a CA looks (RFC 8555 §8.3).
pub(crate) const FOLDER: &str = "/.well-known/acme-challenge/";

/// Fetches the answer to this challenge of http-01.
async fn fetch(challenge: &Challenge, address: IpAddr) -> Result<(), Miss> {
    let host = match &challenge.identifier {
        Identifier::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        other => other.to_string(),
    };
    let expected = challenge.key_authorization.as_str();
    let url = format!("http://{host}{FOLDER}{}", challenge.token.as_str());
    let Ok(url) = Url::parse(&url) else {
        return Err(Miss::Astray { to: host, why: "it is no host" });
    };
    // Fails only when a provider is installed already, which is as good.
    let _ = default_provider().install_default();
    match Client::builder()
        // A dependency may have brought decompression: small answers must not become large.
        .no_gzip()
        .no_deflate()
        .user_agent(concat!("acmeagent/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        // A CA looks at what is served, not at how (RFC 8555 §8.3).
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .resolve(&host, SocketAddr::new(address, 0))
        .build()
    {
        Ok(client) => {
            let trip = follow(&client, url, expected);
            let late = Err(Miss::Nothing { at: None, why: Why::Silent });
            timeout(PATIENCE_IN_ALL, trip).await.unwrap_or(late)
        }
        Err(error) => Err(Miss::Nothing { at: None, why: Why::Other(error.to_string()) }),
    }
}

async fn follow(client: &Client, mut url: Url, expected: &str) -> Result<(), Miss> {
    for redirects in 0..=MOST_REDIRECTS {
        let at = (redirects > 0).then(|| url.clone());
        let mut response = match client.get(url.clone()).send().await {
            Ok(response) => response,
            Err(error) => return Err(Miss::Nothing { at, why: why(&error) }),
        };
        if !response.status().is_redirection() {
            let body = read(&mut response).await;
            let ours =
                response.status() == StatusCode::OK && body.trim_ascii_end() == expected.as_bytes();
            if ours {
                return Ok(());
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            return Err(Miss::Other { at, status: response.status().as_u16(), body });
        }
        match next(&url, &response) {
            Ok(next) => url = next,
            Err(astray) => return Err(astray),
        }
    }
    Err(Miss::Astray { to: url.into(), why: "no CA follows that many redirects" })
}

async fn read(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(LONGEST_BODY - body.len())]);
        if body.len() == LONGEST_BODY {
            break;
        }
    }
    body
}

/// Where a redirect leads, if a CA goes there.
fn next(from: &Url, response: &Response) -> Result<Url, Miss> {
    let to = response.headers().get(LOCATION).map(|to| to.as_bytes()).unwrap_or_default();
    judge_redirect(from, response.status(), &String::from_utf8_lossy(to))
}

fn judge_redirect(from: &Url, status: StatusCode, to: &str) -> Result<Url, Miss> {
    let astray = |why| Err(Miss::Astray { to: to.to_owned(), why });
    if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
        return astray("CAs follow 301, 302, 307 and 308 only");
    }
    let Ok(url) = from.join(to) else { return astray("that is no URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return astray("CAs follow http and https only");
    }
    if !matches!(url.port_or_known_default(), Some(80 | 443)) {
        return astray("CAs go to ports 80 and 443 only");
    }
    if url.path().len() > LONGEST_PATH {
        return astray("the path is too long");
    }
    match url.host() {
        Some(Host::Domain(name)) if !name.contains('.') => astray("no CA knows that host"),
        _ => Ok(url),
    }
}

fn why(error: &reqwest::Error) -> Why {
    if error.is_timeout() {
        return Why::Silent;
    }
    let causes =
        std::iter::successors(Some(error as &(dyn StdError + 'static)), |cause| (*cause).source());
    let io = causes.clone().find_map(|cause| cause.downcast_ref::<io::Error>());
    let told = || Why::Other(causes.last().map(ToString::to_string).unwrap_or_default());
    io.and_then(|error| Why::of(error.kind())).unwrap_or_else(told)
}

impl Why {
    /// What became of a connection; `None` for what needs more words.
    fn of(kind: ErrorKind) -> Option<Self> {
        use ErrorKind::{
            AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable,
            PermissionDenied, TimedOut,
        };
        match kind {
            ConnectionRefused => Some(Self::Refused),
            TimedOut => Some(Self::Silent),
            AddrNotAvailable | HostUnreachable | NetworkUnreachable | PermissionDenied => {
                Some(Self::NoRoute)
            }
            _ => None,
        }
    }
}

/// Shakes hands for this challenge of tls-alpn-01 (RFC 8737 §3).
///
/// What proves the answer ours is the digest, which nobody else can know.
async fn greet(challenge: &Challenge, address: IpAddr) -> Result<(), Miss> {
    let peer = SocketAddr::new(address, HTTPS);
    let name = server_name(&challenge.identifier);
    match handshake::leaf_for(peer, &name, ACME_TLS, PATIENCE).await {
        Ok(leaf) => {
            let digest = challenge.key_authorization.digest();
            let ours = leaf.windows(digest.len()).any(|part| part == digest);
            if ours { Ok(()) } else { Err(Miss::Stranger) }
        }
        Err(error) => match Why::of(error.kind()) {
            Some(why) => Err(Miss::Nothing { at: None, why }),
            // Somebody is there, and does not speak the protocol.
            None => Err(Miss::Stranger),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_as_a_ca_follows_them() {
        let from = Url::parse("http://a.example/.well-known/acme-challenge/x").unwrap();
        let long = format!("/{}", "x".repeat(LONGEST_PATH));
        let table = [
            (301, "https://a.example/x", Some("https://a.example/x")),
            (302, "/y", Some("http://a.example/y")),
            (307, "//b.example:443/", Some("http://b.example:443/")),
            (308, "http://[2001:db8::1]/x", Some("http://[2001:db8::1]/x")),
            (303, "https://a.example/x", None),
            (304, "https://a.example/x", None),
            (300, "https://a.example/x", None),
            (301, "ftp://a.example/x", None),
            (301, "http://a.example:8080/x", None),
            (301, "http://localhost/x", None),
            (301, "http://[/", None),
            (301, "javascript:alert(1)", None),
            (301, &long, None),
        ];
        for (status, to, leads) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let next = judge_redirect(&from, status, to).ok();
            assert_eq!(next.as_ref().map(Url::as_str), leads, "{status} {to}");
        }
    }
}
