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
    /// The https URL that hands out an external account binding for an e-mail address.
    pub(crate) eab_by_email: Option<String>,
}

/// One row of the table: what the operator types, and what it stands for.
struct Known {
    name: &'static str,
    directory: &'static str,
    limits: Limits,
    eab_by_email: Option<&'static str>,
}

/// A row of a CA that publishes no limits.
const fn known(name: &'static str, directory: &'static str) -> Known {
    Known { name, directory, limits: Limits::UNKNOWN, eab_by_email: None }
}

const KNOWN: &[Known] = &[
    Known {
        limits: Limits::LETS_ENCRYPT,
        ..known("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory")
    },
    Known {
        limits: Limits::LETS_ENCRYPT_STAGING,
        ..known("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory")
    },
    known("google", "https://dv.acme-v02.api.pki.goog/directory"),
    known("google-staging", "https://dv.acme-v02.test-api.pki.goog/directory"),
    Known {
        eab_by_email: Some("https://api.zerossl.com/acme/eab-credentials-email"),
        ..known("zerossl", "https://acme.zerossl.com/v2/DV90")
    },
    known("sslcom-ecc", "https://acme.ssl.com/sslcom-dv-ecc"),
    known("sslcom-rsa", "https://acme.ssl.com/sslcom-dv-rsa"),
    known("actalis", "https://acme-api.actalis.com/acme/directory"),
    known("sectigo", "https://acme.sectigo.com/v2/DV"),
    known("digicert", "https://one.digicert.com/mpki/api/v1/acme/v2/directory"),
    known("globalsign", "https://emea.acme.atlas.globalsign.com/directory"),
];

/// A CA whose service has ended, which may still stand in settings and habits.
#[derive(Debug)]
pub(crate) struct EndedCa {
    /// As it called itself.
    pub(crate) title: &'static str,
    /// The day of its last certificate.
    pub(crate) last_issued: &'static str,
    /// A CA of the table to use in its place.
    pub(crate) instead: &'static str,
    /// What its names began with, in this and other clients.
    prefix: &'static str,
    /// The domains its directories were at.
    domains: &'static [&'static str],
}

const ENDED: &[EndedCa] = &[EndedCa {
    title: "Buypass",
    last_issued: "2025-10-31",
    instead: "letsencrypt",
    prefix: "buypass",
    domains: &["buypass.com", "buypass.no"],
}];

impl EndedCa {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ENDED.iter().find(|ended| name.starts_with(ended.prefix))
    }

    pub(crate) fn at(directory: &str) -> Option<&'static Self> {
        let url = url::Url::parse(directory).ok()?;
        let host = url.host_str()?;
        let below = |domain: &&str| {
            host.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        ENDED.iter().find(|ended| ended.domains.iter().any(below))
    }
}

impl Endpoint {
    /// Finds a public CA by name; system roots are trusted for it.
    pub(crate) fn builtin(name: &str) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.name == name)?;
        Some(Self::new(known.name, known.directory))
    }

    /// A CA of which no more is given than where its directory is; what the table knows of it counts.
    pub(crate) fn new(name: &str, directory: &str) -> Self {
        let same = KNOWN.iter().find(|known| known.directory == directory);
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            roots: None,
            other_hosts: Vec::new(),
            limits: same.map_or(Limits::UNKNOWN, |known| known.limits),
            eab_by_email: same.and_then(|known| known.eab_by_email).map(str::to_owned),
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
            assert!(endpoint.eab_by_email.is_none_or(|url| url.starts_with("https://")), "{name}");
            assert!(EndedCa::named(name).is_none() && EndedCa::at(&endpoint.directory).is_none());
        }
        for ended in ENDED {
            assert!(Endpoint::builtin(ended.instead).is_some(), "{}", ended.title);
        }
    }

    #[test]
    fn ended_cas_are_known_by_name_and_url() {
        for name in ["buypass", "buypass.com", "buypass_test", "buypass-staging"] {
            assert_eq!(EndedCa::named(name).unwrap().title, "Buypass", "{name}");
        }
        let table = [
            ("https://api.buypass.com/acme/directory", true),
            ("https://API.buypass.com:443/", true),
            ("https://api.test4.buypass.no/acme/directory", true),
            ("https://notbuypass.com/acme", false),
            ("https://buypass.com.example/", false),
            ("https://ca.example/buypass.com", false),
            ("buypass.com", false),
        ];
        for (url, ended) in table {
            assert_eq!(EndedCa::at(url).is_some(), ended, "{url}");
        }
    }

    #[test]
    fn what_is_known_of_a_directory_counts_under_any_name() {
        let mine = Endpoint::new("mine", "https://acme.zerossl.com/v2/DV90");
        assert!(mine.eab_by_email.is_some());
        assert_eq!(Endpoint::new("x", "https://ca.example/").eab_by_email, None);
    }
}
