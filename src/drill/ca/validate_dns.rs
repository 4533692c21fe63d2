//! Validation by dns-01 (RFC 8555 §8.4) and dns-account-01 (draft-ietf-acme-dns-account-label-02).

use aws_lc_rs::digest;
use data_encoding::BASE32_NOPAD;

use super::problem::{Kind, Problem};

/// Bytes of the digest of the account URL that its label has.
const LABEL_BYTES: usize = 10;

/// Where dns-01 looks; `base` is the name without `*.`.
pub(super) fn record_name(base: &str) -> String {
    format!("_acme-challenge.{base}")
}

/// Where dns-account-01 looks.
pub(super) fn account_record_name(base: &str, account_url: &str) -> String {
    let digest = digest::digest(&digest::SHA256, account_url.as_bytes());
    let label = BASE32_NOPAD.encode(&digest.as_ref()[..LABEL_BYTES]).to_lowercase();
    format!("_{label}._acme-challenge.{base}")
}

/// Whether one of the records at `name` is the digest; others may stand beside it.
pub(super) fn judge(name: &str, records: &[String], digest: &str) -> Result<(), Problem> {
    let wrong = |why| Err(Problem::new(Kind::IncorrectResponse, why));
    match records {
        [] => wrong(format!("no TXT record at {name}")),
        records if records.iter().any(|record| record == digest) => Ok(()),
        [first, others @ ..] => wrong(match others.len() {
            0 => format!("the TXT record at {name} is wrong: {first:?}"),
            more => format!("the TXT records at {name} are wrong: {first:?} and {more} more"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_labels_are_those_of_the_draft() {
        let table = [
            ("https://example.com/acme/acct/ExampleAccount", "_ujmmovf2vn55tgye"),
            ("https://acme-v02.api.letsencrypt.org/acme/acct/1234567890", "_rhuccyogo34zlvsj"),
        ];
        for (account, label) in table {
            let name = account_record_name("a.example", account);
            assert_eq!(name, format!("{label}._acme-challenge.a.example"));
        }
        assert_eq!(record_name("a.example"), "_acme-challenge.a.example");
    }

    #[test]
    fn one_right_record_among_any_is_enough() {
        let table: [(&[&str], &str); 7] = [
            (&["digest"], ""),
            (&["other", "digest"], ""),
            (&[], "no TXT record at _x"),
            (&["other"], "the TXT record at _x is wrong: \"other\""),
            (&["other", "another"], "the TXT records at _x are wrong: \"other\" and 1 more"),
            (&["digest "], "wrong"),
            (&["DIGEST"], "wrong"),
        ];
        for (records, why) in table {
            let records: Vec<String> = records.iter().map(|&record| record.to_owned()).collect();
            match judge("_x", &records, "digest") {
                Ok(()) => assert!(why.is_empty(), "{records:?}"),
                Err(problem) => {
                    let found = serde_json::to_value(problem).unwrap();
                    let found = found["detail"].as_str().unwrap();
                    assert!(!why.is_empty() && found.contains(why), "{records:?}: {found}");
                }
            }
        }
    }
}
