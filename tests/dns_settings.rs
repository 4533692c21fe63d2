//! DNS providers from flags to settings to programs, and what a run left in the DNS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::pebble::{Pebble, Settings};
use crate::support::script;

const NAME: &str = "a.example";

/// A provider's program that keeps a log of what it was told.
struct Program {
    path: PathBuf,
    log: PathBuf,
}

impl Program {
    /// `more` runs after each call was logged.
    fn new(agent: &Agent, more: &str) -> Self {
        let (path, log) = (agent.path("dns-program"), agent.path("dns-log"));
        let program = Self { path, log };
        program.becomes(more);
        program
    }

    fn becomes(&self, more: &str) {
        script(&self.path, &format!("echo \"$1 $2 $3\" >>{}\n{more}", self.log.display()));
    }

    fn flag(&self) -> String {
        format!("exec:{}", self.path.display())
    }

    /// Each call's action, name and value.
    fn calls(&self) -> Vec<[String; 3]> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let words = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            words.try_into().unwrap()
        };
        log.lines().map(words).collect()
    }
}

/// Runs `issue` for a name that is proved by the DNS, asking no name server.
fn issue(agent: &Agent, more: &[&str]) -> Ran {
    let args = ["issue", "-d", "a.example,*.a.example", "--dns-propagation-timeout", "0s"];
    agent.run(&[&args[..], more].concat())
}

#[test]
fn what_cannot_be_is_refused_before_anybody_is_asked() {
    let table: [(&[&str], &[&str]); 12] = [
        (&["--challenge", "dns-01"], &["dns-01 needs a DNS provider", "--dns PROVIDER"]),
        (&["--challenge", "dns-account-01"], &["dns-account-01 needs", "--dns PROVIDER"]),
        (&["--dns", "nobody"], &["no [[dns]] named nobody", "hint: known are rfc2136"]),
        (&["--dns", "clodflare"], &["no [[dns]] named clodflare", "did you mean cloudflare?"]),
        (&["--dns", "exce:/opt/dns"], &["\"exce\" is unknown; did you mean \"exec\"?"]),
        (&["--dns", "httpreq:http://dns.example/"], &["must begin with https://"]),
        (&["--dns", "exec:/opt/dns", "--dns", "exec: /opt/dns"], &["is listed twice"]),
        (&["--manual-cleanup-hook", "/x"], &["no auth hook", "--manual-auth-hook COMMAND"]),
        (&["--manual-auth-hook", "a | b"], &["needs a shell"]),
        (&["--dns", "rfc2136", "--challenge", "http-01"], &["http-01 needs no DNS provider"]),
        (&["--dns-credentials", "/x"], &["but no DNS provider", "hint: add --dns PROVIDER"]),
        (&["--dns", "rfc2136", "--dns-propagation-timeout", "61m"], &["at most 1h"]),
    ];
    for (flags, says) in table {
        let agent = Agent::embedded();
        let ran = agent.run(&[&["issue", "-d", "x.example"][..], flags].concat());
        let _ = ran.exits(2).says(says);
        assert!(agent.files().is_empty(), "{flags:?} left something: {:?}", agent.files().keys());
    }
}

#[test]
fn credentials_are_read_with_care() {
    let agent = Agent::embedded();
    let program = Program::new(&agent, "");
    let credentials = agent.path("dns.toml");
    let with = |text: &str, mode| {
        fs::write(&credentials, text).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(mode)).unwrap();
        let path = credentials.to_str().unwrap();
        issue(&agent, &["--dns", &program.flag(), "--dns-credentials", path])
    };
    let path = credentials.display().to_string();
    let ran = with("TOKEN = \"hunter2\"\n", 0o644).exits(11);
    let _ = ran.says(&[&path, "has mode 0644: others may read it", "hint: chmod 600 "]);
    let ran = with("A = \"x\"\nTOKEN = hunter2\n", 0o600).exits(2);
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    let _ = ran.says(&[&path, "line 2"]);
    fs::remove_file(&credentials).unwrap();
    let flags = ["--dns", &program.flag(), "--dns-credentials", &path];
    let _ = issue(&agent, &flags).exits(2).says(&[&path, "does not exist"]);
    let ran = issue(&agent, &["--dns", "cloudflare"]).exits(2);
    let _ = ran.says(&["no credentials are given for cloudflare", "hint: add --dns-credentials"]);
    let ran = issue(&agent, &["--dns", "acme.sh:dns_no"]).exits(2);
    let _ = ran.says(&["dns_no.sh cannot be used: it is in none of", "acme.sh:/PATH/dns_NAME.sh"]);
    assert!(program.calls().is_empty(), "{:?}", program.calls());
    assert_eq!(agent.issued(), 0);
}

/// A certificate is held, so nothing is ordered, and what is wrong would be found by a renewal.
#[test]
fn a_change_of_provider_is_refused_where_its_credentials_are() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    let before = agent.read("certificates/a.example.toml");
    let path = agent.path("dns.toml");
    let dns = ["--dns", "rfc2136", "--dns-credentials", path.to_str().unwrap()];
    let change = |exit: i32, says: &[&str]| {
        let args = [&["issue", "-d", NAME][..], &dns].concat();
        let _ = agent.run(&args).exits(exit).says(says);
        assert_eq!(agent.read("certificates/a.example.toml"), before);
    };
    change(2, &["dns.toml does not exist"]);
    fs::write(&path, "key = 'acme'\nsekret = 'aHVudGVyMg=='\n").unwrap();
    change(11, &["others may read it"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    change(2, &["dns.toml: `sekret` is unknown; did you mean `secret`?"]);
}

#[test]
fn flags_become_settings_and_renewals_need_none() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let url = format!("http://127.0.0.1:{}", pebble.dns_control);
    let told = format!(
        "case $1 in add) curl -sf -d '{{\"host\":\"'\"$2\"'.\",\"value\":\"'\"$3\"'\"}}' {url}/set-txt;; esac"
    );
    let program = Program::new(&agent, &told);
    // The server keeps one value for a name: so the names are apart.
    let names = ["issue", "-d", "a.example,*.b.example", "--dns-propagation-timeout", "0s"];
    let _ = agent.run(&[&names[..], &["--dns", &program.flag()]].concat()).exits(0);
    let settings = agent.read("certificates/a.example.toml");
    let dns = format!("dns = [\"{}\"]\ndns-propagation-timeout = \"0s\"\n", program.flag());
    assert!(settings.contains("types = [\"dns-01\"]\n"), "{settings}");
    assert!(settings.contains(&dns), "{settings}");
    let calls = program.calls();
    let count = |action: &str| calls.iter().filter(|call| call[0] == action).count();
    // The first is the trial before the order.
    assert_eq!((count("add"), count("remove")), (3, 3), "{calls:?}");
    for call in calls.iter().filter(|call| call[0] == "add") {
        let [_, name, value] = call;
        let removed = ["remove".to_owned(), name.clone(), value.clone()];
        assert!(calls.contains(&removed), "{calls:?}");
    }
    assert!(!agent.path("state/dns/a.example.json").exists());
    // Told to reuse no authorization, Pebble does so once in a hundred all the same: of two names one
    // is proven anew.
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let calls = program.calls().len();
    assert!(calls > 6, "{:?}", program.calls());
    let _ = agent.run(&["issue", "-d", NAME, "--challenge", "http-01"]).exits(0);
    assert_eq!(program.calls().len(), calls, "{:?}", program.calls());
}

#[test]
fn what_a_killed_run_left_in_the_dns_is_removed_by_the_next() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl", "faketime");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let program = Program::new(&agent, "kill -9 $PPID");
    let flags = ["--dns", &program.flag()];
    let _ = issue(&agent, &flags).exits(-1);
    let added = program.calls();
    let [_, name, value] = &added[0];
    assert_eq!((added.len(), name.as_str()), (1, "_acme-challenge.a.example"));
    let left = agent.read("state/dns/a.example.json");
    assert!(left.contains(value.as_str()), "{left}");

    // It fails: the record is told of, and kept in mind.
    program.becomes("exit 1");
    let ran = agent.run(&["renew"]).exits(0);
    let _ = ran.says(&[
        "_acme-challenge.a.example TXT",
        value,
        "may still be in the DNS",
        "exit code 1",
    ]);
    assert_eq!(agent.read("state/dns/a.example.json"), left);

    // It works again: removed are the very values that were remembered, though no settings are left.
    program.becomes("");
    let before = program.calls().len();
    let ran = agent.run(&["renew"]).exits(0);
    let _ = ran.says(&["removed _acme-challenge.a.example TXT", value]);
    let removed = program.calls().split_off(before);
    assert!(!removed.is_empty() && removed.iter().all(|call| call[0] == "remove"), "{removed:?}");
    let same = ["remove".to_owned(), name.clone(), value.clone()];
    assert!(removed.contains(&same), "{removed:?}");
    assert!(!agent.path("state/dns/a.example.json").exists());
    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!(program.calls().len(), before + removed.len(), "nothing is removed twice");

    // For a month in vain: it is the operator's.
    program.becomes("kill -9 $PPID");
    let _ = issue(&agent, &flags).exits(-1);
    fs::remove_file(&program.path).unwrap();
    let ran = agent.run_at("+29 days", &["renew"]).exits(0);
    let _ = ran.says(&["may still be in the DNS", "does not exist"]);
    let ran = agent.run_at("+31 days", &["renew"]).exits(0);
    let _ = ran.says(&["_acme-challenge.a.example TXT", "to be removed from the DNS by hand"]);
    assert!(!agent.path("state/dns/a.example.json").exists());
}
