//! PEM (RFC 7468): what blocks a file holds, and whether there is anything beside them.

/// Whether a certificate file and a key file were given in each other's place.
///
/// True only when the first holds a private key and no certificate, and the second the reverse.
pub(crate) fn wrong_way_round(certificate_file: &[u8], key_file: &[u8]) -> bool {
    todo!("{} {}", certificate_file.len(), key_file.len())
}
