//! The name under which a CA knows a certificate in ARI (RFC 9773 §4.1).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// A certificate's unique identifier in ARI and in `replaces`: safe as a path segment of a URL.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct AriId(String);

impl AriId {
    /// More octets than any key identifier or serial number in use (RFC 5280 §4.1.2.2 allows 20).
    const LONGEST_PART: usize = 64;

    /// Joins the authority key identifier and the serial number's DER octets, leading zero included.
    ///
    /// `None` when one of them is empty or absurdly long: such a certificate has no identifier.
    pub(crate) fn new(key_identifier: &[u8], serial: &[u8]) -> Option<Self> {
        let fits = |part: &[u8]| (1..=Self::LONGEST_PART).contains(&part.len());
        (fits(key_identifier) && fits(serial)).then(|| {
            let encode = |part| BASE64URL_NOPAD.encode(part);
            Self(format!("{}.{}", encode(key_identifier), encode(serial)))
        })
    }

    /// Takes exactly what [`AriId::new`] makes: two canonical base64url parts joined by a dot.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (key_identifier, serial) = text.split_once('.')?;
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
        Self::new(&decode(key_identifier)?, &decode(serial)?)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AriId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AriId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no ARI identifier"))
    }
}

impl From<AriId> for String {
    fn from(id: AriId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serial_octets_keep_their_leading_zero() {
        let table = [
            ("0087654321", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"),
            ("00800000000000ff", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIAAAAAAAP8"),
            ("7f", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw"),
        ];
        let authority = HEXLOWER.decode(b"69885b6b87464041e1b37b847ba0ae2cde01c8d4").unwrap();
        for (serial, id) in table {
            let serial = HEXLOWER.decode(serial.as_bytes()).unwrap();
            assert_eq!(AriId::new(&authority, &serial).unwrap().as_str(), id);
            assert_eq!(AriId::parse(id).unwrap().to_string(), id);
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        let long = format!("{}.fw", "A".repeat(88));
        for bad in ["", ".", "fw", "fw.", ".fw", "fw.fw.fw", "fw.f/", "fw.f+", "fx.fw", "..", &long]
        {
            assert_eq!(AriId::parse(bad), None, "{bad:?}");
        }
        assert!(serde_json::from_str::<AriId>(r#""../x""#).is_err());
    }

    proptest! {
        #[test]
        fn parsing_is_the_inverse(a in proptest::collection::vec(any::<u8>(), 1..64),
                                  b in proptest::collection::vec(any::<u8>(), 1..21)) {
            let id = AriId::new(&a, &b).unwrap();
            prop_assert_eq!(AriId::parse(id.as_str()), Some(id));
        }
    }
}
