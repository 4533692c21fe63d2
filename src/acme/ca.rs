//! The CAs known by name. No code path depends on one of these names.

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
}

/// One row of the table: what the operator types, and what it stands for.
struct Known {
    name: &'static str,
    directory: &'static str,
}

const KNOWN: &[Known] = &[
    Known { name: "letsencrypt", directory: "https://acme-v02.api.letsencrypt.org/directory" },
    Known {
        name: "letsencrypt-staging",
        directory: "https://acme-staging-v02.api.letsencrypt.org/directory",
    },
    Known { name: "google", directory: "https://dv.acme-v02.api.pki.goog/directory" },
    Known { name: "google-staging", directory: "https://dv.acme-v02.test-api.pki.goog/directory" },
    Known { name: "zerossl", directory: "https://acme.zerossl.com/v2/DV90" },
    Known { name: "sslcom-ecc", directory: "https://acme.ssl.com/sslcom-dv-ecc" },
    Known { name: "sslcom-rsa", directory: "https://acme.ssl.com/sslcom-dv-rsa" },
    Known { name: "actalis", directory: "https://acme-api.actalis.com/acme/directory" },
    Known { name: "sectigo", directory: "https://acme.sectigo.com/v2/DV" },
    Known { name: "globalsign", directory: "https://emea.acme.atlas.globalsign.com/directory" },
];

impl Endpoint {
    /// Finds a public CA by name; system roots are trusted for it.
    pub(crate) fn builtin(name: &str) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.name == name)?;
        Some(Self {
            name: known.name.to_owned(),
            directory: known.directory.to_owned(),
            roots: None,
            other_hosts: Vec::new(),
        })
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
