//! lego 5, with its own configuration file where there are many certificates.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::client::{Client, Site, copies, copy_with};
use super::version_of;

pub struct Lego {
    program: PathBuf,
    site: Site,
    home: TempDir,
}

const EMAIL: &str = "bench@example.org";

impl Lego {
    pub fn new(program: PathBuf, site: &Site) -> Self {
        Self { program, site: site.clone(), home: tempfile::tempdir().unwrap() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LEGO_CA_CERTIFICATES", &self.site.tls_root);
        command
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.site.http_port)
    }

    /// A run over the certificates of a configuration file: their names, and what each certifies.
    fn over<'a>(&self, certificates: impl Iterator<Item = (String, &'a str)>) -> Command {
        let (storage, address, server) =
            (self.home.path().display(), self.address(), &self.site.directory);
        let mut text = format!(
            "storage: {storage}\n\
             servers:\n  pebble:\n    url: {server}\n\
             accounts:\n  {EMAIL}:\n    server: pebble\n    email: {EMAIL}\n    \
             acceptsTermsOfService: true\n\
             challenges:\n  http:\n    http:\n      address: {address}\n\
             certificates:\n"
        );
        for (name, domain) in certificates {
            write!(
                text,
                "  {name}:\n    challenge: http\n    account: {EMAIL}\n    domains: [{domain}]\n"
            )
            .unwrap();
        }
        let file = self.home.path().join("lego.yml");
        fs::write(&file, text).unwrap();
        let mut command = self.command();
        command.arg("--config").arg(file);
        command
    }
}

impl Client for Lego {
    fn name(&self) -> String {
        version_of(self)
    }

    fn version(&self) -> Command {
        let mut command = self.command();
        command.arg("--version");
        command
    }

    fn issue(&self, domain: &str) -> Command {
        let mut command = self.command();
        command.args(["run", "-a", "-m", EMAIL, "-s", &self.site.directory, "-d", domain]);
        command.args(["--http", "--http.address", &self.address(), "--path"]);
        command.arg(self.home.path());
        command
    }

    fn issue_all(&self, domains: &[String]) -> Vec<Command> {
        vec![self.over(domains.iter().map(|domain| (domain.clone(), domain.as_str())))]
    }

    fn pass_over(&self, domain: &str, count: usize) -> Option<Command> {
        let folder = self.home.path().join("certificates");
        for copy in copies(count) {
            for kind in ["crt", "issuer.crt", "key", "json"] {
                let place = |name: &str| folder.join(format!("{name}.{kind}"));
                let id = |name: &str| format!("\"id\": \"{name}\"");
                copy_with(&place(domain), &place(&copy), &id(domain), &id(&copy));
            }
        }
        Some(self.over(copies(count).map(|copy| (copy, domain))))
    }

    fn installed(&self) -> PathBuf {
        self.program.clone()
    }
}
