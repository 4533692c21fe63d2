//! `issue`: the first certificate, and what is wanted afterwards.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::need;
use crate::support::agent::{Agent, Ran};

/// The first command of the README, as typed.
#[test]
fn the_first_command_of_the_readme() {
    need!("openssl");
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_acmeagent"));
    command.current_dir(&folder).env_clear();
    command.args(["--home", "./try", "issue", "-d", "127.0.0.1", "--ca", "embedded"]);
    let home = folder.path().canonicalize().unwrap().join("try");
    let live = home.join("live/127.0.0.1");
    let _ = Ran::of(command.output().unwrap()).exits(0).shows(&[
        live.to_str().unwrap(),
        "160-hour `shortlived` certificate",
        "renewal    20",
        "the CA suggests",
        "trusted    by nobody",
        home.join("embedded-ca").to_str().unwrap(),
    ]);
    for file in ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"] {
        assert!(live.join(file).is_file(), "{file}");
    }
    openssl_accepts(&home.join("embedded-ca/root-1.pem"), &live);
}

#[track_caller]
fn openssl_accepts(root: &Path, live: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "127.0.0.1"]);
    openssl.arg("-CAfile").arg(root).arg("-untrusted").arg(live.join("chain.pem"));
    let output = openssl.arg(live.join("cert.pem")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn asked_again_it_orders_only_what_is_new() {
    need!("openssl");
    let agent = Agent::embedded();
    let issue = |more: &[&str]| {
        let args = [&["issue", "--cert-name", "site"], more].concat();
        let ran = agent.run(&args).exits(0);
        agent.assert_live_pair("site");
        (ran, agent.generations("site"))
    };
    assert_eq!(issue(&["-d", "a.example"]).1, 1);
    let (ran, generations) = issue(&["-d", "a.example"]);
    assert_eq!(generations, 1, "the same again: {ran:?}");
    assert!(ran.stdout.contains("nothing to do"), "{ran:?}");
    assert_eq!(issue(&["-d", "a.example,b.example"]).1, 2, "another name");
    assert_eq!(issue(&["-d", "b.example", "-d", "a.example"]).1, 2, "another order of the same");
    assert_eq!(issue(&["-d", "a.example,b.example", "--key-type", "p384"]).1, 3, "another key");
    assert_eq!(issue(&["-d", "a.example,b.example", "--post-hook", "/bin/true"]).1, 3, "a hook");
    assert!(agent.read("certificates/site.toml").contains("/bin/true"));
    assert_eq!(issue(&["-d", "a.example,b.example", "--force"]).1, 4, "by force");
}

#[test]
fn the_settings_file_is_the_operators() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let path = agent.path("certificates/a.example.toml");
    let edited = format!("# ours, since 2019\n{}", agent.read("certificates/a.example.toml"))
        .replace("key-type = \"p256\"", "key-type = \"p384\" # because of audit 7");
    std::fs::write(&path, edited).unwrap();

    let ran = agent.run(&["renew"]).exits(0);
    assert_eq!(agent.generations("a.example"), 2, "an edit takes effect by itself: {ran:?}");
    let _ = agent.run(&["issue", "-d", "a.example", "-d", "c.example"]).exits(0);
    let text = agent.read("certificates/a.example.toml");
    for kept in ["# ours, since 2019", "\"p384\" # because of audit 7", "c.example"] {
        assert!(text.contains(kept), "{kept:?} is lost:\n{text}");
    }
}

#[test]
fn names_of_every_kind() {
    need!("openssl");
    let agent = Agent::embedded();
    for (given, name, profile) in [
        ("a.example", "a.example", "classic"),
        ("BÜCHER.example", "xn--bcher-kva.example", "classic"),
        ("127.0.0.1", "127.0.0.1", "shortlived"),
        ("::1", "--1", "shortlived"),
    ] {
        let (ran, document) = agent.json(&["issue", "-d", given]);
        let ran = ran.exits(0);
        let line = &document["certificates"][0];
        let name = if given == "::1" { line["name"].as_str().unwrap() } else { name };
        assert_eq!((&line["name"], &line["profile"]), (&name.into(), &profile.into()), "{ran:?}");
        assert!(!name.starts_with('-') && !name.contains(':'), "{name}");
        agent.assert_live_pair(name);
    }
}

#[test]
fn tls_alpn_01_and_the_keys_one_may_ask_for() {
    need!("openssl");
    let agent = Agent::embedded();
    let args = ["issue", "-d", "a.example", "--challenge", "tls-alpn-01", "--key-type"];
    for (count, kind) in ["p256", "p384", "rsa2048"].into_iter().enumerate() {
        let _ = agent.run(&[&args[..], &[kind]].concat()).exits(0);
        assert_eq!(agent.generations("a.example"), count + 1, "{kind}");
        agent.assert_live_pair("a.example");
    }
}

#[test]
fn a_rehearsal_keeps_nothing() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example", "--dry-run"]).exits(0).shows(&["rehearsal"]);
    assert_eq!(agent.files(), Default::default());
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let before = agent.files();
    let _ = agent.run(&["renew", "--dry-run"]).exits(0).shows(&["rehearsal"]);
    let _ = agent.run(&["issue", "-d", "a.example,b.example", "--dry-run"]).exits(0);
    assert_eq!(agent.files(), before);
}
