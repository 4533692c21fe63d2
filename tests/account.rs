//! `account`, `revoke` and `delete`: what concerns the CA, and the end of things.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;

fn account(agent: &Agent, ca: &Ca, action: &str, more: &[&str]) -> Ran {
    let root = ca.tls_root.to_str().unwrap();
    let args = ["account", action, "--server", &ca.directory, "--ca-root", root];
    agent.run(&[&args[..], more].concat())
}

fn key_file(agent: &Agent) -> std::path::PathBuf {
    let ca = fs::read_dir(agent.path("accounts")).unwrap().next().unwrap().unwrap().path();
    fs::read_dir(ca).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn from_its_creation_to_its_end() {
    let ca = Ca::start();
    let agent = ca.agent();
    let ran = account(&agent, &ca, "show", &[]);
    assert_ne!(ran.code, 0, "there is none yet: {ran:?}");
    let _ = account(&agent, &ca, "register", &["--agree-tos", "-m", "ops@example.com"])
        .exits(0)
        .shows(&["status    valid", "mailto:ops@example.com"]);
    let key = key_file(&agent);
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o7777, 0o600);
    let (url, first) = (account(&agent, &ca, "show", &[]).exits(0), fs::read(&key).unwrap());
    let _ = account(&agent, &ca, "register", &["--agree-tos"]).exits(0);
    assert_eq!(fs::read(&key).unwrap(), first, "asked twice, it is found, not made");

    let _ = account(&agent, &ca, "rotate-key", &[]).exits(0).shows(&["replaced"]);
    assert_ne!(fs::read(&key).unwrap(), first);
    let after = account(&agent, &ca, "show", &[]).exits(0);
    assert_eq!(after.stdout, url.stdout, "the same account under another key");
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);

    let _ = account(&agent, &ca, "deactivate", &[]).exits(0).shows(&["closed for good"]);
    let ran = agent.run(&["renew", "--force"]);
    assert_ne!(ran.code, 0, "a closed account orders nothing: {ran:?}");
    assert!(ran.stderr.contains("live: generation 1"), "{ran:?}");
    assert_eq!(ca.issued(), 1);
}

#[test]
fn a_lost_key_is_not_replaced_behind_ones_back() {
    let ca = Ca::start();
    let agent = ca.agent();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    fs::remove_file(key_file(&agent)).unwrap();
    let ran = agent.run(&["renew", "--force"]).exits(2);
    let _ = ran.says(&["account key", "is missing", "account register"]);
    // Nor for another certificate, although that one never had anything from this CA.
    let ran = agent.run(&["issue", "-d", "b.example"]).exits(2);
    let _ = ran.says(&["account key", "is missing", "account register"]);
    assert_eq!(ca.issued(), 1);
}

/// Whatever became of the key file, no run makes another one in its place, and each says the way back.
#[test]
fn a_key_file_that_is_of_no_use() {
    let ca = Ca::start();
    let agent = ca.agent();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let file = key_file(&agent);
    let good = fs::read(&file).unwrap();
    let issue = ["issue", "-d", "a.example", "--force"];
    let runs = [&["renew", "--force"][..], &["renew", "a.example", "--force"], &issue];
    type Row<'a> = (Option<&'a [u8]>, u32, i32, &'a [&'a str]);
    let table: [Row<'_>; 5] = [
        (None, 0o600, 2, &["is missing", "from a copy", "account register"]),
        (Some(b""), 0o600, 10, &["is damaged", "from a copy", "account register"]),
        (Some(b"{\"url\": 7}"), 0o600, 10, &["is damaged", "from a copy", "account register"]),
        (Some(&good[..good.len() / 2]), 0o600, 10, &["is damaged", "from a copy"]),
        (Some(&good), 0o644, 11, &["mode 0644", "chmod"]),
    ];
    for (content, mode, code, says) in table {
        fs::remove_file(&file).unwrap();
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let before = agent.files();
        for args in runs {
            let ran = agent.run(args).exits(code).says(says);
            let _ = ran.says(&["live: generation 1", file.parent().unwrap().to_str().unwrap()]);
            assert_eq!(agent.files(), before, "{args:?}");
        }
        fs::write(&file, &good).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    assert_eq!((ca.issued(), ca.asked("a.example")), (1, 1));
    let _ = agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(ca.issued(), 2, "the key brought back, it goes on");
}

#[test]
fn revoked_and_replaced() {
    let agent = Agent::embedded();
    for (number, reason) in ["unspecified", "keyCompromise", "superseded"].into_iter().enumerate() {
        let name = format!("{number}.example");
        let _ = agent.run(&["issue", "-d", &name]).exits(0);
        let ran = agent.run(&["revoke", &name, "--reason", reason]).exits(0);
        let _ = ran.shows(&[&format!("generation 1 is revoked ({reason})"), "acmeagent renew"]);
        let status = agent.run(&["status", &name]).exits(0);
        let _ = status.shows(&["next run", "generation 1 is bad, to be replaced"]);
        let ran = agent.run(&["check", &name]).exits(2);
        assert!(ran.stdout.contains("marked bad"), "{ran:?}");
        let _ = agent.run(&["renew"]).exits(0).shows(&["issued generation 2"]);
        let _ = agent.run(&["check", &name]).exits(0);
    }
    let ran = agent.run(&["revoke", "0.example", "--reason", "boredom"]).exits(2);
    let _ = ran.says(&["boredom", "keyCompromise"]);
    let ran = agent.run(&["revoke", "0.example", "--generation", "7"]);
    assert!([2, 10].contains(&ran.code), "{ran:?}");
}

#[test]
fn deleted_with_everything() {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    let _ = agent.run(&["delete", "a.example"]).exits(0).shows(&["snapshots that hold it stay"]);
    let (_, document) = agent.json(&["status"]);
    let left = document["certificates"].as_array().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["name"], "b.example");
    let _ = agent.run(&["delete", "a.example"]).exits(2).says(&["no certificate named a.example"]);
    let _ = agent.run(&["renew"]).exits(0);
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0).shows(&["issued generation 1"]);
}

#[test]
fn showing_an_account_never_creates_one() {
    let agent = Agent::new();
    let show = ["account", "show", "--ca", "embedded"];
    let _ = agent.run(&show).exits(2).says(&["missing"]);
    let _ = agent.run(&["account", "register", "--ca", "embedded"]).exits(0);
    let _ = agent.run(&show).exits(0);
    // As an attempt leaves it that stored its key and got no further.
    let file = agent.path("accounts/embedded/default.json");
    let mut stored: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    stored["url"] = serde_json::Value::Null;
    fs::write(&file, stored.to_string()).unwrap();
    let _ = agent.run(&show).exits(2);
    let after: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(after, stored);
}
