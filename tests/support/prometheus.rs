//! A real Prometheus that scrapes a `renew --loop` and goes by our rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Running, free_ports, tools, wait_for};

/// It looks every second, and its rules fire at once: none waits as it does in earnest.
pub struct Prometheus {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

/// The rules as they are committed.
pub fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus/acmeagent.rules.yml")
}

impl Prometheus {
    /// Scrapes at this port.
    pub fn scraping(scraped: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = fs::read_to_string(rules()).unwrap();
        let waits = |line: &&str| !line.trim_start().starts_with("for: ");
        let rules: Vec<&str> = rules.lines().filter(waits).collect();
        fs::write(folder.path().join("rules.yml"), rules.join("\n")).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: [rules.yml]\n\
             scrape_configs:\n  - job_name: acmeagent\n    static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let [port] = free_ports();
        let mut prometheus = Command::new(tools::find("prometheus").unwrap());
        prometheus.current_dir(folder.path()).arg("--config.file=prometheus.yml");
        prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        prometheus.args(["--storage.tsdb.path=data", "--log.level=error"]);
        let quiet = prometheus.stdin(Stdio::null()).stdout(Stdio::null());
        let process = Running(quiet.spawn().unwrap());
        let prometheus = Self { port, _process: process, _folder: folder };
        wait_for("Prometheus to be ready", || {
            let url = format!("http://127.0.0.1:{port}/-/ready");
            curl(&[&url]).is_some()
        });
        prometheus
    }

    /// The series an expression has now.
    #[track_caller]
    pub fn query(&self, expr: &str) -> Vec<Value> {
        let (url, expr) =
            (format!("http://127.0.0.1:{}/api/v1/query", self.port), format!("query={expr}"));
        let answer = curl(&["--get", "--data-urlencode", &expr, &url]);
        let answer = answer.unwrap_or_else(|| panic!("Prometheus does not take {expr}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// What fires now, as in `AcmeagentCertificateExpires warning`.
    pub fn firing(&self) -> BTreeSet<String> {
        let series = self.query("ALERTS{alertstate=\"firing\"}").into_iter();
        let label = |one: &Value, name: &str| one["metric"][name].as_str().unwrap().to_owned();
        series.map(|one| label(&one, "alertname") + " " + &label(&one, "severity")).collect()
    }
}

/// What an address answers, if it answers well.
fn curl(args: &[&str]) -> Option<String> {
    let output = Command::new("curl").args(["-sf", "--max-time", "5"]).args(args).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}
