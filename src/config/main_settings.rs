//! What holds for the whole machine: `acmeagent.toml`.

use std::path::Path;

use url::Url;

use super::alert::AlertTable;
use super::cert::{self, CertSettings};
use super::choice::{self, AbsolutePath, CaChoice, CaName, Eab};
use super::dns::{DnsTable, NoDns};
use super::heartbeat::Heartbeat;
use super::metrics::Metrics;
use super::reader::{ConfigError, Section, Source};
use super::target::{NoTarget, TargetTable};
use super::{file, keys};
use crate::acme::Endpoint;
use crate::model::name::Identifier;
use crate::schedule::limits::Limits;

/// The machine's settings: defaults for new certificates, CAs beyond the built-in ones, and targets
/// and DNS providers of which more is to be said than their kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MainSettings {
    /// Without identifiers.
    defaults: CertSettings,
    cas: Vec<CaTable>,
    targets: Vec<TargetTable>,
    dns: Vec<DnsTable>,
    metrics: Metrics,
    heartbeat: Heartbeat,
    alerts: Vec<AlertTable>,
}

/// One `[[ca]]`: a private CA, or a built-in one with other particulars.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CaTable {
    pub(crate) name: CaName,
    pub(crate) directory: Url,
    /// The PEM file with the root of the CA's own TLS.
    pub(crate) root: Option<AbsolutePath>,
    /// The built-in CA whose limits this one has.
    pub(crate) limits: Option<Limits>,
    /// The URL that hands out a binding for an e-mail address.
    pub(crate) eab_by_email: Option<Url>,
    pub(crate) eab: Option<Eab>,
}

impl MainSettings {
    /// Reads the file's text; `path` is only for the messages.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source { path, text };
        let document = source.document()?;
        let root = Section::root(source, &document, &keys::MAIN)?;
        let defaults = CertSettings::read(&root.section("defaults", &keys::DEFAULTS)?)?;
        let mut cas: Vec<CaTable> = Vec::new();
        for section in root.sections("ca", &keys::CA)? {
            let ca = CaTable::read(&section)?;
            if cas.iter().any(|other| other.name == ca.name) {
                return Err(section.refuse("name", "another [[ca]] has that name"));
            }
            cas.push(ca);
        }
        let mut targets: Vec<TargetTable> = Vec::new();
        for section in root.sections("target", &keys::TARGET)? {
            let target = TargetTable::read(&section)?;
            if targets.iter().any(|other| other.name == target.name) {
                return Err(section.refuse("name", "another [[target]] has that name"));
            }
            targets.push(target);
        }
        let mut dns: Vec<DnsTable> = Vec::new();
        for section in root.sections("dns", &keys::DNS)? {
            let provider = DnsTable::read(&section)?;
            if dns.iter().any(|other| other.name == provider.name) {
                return Err(section.refuse("name", "another [[dns]] has that name"));
            }
            dns.push(provider);
        }
        let metrics = Metrics::read(&root.section("metrics", &keys::METRICS)?)?;
        let heartbeat = Heartbeat::read(&root.section("heartbeat", &keys::HEARTBEAT)?)?;
        let alerts = AlertTable::read_all(&root)?;
        Ok(Self { defaults, cas, targets, dns, metrics, heartbeat, alerts })
    }

    /// Reads the file at `path`; the built-in defaults if there is none.
    ///
    /// Refuses what [`CertSettings::load`] refuses.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let Some(found) = file::read_settings(path)? else { return Ok(Self::default()) };
        let settings = Self::parse(path, &found.text)?;
        if settings.holds_secret() {
            found.refuse_readers(path)?;
        }
        Ok(settings)
    }

    fn holds_secret(&self) -> bool {
        let mut eabs = self.cas.iter().filter_map(|ca| ca.eab.as_ref());
        self.defaults.holds_secret()
            || eabs.any(Eab::holds_secret)
            || self.heartbeat.holds_secret()
            || self.alerts.iter().any(AlertTable::holds_secret)
    }

    /// Makes the settings of a certificate that has none yet, from the defaults.
    pub(crate) fn new_certificate(&self, identifiers: Vec<Identifier>) -> CertSettings {
        CertSettings { identifiers, ..self.defaults.clone() }
    }

    /// Finds the `[[ca]]` of that name; the built-in table comes after it.
    pub(crate) fn ca(&self, name: &CaName) -> Option<&CaTable> {
        self.cas.iter().find(|ca| ca.name == *name)
    }

    /// Finds the `[[target]]` of that name.
    pub(crate) fn target(&self, name: &str) -> Result<&TargetTable, NoTarget> {
        let found = self.targets.iter().find(|target| target.name == name);
        found.ok_or_else(|| NoTarget::new(name, &self.targets))
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    pub(crate) fn alerts(&self) -> &[AlertTable] {
        &self.alerts
    }

    /// Finds the `[[dns]]` of that name.
    pub(crate) fn dns(&self, name: &str) -> Result<&DnsTable, NoDns> {
        let found = self.dns.iter().find(|provider| provider.name == name);
        found.ok_or_else(|| NoDns::new(name, &self.dns))
    }
}

impl CaTable {
    fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let name = section.parse("name", CaName::parse)?;
        let name = name.ok_or_else(|| section.missing("name"))?;
        if name.as_str() == CaChoice::EMBEDDED {
            return Err(section.refuse("name", "the CA inside the process has that name"));
        }
        let directory = section.parse("directory", choice::directory_url)?;
        Ok(Self {
            name,
            directory: directory.ok_or_else(|| section.missing("directory"))?,
            root: section.parse("root", AbsolutePath::parse)?,
            limits: section.parse("limits", parse_limits)?,
            eab_by_email: section.parse("eab-by-email", choice::eab_desk)?,
            eab: cert::read_eab(&section.section("eab", &keys::EAB)?)?,
        })
    }
}

/// Reads the name of a CA in the built-in table.
fn parse_limits(text: &str) -> Result<Limits, String> {
    let known = Endpoint::builtin(text).map(|endpoint| endpoint.limits);
    known.ok_or_else(|| "it must be the name of a built-in CA, as in \"letsencrypt\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::SecretSource;

    fn parse(text: &str) -> Result<MainSettings, ConfigError> {
        MainSettings::parse(Path::new("acmeagent.toml"), text)
    }

    #[test]
    fn defaults_and_cas() {
        let text = r#"
            [defaults]
            ca = ["corp", "letsencrypt"]
            email = "ops@example.com"
            [defaults.challenge]
            webroot = "/var/www/html"

            [[ca]]
            name = "corp"
            directory = "https://ca.corp.example/acme/acme/directory"
            root = "/etc/ssl/corp.pem"
            eab-by-email = "https://shop.corp.example/eab"
            [ca.eab]
            kid = "k1"
            hmac-key-credential = "corp-eab"

            [[ca]]
            name = "google"
            directory = "https://dv.acme-v02.api.pki.goog/directory"
        "#;
        let settings = parse(text).unwrap();
        let name = Identifier::parse("a.example").unwrap();
        let cert = settings.new_certificate(vec![name.clone()]);
        assert_eq!(cert.identifiers, [name]);
        assert_eq!(cert.email.unwrap().as_str(), "ops@example.com");
        assert_eq!(
            cert.cas.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["corp", "letsencrypt"]
        );
        let corp = settings.ca(&CaName::parse("corp").unwrap()).unwrap();
        assert_eq!(corp.root.as_ref().unwrap().as_str(), "/etc/ssl/corp.pem");
        let desk = corp.eab_by_email.as_ref().unwrap();
        assert_eq!(desk.as_str(), "https://shop.corp.example/eab");
        let eab = corp.eab.as_ref().unwrap();
        assert!(
            matches!(&eab.hmac_key, SecretSource::Credential(name) if name.as_str() == "corp-eab")
        );
        assert_eq!(settings.ca(&CaName::parse("google").unwrap()).unwrap().eab, None);
        assert_eq!(settings.ca(&CaName::parse("other").unwrap()), None);
        assert_eq!(parse("").unwrap(), MainSettings::default());
    }

    #[test]
    fn new_certificates_have_the_targets_and_waves_of_the_defaults() {
        let text = r#"
            [defaults]
            targets = ["web", "nginx"]
            [defaults.verify]
            attempts = 7
            [defaults.rollout]
            deadline = "6h"
            [[defaults.rollout.wave]]
            targets = ["web"]
            soak = "10m"

            [[target]]
            name = "web"
            kind = "nginx"
        "#;
        let settings = parse(text).unwrap();
        let cert = settings.new_certificate(vec![Identifier::parse("a.example").unwrap()]);
        assert_eq!(cert.check(), Ok(()));
        let written = cert.write_over(Path::new("a.toml"), None).unwrap();
        let tables = "\n[verify]\nattempts = 7\n\n[rollout]\ndeadline = \"6h\"\n\n\
                      [[rollout.wave]]\ntargets = [\"web\"]\nsoak = \"10m\"\n";
        assert!(written.contains("targets = [\"web\", \"nginx\"]\n"), "{written}");
        assert!(written.ends_with(tables), "{written}");
        assert_eq!(CertSettings::parse(Path::new("a.toml"), &written).unwrap(), cert);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("email = \"a@b.c\"", "1:1: unknown key `email`"),
            ("[defaults]\nidentifiers = [\"a\"]", "2:1: unknown key `defaults.identifiers`"),
            (
                "[defaults.challenge]\nwebrot = \"/x\"",
                "2:1: unknown key `defaults.challenge.webrot`",
            ),
            ("targets = [\"nginx\"]", "1:1: unknown key `targets`"),
            (
                "[defaults]\ntargets = [\"copy\"]",
                "2:12: `defaults.targets`: \"copy\" is not a valid",
            ),
            (
                "[defaults.verify]\nsample = 0",
                "2:10: `defaults.verify.sample`: it must be a number",
            ),
            (
                "[[defaults.rollout.wave]]\npercent = 0",
                "2:11: `defaults.rollout.wave.percent`: it must be a number from 1 to 100",
            ),
            (
                "[defaults.rollout.wave]\npercent = 5",
                "1:1: `defaults.rollout.wave`: each begins with a line of its own, [[defaults.rollo",
            ),
            ("[ca]\nname = \"x\"", "1:1: `ca`: each begins with a line of its own, [[ca]]"),
            ("[[ca]]\nname = \"x\"", "1:1: `ca.directory` is missing"),
            ("[[ca]]\ndirectory = \"https://x\"", "1:1: `ca.name` is missing"),
            (
                "[[ca]]\nname = \"embedded\"",
                "2:8: `ca.name`: the CA inside the process has that name",
            ),
            (
                "[[ca]]\nname = \"x\"\ndirectory = \"http://x\"",
                "3:13: `ca.directory`: \"http://x\" is",
            ),
            (
                "[[ca]]\nname = \"x\"\ndirectory = \"https://x\"\neab-by-email = \"http://x\"",
                "4:16: `ca.eab-by-email`: \"http://x\" is",
            ),
            (
                "[[ca]]\nname = \"x\"\ndirectory = \"https://x\"\n[[ca]]\nname = \"x\"\ndirectory = \"https://y\"",
                "5:8: `ca.name`: another [[ca]] has that name",
            ),
        ];
        for (text, part) in table {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("acmeagent.toml:{part}")), "{error}");
        }
        let error = parse("email = \"a@b.c\"").unwrap_err();
        assert_eq!(error.hint().unwrap(), "`email` belongs into [defaults]");
    }
}
