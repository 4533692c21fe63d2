//! The agent.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::client::{Client, Site, copies, copy_folder, copy_with};
use crate::support::agent::Agent;

pub struct Ours {
    agent: Agent,
}

impl Ours {
    pub fn new(site: &Site) -> Self {
        let port = site.http_port.to_string();
        let root = site.tls_root.to_str().unwrap();
        let server = ["--server", site.directory.as_str(), "--ca-root", root, "--agree-tos"];
        Self { agent: Agent::new().with_ca(server).with_ca(["--http-01-port", port.as_str()]) }
    }

    pub fn renew(&self) -> Command {
        self.agent.command(&["renew"])
    }

    pub fn renew_at_once(&self, jobs: u32) -> Command {
        self.agent.command(&["renew", "--jobs", &jobs.to_string()])
    }

    /// The leaf of every certificate held.
    pub fn leaves(&self) -> Vec<String> {
        let live = fs::read_dir(self.agent.path("live")).unwrap();
        live.map(|dir| fs::read_to_string(dir.unwrap().path().join("cert.pem")).unwrap()).collect()
    }

    /// Puts another generation back into service.
    pub fn roll_back(&self, domain: &str, generation: u32) -> Command {
        self.agent.command(&["rollback", domain, "--to", &generation.to_string()])
    }

    /// Writes down of every certificate held that the CA wants to be asked about it again now.
    pub fn let_polls_fall_due(&self) {
        for entry in fs::read_dir(self.agent.path("state")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                state["body"]["ari"]["poll_at"] = json!("2000-01-01T00:00:00Z");
                let sum = digest(&SHA256, state["body"].to_string().as_bytes());
                state["sha256"] = json!(HEXLOWER.encode(sum.as_ref()));
                fs::write(&path, state.to_string()).unwrap();
            }
        }
        let index = self.agent.read("state/index");
        let due = index.lines().map(|line| match line.split_once(' ') {
            Some((head, name)) if head != "acmeagent-index" => format!("1 {name}\n"),
            _ => format!("{line}\n"),
        });
        fs::write(self.agent.path("state/index"), due.collect::<String>()).unwrap();
    }

    /// Makes the settings of `domain` those of another name.
    fn copy_settings(&self, domain: &str, copy: &str, identifier: &str) {
        let path = |name: &str| self.agent.path(&format!("certificates/{name}.toml"));
        copy_with(&path(domain), &path(copy), domain, identifier);
    }
}

impl Client for Ours {
    fn name(&self) -> String {
        format!("acmeagent {}", env!("CARGO_PKG_VERSION"))
    }

    fn version(&self) -> Command {
        self.agent.command(&["--version"])
    }

    fn issue(&self, domain: &str) -> Command {
        self.agent.command(&["issue", "-d", domain])
    }

    fn issue_all(&self, domains: &[String]) -> Vec<Command> {
        let first = fs::read_dir(self.agent.path("certificates")).unwrap().next().unwrap();
        let first = first.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        for domain in domains {
            self.copy_settings(&first, domain, domain);
        }
        vec![self.renew()]
    }

    fn pass_over(&self, domain: &str, count: usize) -> Option<Command> {
        let path = |folder: &str, name: &str| self.agent.path(&format!("{folder}/{name}"));
        for copy in copies(count) {
            self.copy_settings(domain, &copy, domain);
            copy_folder(&path("archive", domain), &path("archive", &copy), "", "");
            fs::create_dir(path("live", &copy)).unwrap();
            for file in fs::read_dir(path("archive", &copy).join("0001")).unwrap() {
                let file = file.unwrap();
                fs::hard_link(file.path(), path("live", &copy).join(file.file_name())).unwrap();
            }
            let state = |name: &str| path("state", &format!("{name}.json"));
            fs::copy(state(domain), state(&copy)).unwrap();
        }
        Some(self.renew())
    }

    fn installed(&self) -> PathBuf {
        env!("CARGO_BIN_EXE_acmeagent").into()
    }
}
