//! `snapshot`: copies of what is in service, and the way back from a loss.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;

fn two_certificates() -> Agent {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    agent
}

fn create(agent: &Agent) -> String {
    let (ran, document) = agent.json(&["snapshot", "create"]);
    let _ = ran.exits(0);
    document["snapshot"]["id"].as_str().unwrap().to_owned()
}

fn list(agent: &Agent) -> Vec<Value> {
    let (ran, document) = agent.json(&["snapshot", "list"]);
    let _ = ran.exits(0);
    document["snapshots"].as_array().unwrap().clone()
}

#[test]
fn what_was_lost_comes_back() {
    need!("openssl");
    let agent = two_certificates();
    let id = create(&agent);
    let served = agent.read("live/a.example/fullchain.pem");
    for lost in [&["archive/a.example"][..], &["archive/a.example", "live/a.example"]] {
        for folder in lost {
            fs::remove_dir_all(agent.path(folder)).unwrap();
        }
        let ran = agent.run(&["snapshot", "restore", &id, "a.example"]).exits(0);
        assert_eq!(agent.read("live/a.example/fullchain.pem"), served, "{lost:?}: {ran:?}");
        assert_eq!(agent.read("archive/a.example/0001/fullchain.pem"), served, "{lost:?}");
        agent.assert_live_pair("a.example");
        let _ = agent.run(&["check"]).exits(0);
    }
    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!(agent.issued(), 2, "nothing had to be ordered");
    let _ = agent.run(&["renew", "--force", "a.example"]).exits(0);
    agent.assert_live_pair("a.example");
}

/// Everything of a certificate is gone, its settings and state as well.
#[test]
fn a_deleted_certificate_comes_back_whole() {
    need!("openssl");
    let agent = two_certificates();
    let id = create(&agent);
    let (served, settings) =
        (agent.read("live/a.example/cert.pem"), agent.read("certificates/a.example.toml"));
    let _ = agent.run(&["delete", "a.example"]).exits(0);
    for gone in ["live", "archive", "state", "certificates"] {
        let left = fs::read_dir(agent.path(gone)).unwrap();
        let left = left.filter(|one| {
            one.as_ref().unwrap().file_name().to_string_lossy().contains("a.example")
        });
        assert_eq!(left.count(), 0, "{gone}");
    }
    let _ = agent.run(&["snapshot", "restore", &id, "a.example"]).exits(0);
    assert_eq!(agent.read("live/a.example/cert.pem"), served);
    assert_eq!(agent.read("certificates/a.example.toml"), settings);
    agent.assert_live_pair("a.example");
    let _ = agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(agent.issued(), 4);
}

/// Live, archive and snapshots are one file under several names: a change of one changes all.
#[test]
fn an_edit_in_place_is_named() {
    let agent = two_certificates();
    let id = create(&agent);
    let _ = agent.run(&["snapshot", "verify"]).exits(0);
    let _ = agent.run(&["check"]).exits(0);
    let path = agent.path("live/a.example/fullchain.pem");
    let mode = fs::metadata(&path).unwrap().permissions();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, agent.read("live/a.example/fullchain.pem") + "\n").unwrap();
    fs::set_permissions(&path, mode).unwrap();

    let ran = agent.run(&["snapshot", "verify", &id]).exits(10);
    let ran = ran.shows(&["fullchain.pem of a.example is changed"]);
    assert!(!ran.stdout.contains("b.example"), "{ran:?}");
    let (ran, document) = agent.json(&["snapshot", "verify", &id]);
    let _ = ran.exits(10);
    let [wrong] = document["mismatches"].as_array().unwrap().as_slice() else {
        panic!("{document}")
    };
    assert_eq!((&wrong["name"], &wrong["what"]), (&"a.example".into(), &"changed".into()));
    let ran = agent.run(&["check"]).exits(2);
    let ran = ran.shows(&["CRITICAL a.example", "fullchain.pem"]);
    assert!(!ran.stdout.contains("CRITICAL b.example"), "{ran:?}");
}

#[test]
fn taken_before_every_switch_and_pruned() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    for _ in 0..9 {
        let _ = agent.run(&["renew", "--force"]).exits(0);
    }
    let kept = list(&agent);
    assert_eq!(kept.len(), 7, "the newest seven are kept");
    assert!(kept.last().unwrap()["reason"].as_str().unwrap().contains("generation 10"), "{kept:?}");
    let (ran, document) = agent.json(&["snapshot", "prune", "--keep", "2"]);
    let _ = ran.exits(0);
    assert_eq!(document["removed"].as_array().unwrap().len(), 5);
    assert_eq!(list(&agent), kept[5..]);
    let _ = agent.run(&["snapshot", "verify"]).exits(0);
    let _ = agent.run(&["snapshot", "prune", "--keep", "0"]).exits(0);
    assert_eq!(list(&agent), [] as [Value; 0]);
}

#[test]
fn exported_as_a_tar_archive() {
    need!("tar", "openssl");
    let agent = two_certificates();
    let id = create(&agent);
    let target = agent.path("copy.tar");
    let export = || agent.run(&["snapshot", "export", &id, target.to_str().unwrap()]);
    let _ = export().exits(0).shows(&["it holds private keys"]);
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o600);
    let listed = Command::new("tar").arg("tf").arg(&target).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    for name in ["a.example", "b.example"] {
        for file in ["fullchain.pem", "privkey.pem"] {
            let held = |line: &str| line.contains(name) && line.ends_with(file);
            assert!(listed.lines().any(held), "{file} of {name}: {listed}");
        }
    }
    let written = fs::read(&target).unwrap();
    let ran = export().exits(10);
    assert!(ran.stderr.contains("copy.tar"), "{ran:?}");
    assert_eq!(fs::read(&target).unwrap(), written, "an existing file is not touched");
    unpacked_keys_are_private(&target);
}

fn unpacked_keys_are_private(tar: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar").arg("xf").arg(tar).arg("-C").arg(folder.path()).status();
    assert!(unpacked.unwrap().success());
    let found = Command::new("find").arg(folder.path()).args(["-name", "privkey.pem"]).output();
    let found = String::from_utf8(found.unwrap().stdout).unwrap();
    assert!(found.lines().count() >= 2, "{found}");
    for key in found.lines() {
        assert_eq!(fs::metadata(key).unwrap().mode() & 0o077, 0, "{key}");
    }
}

#[test]
fn of_what_does_not_exist() {
    let agent = two_certificates();
    let before = agent.files();
    let unknown = "20200101T000000Z-abcdefgh";
    for args in [
        &["snapshot", "restore", unknown][..],
        &["snapshot", "verify", unknown],
        &["snapshot", "export", unknown, "/nowhere"],
        &["snapshot", "restore", "../../etc"],
        &["snapshot", "create", "c.example"],
        &["rollback", "a.example", "--snapshot", unknown],
    ] {
        let ran = agent.run(args).exits(2);
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {ran:?}");
    }
    let _ = agent.run(&["snapshot", "restore", unknown]).says(&["there is no snapshot", unknown]);
    assert_eq!(agent.files(), before);
}
