//! Serial numbers and the certificate identifiers of renewal information.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::nonce::random;

/// A certificate's serial number: big-endian, without leading zero.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Serial(Vec<u8>);

impl Serial {
    const BYTES: usize = 18;

    /// A new number, half of the time one whose DER needs a leading zero octet, as real ones do.
    pub(super) fn random() -> Self {
        let mut bytes = random::<{ Self::BYTES }>();
        bytes[0] |= 1;
        Self(bytes.to_vec())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the content octets of a DER INTEGER; refuses what is negative, zero or padded.
    pub(super) fn from_der(octets: &[u8]) -> Option<Self> {
        match octets {
            [0, high, ..] if *high >= 0x80 => Some(Self(octets[1..].to_vec())),
            [first, ..] if (1..0x80).contains(first) => Some(Self(octets.to_vec())),
            _ => None,
        }
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).ok()?;
        let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        (!significant.is_empty()).then_some(Self(significant))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl TryFrom<String> for Serial {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_hex(&text).ok_or("not a serial number")
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}

/// What names a certificate in renewal information (RFC 9773 §4.1): its issuer's key and its serial.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CertId {
    pub(super) authority_key: Vec<u8>,
    pub(super) serial: Serial,
}

impl CertId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (authority_key, serial) = text.split_once('.')?;
        let authority_key = BASE64URL_NOPAD.decode(authority_key.as_bytes()).ok()?;
        let serial = BASE64URL_NOPAD.decode(serial.as_bytes()).ok()?;
        Some(Self { authority_key, serial: Serial::from_der(&serial)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_identifiers_of_rfc_9773() {
        let table = [
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", Some("87654321")),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIAAAAAAAP8", Some("800000000000ff")),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw", Some("7f")),
            // Negative, padded, empty, no dot, two dots, padding characters.
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ", None),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AH8", None),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.", None),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ", None),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw.fw", None),
            ("aYhba4dGQEHhs3uEe6CuLN4ByNQ=.fw==", None),
        ];
        for (text, serial) in table {
            let found = CertId::parse(text).map(|id| id.serial.to_string());
            assert_eq!(found.as_deref(), serial, "{text}");
        }
    }

    #[test]
    fn random_serials_survive_hex_and_der() {
        for _ in 0..64 {
            let serial = Serial::random();
            assert_eq!(Serial::from_hex(&serial.to_string()), Some(serial.clone()));
            let padded = [&[0], serial.as_bytes()].concat();
            let der = if serial.as_bytes()[0] >= 0x80 { &padded } else { serial.as_bytes() };
            assert_eq!(Serial::from_der(der), Some(serial));
        }
    }
}
