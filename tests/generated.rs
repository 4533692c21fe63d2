//! Man page and completions in the repository are those the binary makes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::need;
use crate::support::agent::Agent;

const FILES: [(&[&str], &str); 4] = [
    (&["generate", "man"], "man/acmeagent.1"),
    (&["generate", "completions", "bash"], "completions/acmeagent.bash"),
    (&["generate", "completions", "zsh"], "completions/_acmeagent"),
    (&["generate", "completions", "fish"], "completions/acmeagent.fish"),
];

fn repository(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
fn what_is_committed_is_what_is_generated() {
    let agent = Agent::new();
    for (args, file) in FILES {
        let made = agent.run(args).exits(0).stdout;
        let held = fs::read_to_string(repository(file)).unwrap_or_default();
        let how = format!("target/debug/acmeagent {} >{file}", args.join(" "));
        assert!(made == held, "{file} is stale; run: {how}");
    }
}

#[test]
fn the_man_page_reads_without_a_complaint() {
    need!("man");
    let mut man = Command::new("man");
    man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").env("MANROFFOPT", "-ww");
    man.args(["--warnings=w", "-l"]).arg(repository("man/acmeagent.1"));
    let output = man.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    for text in ["NAME", "EXIT STATUS", "acmeagent issue", "--deploy-hook", "FILES", "ROLLED_BACK"]
    {
        assert!(page.contains(text), "{text:?} is not in the page:\n{page}");
    }
}

/// In a real shell: what a newcomer gets by pressing Tab.
#[test]
fn bash_completes() {
    need!("bash");
    let script = repository("completions/acmeagent.bash");
    for (line, expected) in [
        ("acmeagent ", "issue renew check rollback snapshot status revoke delete account"),
        ("acmeagent re", "renew revoke"),
        ("acmeagent issue --dep", "--deploy-hook"),
        ("acmeagent snapshot ", "create list verify restore prune export"),
        ("acmeagent check --format ", "text json junit github prometheus"),
        ("acmeagent --home /x account ", "show register rotate-key deactivate dns-record"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let last = words.len() - 1;
        let program = format!(
            "source {}; COMP_WORDS=({} {:?}); COMP_CWORD={last}; _acmeagent acmeagent {:?} {:?}; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words[..last].join(" "),
            words[last],
            words[last],
            words[last - 1],
        );
        let output = Command::new("bash").args(["--norc", "-c", &program]).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        let reply = String::from_utf8(output.stdout).unwrap();
        let offered: Vec<&str> = reply.split_whitespace().collect();
        for word in expected.split(' ') {
            assert!(offered.contains(&word), "{line:?} does not offer {word}: {offered:?}");
        }
    }
}
