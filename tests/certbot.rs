//! Our CA is one for others too: certbot issues from it, and renews when it says so.
//!
//! Beside it, what becomes of its deploy hooks that fail or are not reached, and of ours.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{Duration, SecondsFormat, Utc};
use serde_json::json;
use tempfile::TempDir;

use crate::need;
use crate::support::agent::Ran;
use crate::support::ca::Ca;
use crate::support::tools::{self, openssl};
use crate::support::{Running, script};

struct Certbot<'a> {
    ca: &'a Ca,
    folder: TempDir,
}

impl Certbot<'_> {
    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut certbot = Command::new(tools::find("certbot").unwrap());
        certbot.env("REQUESTS_CA_BUNDLE", &self.ca.tls_root).arg("--non-interactive");
        for (flag, below) in [("--config-dir", "c"), ("--work-dir", "w"), ("--logs-dir", "l")] {
            certbot.arg(flag).arg(self.folder.path().join(below));
        }
        certbot.args(args);
        certbot
    }

    /// Gets a certificate for a.example, to be put to use by this program.
    fn issue(&self, hook: &str) -> Ran {
        let port = self.ca.http_port.to_string();
        let mut issue = vec!["certonly", "--server", &self.ca.directory, "--agree-tos"];
        issue.extend(["--register-unsafely-without-email", "--standalone", "--http-01-port"]);
        issue.extend([&port, "--http-01-address", "127.0.0.1", "-d", "a.example"]);
        issue.extend(["--deploy-hook", hook]);
        self.run(&issue)
    }

    fn renew(&self) -> Ran {
        self.run(&["renew", "--no-random-sleep-on-renew"])
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

/// A hook that counts how often it runs, and then does this.
fn counting(folder: &Path, then: &str) -> String {
    let path = folder.join("hook");
    script(&path, &format!("echo >>{:?}\n{then}", folder.join("ran")));
    path.to_str().unwrap().to_owned()
}

fn ran(folder: &Path) -> usize {
    fs::read_to_string(folder.join("ran")).map_or(0, |text| text.lines().count())
}

#[test]
fn certbot_takes_a_failed_deploy_hook_for_a_success() {
    need!("certbot", "openssl", "curl");
    let ca = Ca::start();
    let certbot = Certbot { ca: &ca, folder: tempfile::tempdir().unwrap() };
    let hook = counting(certbot.folder.path(), "exit 1");
    let _ = certbot.issue(&hook).exits(0);
    assert_eq!(ran(certbot.folder.path()), 1);
    let _ = certbot.renew().exits(0);
    assert_eq!(ran(certbot.folder.path()), 1, "it is never tried again");

    let agent = ca.agent();
    let folder = agent.home().to_owned();
    let hook = counting(&folder, "exit 1");
    let issue = ["issue", "-d", "a.example", "--http-01-address", "127.0.0.1", "--deploy-hook"];
    let _ = agent.run(&[&issue[..], &[&hook]].concat()).exits(5).says(&["ended with exit code 1"]);
    let issued = ca.issued();
    counting(&folder, "");
    let _ = agent.run(&["renew", "a.example"]).exits(0);
    assert_eq!((ran(&folder), ca.issued()), (2, issued), "ours is, without another order");
}

#[test]
fn certbot_that_is_killed_before_its_hook_never_runs_it() {
    need!("certbot", "openssl", "curl");
    let ca = Ca::start();
    let certbot = Certbot { ca: &ca, folder: tempfile::tempdir().unwrap() };
    let folder = certbot.folder.path();
    let _ = certbot.issue(&counting(folder, "")).exits(0);
    assert_eq!(ran(folder), 1);
    end_the_window(&ca, &certbot.archived("cert1.pem"));
    // The hooks of the directory come first: one of them is the power cut.
    let (cut, pid) = (folder.join("c/renewal-hooks/deploy/cut"), folder.join("pid"));
    script(&cut, &format!("while ! [ -s {pid:?} ]; do :; done; kill -9 $(cat {pid:?})"));
    let mut renew = certbot.command(&["renew", "--no-random-sleep-on-renew"]);
    let renewing = Running(renew.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    fs::write(&pid, renewing.0.id().to_string()).unwrap();
    let _ = renewing.ends().exits(-1);
    assert!(certbot.archived("cert2.pem").exists());
    fs::remove_file(cut).unwrap();
    let _ = certbot.renew().exits(0);
    assert_eq!(ran(folder), 1, "what uses the certificate is never told");

    let agent = ca.agent();
    let folder = agent.home().to_owned();
    let hook = counting(&folder, "");
    let issue = ["issue", "-d", "a.example", "--http-01-address", "127.0.0.1", "--deploy-hook"];
    let _ = agent.run(&[&issue[..], &[&hook]].concat()).exits(0);
    let cut = agent.path("hooks/deploy/cut");
    script(&cut, "kill -9 $PPID");
    let _ = agent.run(&["renew", "--force"]).exits(-1);
    assert_eq!(ran(&folder), 1);
    fs::remove_file(cut).unwrap();
    let issued = ca.issued();
    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!((ran(&folder), ca.issued()), (2, issued), "ours runs it, without another order");
}
