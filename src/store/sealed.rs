//! JSON documents that know their schema and whether they were damaged.
//!
//! `{"body": …, "schema": 1, "sha256": "…"}`, where the sum is that of the body written compactly
//! with its keys in the order of the document.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The schema of everything this version writes.
pub(super) const SCHEMA: u64 = 3;

/// Why a document cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    Damaged(String),
    Newer(u64),
}

#[derive(Deserialize, Serialize)]
struct Document {
    schema: u64,
    sha256: String,
    body: Value,
}

/// Writes a value as a document.
pub(super) fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    let body = serde_json::to_value(value).expect("plain data with text keys");
    let document = Document { schema: SCHEMA, sha256: sum_of(&body), body };
    let mut bytes = serde_json::to_vec_pretty(&document).expect("plain data with text keys");
    bytes.push(b'\n');
    bytes
}

/// Reads a document back.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u64,
    }
    let damaged = |error: serde_json::Error| Broken::Damaged(error.to_string());
    // The schema first: a newer one may look different in everything else.
    let Schema { schema } = serde_json::from_slice(bytes).map_err(damaged)?;
    if schema > SCHEMA {
        return Err(Broken::Newer(schema));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(damaged)?;
    if document.sha256 != sum_of(&document.body) {
        return Err(Broken::Damaged("its checksum does not match".to_owned()));
    }
    serde_json::from_value(document.body).map_err(damaged)
}

fn sum_of(body: &Value) -> String {
    sha256(&serde_json::to_vec(body).expect("a value is always writable"))
}

/// SHA-256 in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens() {
        assert_eq!(open::<Vec<u32>>(&seal(&vec![1_u32, 2])), Ok(vec![1, 2]));
    }

    #[test]
    fn a_newer_schema_is_told_from_damage() {
        let newer = br#"{"schema": 99, "whatever": []}"#;
        assert_eq!(open::<Vec<u32>>(newer), Err(Broken::Newer(99)));
    }

    #[test]
    fn damage_is_found() {
        let good = String::from_utf8(seal(&vec![11_u32, 22])).unwrap();
        for bad in [String::new(), good[..20].to_owned(), good.replace("11", "12"), "[]".to_owned()]
        {
            assert!(matches!(open::<Vec<u32>>(bad.as_bytes()), Err(Broken::Damaged(_))), "{bad}");
        }
    }
}
