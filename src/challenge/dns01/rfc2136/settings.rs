//! The credentials of dynamic updates: which server, and the key it knows us by.

use data_encoding::BASE64;
use hickory_net::proto::rr::TSigner;
use hickory_net::proto::rr::rdata::tsig::TsigAlgorithm;
use zeroize::Zeroizing;

use crate::challenge::dns01::credentials::Credentials;
use crate::dns;
use crate::model::host_port::HostPort;
use crate::model::word::nearest;

pub(super) const PORT: u16 = 53;

const KNOWN: [&str; 4] = ["server", "key", "secret", "algorithm"];
/// As BIND and Knot write them: those that RFC 8945 §6 recommends or allows, at full length.
const ALGORITHMS: [(&str, TsigAlgorithm); 3] = [
    ("hmac-sha256", TsigAlgorithm::HmacSha256),
    ("hmac-sha384", TsigAlgorithm::HmacSha384),
    ("hmac-sha512", TsigAlgorithm::HmacSha512),
];

/// By how many seconds two clocks may differ (RFC 8945 §10).
const FUDGE: u16 = 300;

/// To whom updates go, and who signs them.
pub(super) struct Settings {
    /// `None` is the primary of each zone.
    pub(super) server: Option<HostPort>,
    /// `None` leaves it to the server whether to let this address in.
    pub(super) key: Option<TSigner>,
}

impl Settings {
    /// Reads them; the error never holds a value that is secret.
    pub(super) fn read(credentials: &Credentials) -> Result<Self, String> {
        if let Some(key) = credentials.keys().find(|key| !KNOWN.contains(key)) {
            return Err(unknown(&key.escape_debug().to_string()));
        }
        let server = credentials.get("server").map(|text| HostPort::parse_with_default(text, PORT));
        let server = server.transpose().map_err(|error| format!("server: {error}"))?;
        let key = match (credentials.get("key"), credentials.get("secret")) {
            (Some(name), Some(secret)) => {
                Some(key(name, secret, credentials.get("algorithm").unwrap_or("hmac-sha256"))?)
            }
            (None, None) if credentials.get("algorithm").is_some() => {
                return Err("there is an algorithm, but no key and no secret".to_owned());
            }
            (None, None) if server.is_none() => {
                let known = KNOWN.join(", ");
                return Err(format!("key and secret are missing; known are {known}"));
            }
            (None, None) => None,
            (Some(_), None) => return Err("there is a key, but no secret".to_owned()),
            (None, Some(_)) => {
                return Err("there is a secret, but no key, which is its name".to_owned());
            }
        };
        Ok(Self { server, key })
    }
}

fn unknown(typed: &str) -> String {
    match nearest(typed, &KNOWN) {
        Some(word) => format!("`{typed}` is unknown; did you mean `{word}`?"),
        None => format!("`{typed}` is unknown; known are {}", KNOWN.join(", ")),
    }
}

fn key(name: &str, secret: &str, algorithm: &str) -> Result<TSigner, String> {
    let name = dns::name(name.trim_end_matches('.'))
        .filter(|name| !name.is_root())
        .ok_or("key: it is no name of a key, as in acme or acme.example.com")?;
    let wanted = algorithm.to_ascii_lowercase();
    let wanted = wanted.trim_end_matches('.');
    let algorithm = ALGORITHMS.into_iter().find(|(known, _)| *known == wanted);
    let (_, algorithm) = algorithm.ok_or_else(|| {
        let known = ALGORITHMS.map(|(known, _)| known).join(", ");
        format!(
            "algorithm: {:?} cannot be used; known are {known}",
            wanted.chars().take(40).collect::<String>()
        )
    })?;
    // Some programs wrap a long secret.
    let packed: Zeroizing<String> =
        Zeroizing::new(secret.split_ascii_whitespace().collect::<Vec<_>>().concat());
    let bytes = BASE64.decode(packed.as_bytes()).ok().filter(|bytes| !bytes.is_empty());
    let bytes =
        bytes.ok_or("secret: it is no base64, which is what tsig-keygen and keymgr write")?;
    // The signer keeps the bytes for as long as it lives; it never prints them.
    let signer = TSigner::new(bytes, algorithm, name, FUDGE);
    signer.map_err(|error| format!("algorithm: {error}"))
}
