//! PEM (RFC 7468): what blocks a file holds, and whether there is anything beside them.

use data_encoding::BASE64;

/// What stands in a PEM file, before anything is decoded.
pub(super) struct Outline {
    /// The label of every block, in order.
    pub(super) labels: Vec<String>,
    /// The number of the first line that is neither blank nor within a block.
    pub(super) stray: Option<usize>,
}

impl Outline {
    pub(super) fn of(pem: &[u8]) -> Self {
        let mut outline = Self { labels: Vec::new(), stray: None };
        let mut inside = false;
        for (index, line) in pem.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii_end();
            if let Some(label) = begin(line) {
                outline.labels.push(String::from_utf8_lossy(label).into_owned());
                inside = true;
            } else if inside {
                inside = !line.starts_with(b"-----END ");
            } else if !line.is_empty() {
                outline.stray.get_or_insert(index + 1);
            }
        }
        outline
    }

    fn count(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.labels.iter().filter(|label| wanted(label)).count()
    }

    pub(super) fn keys(&self) -> usize {
        self.count(is_key)
    }

    fn certificates(&self) -> usize {
        self.count(|label| label == CERTIFICATE)
    }
}

pub(super) const CERTIFICATE: &str = "CERTIFICATE";
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Whether a label announces a private key, in whatever form.
pub(super) fn is_key(label: &str) -> bool {
    label.ends_with(PRIVATE_KEY)
}

fn begin(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")
}

/// Writes one block; no copy of its content is left in memory but the result.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    const LINE: usize = 48;
    let lines = der.len().div_ceil(LINE);
    let text = BASE64.encode_len(der.len()) + lines;
    let mut pem = String::with_capacity(text + 2 * label.len() + 40);
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    for line in der.chunks(LINE) {
        BASE64.encode_append(line, &mut pem);
        pem.push('\n');
    }
    pem.extend(["-----END ", label, "-----\n"]);
    pem
}

/// Whether a certificate file and a key file were given in each other's place.
///
/// True only when the first holds a private key and no certificate, and the second the reverse.
pub(crate) fn wrong_way_round(certificate_file: &[u8], key_file: &[u8]) -> bool {
    let (first, second) = (Outline::of(certificate_file), Outline::of(key_file));
    let key_only = first.keys() > 0 && first.certificates() == 0;
    key_only && second.certificates() > 0 && second.keys() == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn the_outline_sees_blocks_and_strays() {
        let block = encode(CERTIFICATE, &[7; 100]);
        let table = [
            (String::new(), 0, None),
            (block.clone(), 1, None),
            (block.replace('\n', "\r\n"), 1, None),
            (format!("\n\n{block}\n{block}\n"), 2, None),
            (format!("text\n{block}"), 1, Some(1)),
            (format!("{block}text"), 1, Some(5 + 1)),
            (format!(" {block}"), 0, Some(1)),
            ("<html>".to_owned(), 0, Some(1)),
        ];
        for (text, count, stray) in table {
            let outline = Outline::of(text.as_bytes());
            assert_eq!((outline.certificates(), outline.stray), (count, stray), "{text}");
        }
    }

    #[test]
    fn swapped_files_are_told_apart_from_wrong_ones() {
        let (certificate, key) = (encode(CERTIFICATE, b"c"), encode("EC PRIVATE KEY", b"k"));
        let both = format!("{certificate}{key}");
        let table = [
            (&key, &certificate, true),
            (&certificate, &key, false),
            (&key, &key, false),
            (&certificate, &certificate, false),
            (&both, &certificate, false),
            (&key, &both, false),
        ];
        for (first, second, swapped) in table {
            assert_eq!(wrong_way_round(first.as_bytes(), second.as_bytes()), swapped);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(der in proptest::collection::vec(any::<u8>(), 0..300)) {
            let pem = encode(CERTIFICATE, &der);
            prop_assert!(pem.lines().all(|line| line.len() <= 64));
            let decoded = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            prop_assert_eq!(decoded.as_ref(), der.as_slice());
        }
    }
}
