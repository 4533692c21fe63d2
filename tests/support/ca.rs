//! `acmeagent drill ca`: our own CA as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::agent::Agent;
use super::{Running, free_ports};

pub struct Ca {
    pub directory: String,
    pub management: String,
    pub tls_root: PathBuf,
    pub issuing_root: PathBuf,
    /// Where it looks for answers.
    pub http_port: u16,
    pub tls_port: u16,
    home: Agent,
    _process: Running,
}

impl Ca {
    pub fn start() -> Self {
        let home = Agent::new();
        let [http_port, tls_port] = free_ports();
        let mut process = home.spawn(&[
            "--json",
            "drill",
            "ca",
            "--http-01-port",
            &http_port.to_string(),
            "--tls-alpn-01-port",
            &tls_port.to_string(),
        ]);
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON when ready");
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self {
            directory: text("directory"),
            management: text("management"),
            tls_root: text("tls_root").into(),
            issuing_root: text("issuing_root").into(),
            http_port,
            tls_port,
            home,
            _process: process,
        }
    }

    /// How many certificates it issued.
    pub fn issued(&self) -> usize {
        self.home.issued()
    }

    /// How many orders it was given for an identifier.
    pub fn orders(&self, identifier: &str) -> usize {
        let url = format!("{}/orders/{identifier}", self.management);
        let mut curl = Command::new("curl");
        curl.args(["-sf", "--max-time", "5", "--cacert"]).arg(&self.tls_root).arg(url);
        let answer: Value = serde_json::from_slice(&curl.output().unwrap().stdout).unwrap();
        answer["orders"].as_array().unwrap().len()
    }

    /// An agent that orders here, answering where this CA looks.
    pub fn agent(&self) -> Agent {
        Agent::ordering_at(&self.directory, &self.tls_root, self.http_port, self.tls_port)
    }
}
