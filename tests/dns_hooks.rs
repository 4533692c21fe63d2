//! The programs of `hooks/dns`, as they are run: one edits a real BIND.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::need;
use super::support::agent::Ran;
use super::support::{Running, free_ports, tools, wait_for};

const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/hooks/dns");
/// What a shell is given to run a script of acme.sh.
const CALLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/challenge/dns01/acme_sh.sh");

fn shipped() -> Vec<PathBuf> {
    let programs: Vec<PathBuf> =
        fs::read_dir(HOOKS).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(programs.len(), 2);
    programs
}

#[test]
fn shipped_dns_hooks_say_what_they_need() {
    for program in shipped() {
        let name = program.file_name().unwrap().to_str().unwrap();
        let run = |argument: &str| Command::new(&program).arg(argument).env_clear().output();
        let usage = format!("usage: {name} [--");
        let _ = Ran::of(run("--help").unwrap()).exits(0).shows(&[&usage, "Needs "]);
        let _ = Ran::of(run("--nonsense").unwrap()).exits(1).says(&[name, "see --help"]);
    }
}

#[test]
fn shipped_dns_hooks_are_sound_shell() {
    need!("shellcheck");
    let mut check = Command::new("shellcheck");
    let checked = check.arg("--shell=sh").args(shipped()).arg(CALLER).output().unwrap();
    let _ = Ran::of(checked).exits(0);
}

#[test]
fn nsupdate_edits_a_zone_of_bind() {
    need!("named", "nsupdate", "dig", "tsig-keygen");
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let [port] = free_ports();
    let keys = ["good", "bad"].map(|file| key(home, file));
    let config = format!(
        "include \"{0}/good\";\noptions {{ directory \"{0}\"; pid-file none; lock-file none; \
         session-keyfile \"{0}/session\"; recursion no; listen-on-v6 {{ none; }}; \
         listen-on port {port} {{ 127.0.0.1; }}; }};\ncontrols {{ }};\n\
         zone \"example.com\" {{ type primary; file \"zone\"; check-integrity no; \
         update-policy {{ grant hook zonesub TXT; }}; }};\n",
        home.display()
    );
    fs::write(home.join("named.conf"), config).unwrap();
    let zone = "$TTL 1\n@ SOA ns1 admin 1 60 60 60 1\n@ NS ns1\nns1 A 127.0.0.1\n";
    fs::write(home.join("zone"), zone).unwrap();
    let mut named = Command::new(tools::find("named").unwrap());
    named.args(["-f", "-n", "1", "-c"]).arg(home.join("named.conf"));
    let _named = Running(named.arg("-L").arg(home.join("log")).spawn().unwrap());
    wait_for("named to answer", || {
        fs::read_to_string(home.join("log")).is_ok_and(|log| log.contains("running"))
    });

    let name = "_acme-challenge.example.com";
    let port = port.to_string();
    let told = |key: &Path, words: [&str; 2]| {
        let mut hook = Command::new(format!("{HOOKS}/nsupdate"));
        hook.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("NSUPDATE_KEY", key);
        hook.env("NSUPDATE_SERVER", "127.0.0.1").env("NSUPDATE_PORT", &port);
        Ran::of(hook.args([words[0], name, words[1]]).output().unwrap())
    };
    let served = || {
        let mut dig = Command::new("dig");
        let asked = dig.args(["+short", "@127.0.0.1", "-p", &port, "TXT", name]).output().unwrap();
        let text = String::from_utf8(asked.stdout).unwrap();
        let mut values: Vec<String> = text.lines().map(|line| line.replace('"', "")).collect();
        values.sort();
        values
    };
    for value in ["-first", "second", "second"] {
        let _ = told(&keys[0], ["add", value]).exits(0);
    }
    assert_eq!(served(), ["-first", "second"]);
    for _ in 0..2 {
        let _ = told(&keys[0], ["remove", "-first"]).exits(0);
        assert_eq!(served(), ["second"]);
    }
    let _ = told(&keys[1], ["add", "third"]).exits(2).says(&["BADSIG"]);
    let _ = told(&keys[0], ["add", "\"; send\nquit"]).exits(1).says(&["base64url"]);
    assert_eq!(served(), ["second"]);
}

/// A key of the name `hook`, another one each time.
fn key(home: &Path, file: &str) -> PathBuf {
    let made = Command::new("tsig-keygen").args(["-a", "hmac-sha256", "hook"]).output().unwrap();
    let path = home.join(file);
    fs::write(&path, made.stdout).unwrap();
    path
}
