//! What is wanted of one certificate.

use std::path::Path;

use super::choice::{self, AbsolutePath, CaChoice, Eab, Email, Hooks, OnBadName, Permissions};
use super::dns::DnsSettings;
use super::keys::unknown_word;
use super::reader::{ConfigError, Node, Section, Source};
use super::secret::{self, Secret, SecretSource};
use super::target::TargetChoice;
use super::verify::Verify;
use super::{file, keys, rollout, writer};
use crate::acme::{MacAlgorithm, Profile};
use crate::certificate::KeyType;
use crate::challenge::Http01;
use crate::model::challenge::ChallengeKind;
use crate::model::name::Identifier;
use crate::schedule::rollout::Settings as Rollout;

mod contradiction;

pub(crate) use contradiction::Contradiction;

/// The settings of one certificate: `certificates/<name>.toml`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CertSettings {
    pub(crate) identifiers: Vec<Identifier>,
    /// In the order in which they are tried.
    pub(crate) cas: Vec<CaChoice>,
    /// The PEM file with the root of the CA's own TLS, where the system's roots do not do.
    pub(crate) ca_root: Option<AbsolutePath>,
    pub(crate) email: Option<Email>,
    pub(crate) profile: Option<Profile>,
    /// Common name of the topmost issuer of the chain that is chosen.
    pub(crate) preferred_chain: Option<String>,
    pub(crate) on_bad_name: OnBadName,
    pub(crate) key_type: KeyType,
    pub(crate) reuse_key: bool,
    /// In the order in which they are activated.
    pub(crate) targets: Vec<TargetChoice>,
    /// In the order in which they are tried.
    pub(crate) challenges: Vec<ChallengeKind>,
    pub(crate) http01: Http01,
    pub(crate) tls_alpn01_port: Option<u16>,
    pub(crate) dns: DnsSettings,
    pub(crate) hooks: Hooks,
    pub(crate) verify: Verify,
    pub(crate) rollout: Rollout,
    pub(crate) permissions: Permissions,
    pub(crate) eab: Option<Eab>,
}

impl Default for CertSettings {
    fn default() -> Self {
        Self {
            identifiers: Vec::new(),
            cas: vec![CaChoice::default()],
            ca_root: None,
            email: None,
            profile: None,
            preferred_chain: None,
            on_bad_name: OnBadName::default(),
            key_type: KeyType::default(),
            reuse_key: false,
            targets: Vec::new(),
            challenges: vec![ChallengeKind::Http01],
            http01: Http01::default(),
            tls_alpn01_port: None,
            dns: DnsSettings::default(),
            hooks: Hooks::default(),
            verify: Verify::default(),
            rollout: Rollout::default(),
            permissions: Permissions::default(),
            eab: None,
        }
    }
}

impl CertSettings {
    /// Reads a settings file; `path` is only for the messages.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source { path, text };
        let document = source.document()?;
        let root = Section::root(source, &document, &keys::CERT)?;
        let identifiers = root.parse_list("identifiers", Identifier::parse)?;
        let identifiers = identifiers.ok_or_else(|| root.missing("identifiers"))?;
        let settings = Self { identifiers, ..Self::read(&root)? };
        settings.check().map_err(|why| why.within(&root))?;
        Ok(settings)
    }

    /// Reads the file at `path`, with its text for [`Self::write_over`]; `None` if there is none.
    ///
    /// Refuses a file that others may write, and one that holds a literal secret and that others
    /// may read.
    pub(crate) fn load(path: &Path) -> Result<Option<(Self, String)>, ConfigError> {
        let Some(found) = file::read_settings(path)? else { return Ok(None) };
        let settings = Self::parse(path, &found.text)?;
        if settings.holds_secret() {
            found.refuse_readers(path)?;
        }
        Ok(Some((settings, found.text)))
    }

    /// Writes these settings over the text of a file, changing only the keys that differ: the
    /// operator's comments, order and spelling stay. `None` begins a new file.
    ///
    /// Fails as [`Self::parse`] does if `existing` is no valid settings file.
    pub(crate) fn write_over(
        &self,
        path: &Path,
        existing: Option<&str>,
    ) -> Result<String, ConfigError> {
        match existing {
            None => Ok(writer::begin(self)),
            Some(text) => Ok(writer::change(text, &Self::parse(path, text)?, self)),
        }
    }

    /// Says whether the file must not be readable by others (mode 0600).
    pub(crate) fn holds_secret(&self) -> bool {
        self.eab.as_ref().is_some_and(Eab::holds_secret)
    }

    /// Reads everything but the identifiers, which defaults do not have.
    pub(super) fn read(root: &Section<'_>) -> Result<Self, ConfigError> {
        let built_in = Self::default();
        let challenge = root.section("challenge", &keys::CHALLENGE)?;
        let tls_alpn01_port = challenge.value("tls-alpn-01-port")?;
        let reuse_key = root.value("reuse-key")?;
        Ok(Self {
            identifiers: Vec::new(),
            cas: root.parse_list("ca", CaChoice::parse)?.unwrap_or(built_in.cas),
            ca_root: root.parse("ca-root", AbsolutePath::parse)?,
            email: root.parse("email", Email::parse)?,
            profile: read_profile(root)?,
            preferred_chain: root.parse("preferred-chain", choice::phrase)?,
            on_bad_name: root.parse("on_bad_name", parse_on_bad_name)?.unwrap_or_default(),
            key_type: root.parse("key-type", parse_key_type)?.unwrap_or(built_in.key_type),
            reuse_key: reuse_key.map_or(Ok(built_in.reuse_key), |node| node.flag())?,
            targets: root.parse_list("targets", TargetChoice::parse)?.unwrap_or_default(),
            challenges: challenge
                .parse_list("types", parse_challenge)?
                .unwrap_or(built_in.challenges),
            http01: read_http01(&challenge)?,
            tls_alpn01_port: tls_alpn01_port.map(|node| node.port()).transpose()?,
            dns: DnsSettings::read(&challenge)?,
            hooks: read_hooks(&root.section("hooks", &keys::HOOKS)?)?,
            verify: Verify::read(&root.section("verify", &keys::VERIFY)?)?,
            rollout: rollout::read(root)?,
            permissions: read_permissions(&root.section("permissions", &keys::PERMISSIONS)?)?,
            eab: read_eab(&root.section("eab", &keys::EAB)?)?,
        })
    }
}

fn parse_key_type(text: &str) -> Result<KeyType, String> {
    KeyType::parse(text).ok_or_else(|| unknown_word(text, &KeyType::ALL.map(KeyType::as_str)))
}

fn parse_mac_algorithm(text: &str) -> Result<MacAlgorithm, String> {
    let named = MacAlgorithm::ALL.into_iter().find(|known| known.as_str() == text);
    named.ok_or_else(|| unknown_word(text, &MacAlgorithm::ALL.map(MacAlgorithm::as_str)))
}

fn parse_on_bad_name(text: &str) -> Result<OnBadName, String> {
    let named = OnBadName::ALL.into_iter().find(|known| known.as_str() == text);
    named.ok_or_else(|| unknown_word(text, &OnBadName::ALL.map(OnBadName::as_str)))
}

fn parse_challenge(text: &str) -> Result<ChallengeKind, String> {
    let known = ChallengeKind::ALL.map(ChallengeKind::as_str);
    ChallengeKind::parse(text).ok_or_else(|| unknown_word(text, &known))
}

fn read_profile(root: &Section<'_>) -> Result<Option<Profile>, ConfigError> {
    let preferred = root.parse("profile", choice::phrase)?;
    let required = root.parse("required-profile", choice::phrase)?;
    match (preferred, required) {
        (Some(_), Some(_)) => Err(root.refuse("profile", "give it or required-profile, not both")),
        (preferred, required) => {
            Ok(required.map(Profile::Required).or(preferred.map(Profile::Preferred)))
        }
    }
}

fn read_http01(challenge: &Section<'_>) -> Result<Http01, ConfigError> {
    let address = challenge.parse("http-01-address", str::parse)?;
    let port = challenge.value("http-01-port")?.map(|node| node.port()).transpose()?;
    match challenge.parse("webroot", AbsolutePath::parse)? {
        None => Ok(Http01::Standalone { address, port }),
        Some(webroot) if address.is_none() && port.is_none() => {
            Ok(Http01::Webroot(webroot.as_path().to_owned()))
        }
        Some(_) => {
            let why = "leave http-01-address and http-01-port out: the web server answers";
            Err(challenge.refuse("webroot", why))
        }
    }
}

fn read_hooks(hooks: &Section<'_>) -> Result<Hooks, ConfigError> {
    let read = |key| hooks.value(key)?.map_or(Ok(Vec::new()), |node| node.commands());
    Ok(Hooks { pre: read("pre")?, deploy: read("deploy")?, post: read("post")? })
}

fn read_permissions(section: &Section<'_>) -> Result<Permissions, ConfigError> {
    Ok(Permissions {
        owner: section.parse("owner", Permissions::parse_account)?,
        group: section.parse("group", Permissions::parse_account)?,
        mode: section.parse("mode", Permissions::parse_mode)?,
    })
}

/// Reads an `[eab]`; `None` if there is none.
pub(super) fn read_eab(section: &Section<'_>) -> Result<Option<Eab>, ConfigError> {
    if !section.is_there() {
        return Ok(None);
    }
    let kid = section.parse("kid", choice::phrase)?.ok_or_else(|| section.missing("kid"))?;
    let mut sources = secret::read_sources(section, "hmac-key")?;
    sources.extend(section.value("hmac-key")?.map(read_literal).transpose()?);
    let mut sources = sources.into_iter();
    match (sources.next(), sources.next()) {
        (Some(hmac_key), None) => {
            let alg = section.parse("alg", parse_mac_algorithm)?.unwrap_or_default();
            Ok(Some(Eab { kid, hmac_key, alg }))
        }
        (None, _) => Err(section.missing("hmac-key-file")),
        (Some(_), Some(_)) => Err(section.refuse("kid", "only one hmac-key may stand beside it")),
    }
}

fn read_literal(node: Node<'_>) -> Result<SecretSource, ConfigError> {
    let secret = Secret::new(node.text()?.to_owned());
    secret.map(SecretSource::Literal).ok_or_else(|| node.refuse("it is a secret of one word"))
}

#[cfg(test)]
mod tests;
