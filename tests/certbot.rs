//! Our CA is one for others too: certbot issues from it, and renews when it says so.

use std::path::Path;
use std::process::Command;

use chrono::{Duration, SecondsFormat, Utc};
use serde_json::json;
use tempfile::TempDir;

use crate::need;
use crate::support::agent::Ran;
use crate::support::ca::Ca;
use crate::support::tools::{self, openssl};

struct Certbot<'a> {
    ca: &'a Ca,
    folder: TempDir,
}

impl Certbot<'_> {
    fn run(&self, args: &[&str]) -> Ran {
        let mut certbot = Command::new(tools::find("certbot").unwrap());
        certbot.env("REQUESTS_CA_BUNDLE", &self.ca.tls_root).arg("--non-interactive");
        for (flag, below) in [("--config-dir", "c"), ("--work-dir", "w"), ("--logs-dir", "l")] {
            certbot.arg(flag).arg(self.folder.path().join(below));
        }
        Ran::of(certbot.args(args).output().unwrap())
    }

    fn archived(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join("c/archive/a.example").join(file)
    }
}

/// Says that the CA wants this certificate replaced now.
fn end_the_window(ca: &Ca, certificate: &Path) {
    let serial = openssl(&["x509", "-noout", "-serial", "-in"], certificate);
    let serial = serial.trim().trim_start_matches("serial=");
    let hours_ago =
        |hours| (Utc::now() - Duration::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let wish = json!({"serial": serial, "window": {"start": hours_ago(2), "end": hours_ago(1)}});
    let mut curl = Command::new("curl");
    curl.args(["-sf", "--max-time", "5", "-d", &wish.to_string(), "--cacert"]).arg(&ca.tls_root);
    let status = curl.arg(format!("{}/renewal-info", ca.management)).output().unwrap().status;
    assert!(status.success(), "the CA did not take the window");
}

#[test]
fn certbot_issues_and_renews_when_the_ca_says_so() {
    need!("certbot", "openssl", "curl");
    let ca = Ca::start();
    let certbot = Certbot { ca: &ca, folder: tempfile::tempdir().unwrap() };
    let port = ca.http_port.to_string();
    let mut issue = vec!["certonly", "--server", &ca.directory, "--agree-tos"];
    issue.extend(["--register-unsafely-without-email", "--standalone", "--http-01-port", &port]);
    issue.extend(["--http-01-address", "127.0.0.1", "-d", "a.example", "-d", "b.example"]);
    certbot.run(&issue).exits(0);

    let first = certbot.archived("cert1.pem");
    let names = openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in"], &first);
    assert!(names.contains("DNS:a.example, DNS:b.example"), "{names}");
    let root = ca.issuing_root.to_str().unwrap();
    let issuers = certbot.archived("chain1.pem");
    openssl(&["verify", "-CAfile", root, "-untrusted", issuers.to_str().unwrap()], &first);

    // Before certbot asks for the first time: it keeps the answer for hours.
    end_the_window(&ca, &first);
    let renewed = certbot.run(&["renew", "--no-random-sleep-on-renew"]).exits(0);
    let second = certbot.archived("cert2.pem");
    assert!(second.exists(), "nothing was renewed: {renewed:#?}");
    openssl(&["verify", "-CAfile", root, "-untrusted", issuers.to_str().unwrap()], &second);
    let idle = certbot.run(&["renew", "--no-random-sleep-on-renew"]).exits(0);
    assert!(!certbot.archived("cert3.pem").exists(), "its own window is not over: {idle:#?}");
}
