//! certbot, as pip installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::client::{Client, Site, copies, copy_folder, copy_with};
use super::version_of;

pub struct Certbot {
    program: PathBuf,
    site: Site,
    home: TempDir,
}

impl Certbot {
    pub fn new(program: PathBuf, site: &Site) -> Self {
        Self { program, site: site.clone(), home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("REQUESTS_CA_BUNDLE", &self.site.tls_root).args([verb, "-n"]);
        for (option, folder) in [("--config-dir", "c"), ("--work-dir", "w"), ("--logs-dir", "l")] {
            command.arg(option).arg(self.home.path().join(folder));
        }
        command
    }
}

impl Client for Certbot {
    fn name(&self) -> String {
        version_of(self)
    }

    fn version(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--version");
        command
    }

    fn issue(&self, domain: &str) -> Command {
        let mut command = self.command("certonly");
        command.args(["--standalone", "--agree-tos", "--register-unsafely-without-email"]);
        command.args(["--key-type", "ecdsa", "--server", &self.site.directory, "-d", domain]);
        command.args(["--http-01-port", &self.site.http_port.to_string()]);
        command
    }

    fn issue_all(&self, domains: &[String]) -> Vec<Command> {
        domains.iter().map(|domain| self.issue(domain)).collect()
    }

    fn pass_over(&self, domain: &str, count: usize) -> Option<Command> {
        let place = |folder: &str, name: &str| self.home.path().join("c").join(folder).join(name);
        let settings = |name: &str| place("renewal", &format!("{name}.conf"));
        for copy in copies(count) {
            copy_folder(&place("archive", domain), &place("archive", &copy), "", "");
            copy_folder(&place("live", domain), &place("live", &copy), domain, &copy);
            copy_with(&settings(domain), &settings(&copy), domain, &copy);
        }
        Some(self.command("renew"))
    }

    fn installed(&self) -> PathBuf {
        let program = self.program.canonicalize().unwrap();
        program.ancestors().nth(2).map(Path::to_owned).unwrap()
    }
}
