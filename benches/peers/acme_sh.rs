//! acme.sh.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::client::{Client, Site};
use super::version_of;

pub struct AcmeSh {
    program: PathBuf,
    site: Site,
    home: TempDir,
}

impl AcmeSh {
    pub fn new(program: PathBuf, site: &Site) -> Self {
        Self { program, site: site.clone(), home: tempfile::tempdir().unwrap() }
    }
}

impl Client for AcmeSh {
    fn name(&self) -> String {
        version_of(self)
    }

    fn version(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--version");
        command
    }

    fn issue(&self, domain: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(self.home.path()).args(["--issue", "--standalone"]);
        command.args(["--keylength", "ec-256", "--server", &self.site.directory, "-d", domain]);
        command.args(["--httpport", &self.site.http_port.to_string(), "--ca-bundle"]);
        command.arg(&self.site.tls_root);
        command
    }

    fn issue_all(&self, domains: &[String]) -> Vec<Command> {
        domains.iter().map(|domain| self.issue(domain)).collect()
    }

    fn pass_over(&self, _domain: &str, _count: usize) -> Option<Command> {
        None
    }

    fn installed(&self) -> PathBuf {
        self.program.clone()
    }
}
