//! The CAs known by name. No code path depends on one of these names.

use crate::schedule::limits::Limits;

/// A CA as the agent reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The CA's name; safe as a folder name.
    pub(crate) name: String,
    /// The https URL of the directory (RFC 8555 §7.1.1).
    pub(crate) directory: String,
    /// PEM certificates that alone are trusted for the CA's TLS; `None` means the system's.
    pub(crate) roots: Option<Vec<u8>>,
    /// Hosts besides the directory's that the CA may send us to.
    pub(crate) other_hosts: Vec<String>,
    pub(crate) limits: Limits,
}

/// One row of the table: what the operator types, and what it stands for.
struct Known {
    name: &'static str,
    directory: &'static str,
    limits: Limits,
}

/// A row of a CA that publishes no limits.
const fn known(name: &'static str, directory: &'static str) -> Known {
    Known { name, directory, limits: Limits::UNKNOWN }
}

const KNOWN: &[Known] = &[
    Known {
        name: "letsencrypt",
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        limits: Limits::LETS_ENCRYPT,
    },
    Known {
        name: "letsencrypt-staging",
        directory: "https://acme-staging-v02.api.letsencrypt.org/directory",
        limits: Limits::LETS_ENCRYPT_STAGING,
    },
    known("google", "https://dv.acme-v02.api.pki.goog/directory"),
    known("google-staging", "https://dv.acme-v02.test-api.pki.goog/directory"),
    known("zerossl", "https://acme.zerossl.com/v2/DV90"),
    known("sslcom-ecc", "https://acme.ssl.com/sslcom-dv-ecc"),
    known("sslcom-rsa", "https://acme.ssl.com/sslcom-dv-rsa"),
    known("actalis", "https://acme-api.actalis.com/acme/directory"),
    known("sectigo", "https://acme.sectigo.com/v2/DV"),
    known("digicert", "https://one.digicert.com/mpki/api/v1/acme/v2/directory"),
    known("globalsign", "https://emea.acme.atlas.globalsign.com/directory"),
];

impl Endpoint {
    /// Finds a public CA by name; system roots are trusted for it.
    pub(crate) fn builtin(name: &str) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.name == name)?;
        Some(Self { limits: known.limits, ..Self::new(known.name, known.directory) })
    }

    /// A CA of which no more is known than where its directory is.
    pub(crate) fn new(name: &str, directory: &str) -> Self {
        let same = KNOWN.iter().find(|known| known.directory == directory);
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            roots: None,
            other_hosts: Vec::new(),
            limits: same.map_or(Limits::UNKNOWN, |known| known.limits),
        }
    }

    /// The names [`Self::builtin`] knows, for messages and completions.
    pub(crate) fn builtin_names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::CertName;

    #[test]
    fn every_row_is_usable() {
        for name in Endpoint::builtin_names() {
            let endpoint = Endpoint::builtin(name).unwrap();
            assert!(CertName::parse(&endpoint.name).is_ok(), "{name} must be safe as a folder");
            assert!(endpoint.directory.starts_with("https://"), "{name}");
        }
        assert!(Endpoint::builtin("buypass").is_none());
    }
}
