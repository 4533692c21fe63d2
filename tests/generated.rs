//! Man pages, completions, rules and dashboard in the repository are those the binary makes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::need;
use crate::support::agent::Agent;

const FILES: [(&[&str], &str); 6] = [
    (&["generate", "man"], "man/acmeagent.1"),
    (&["generate", "completions", "bash"], "completions/acmeagent.bash"),
    (&["generate", "completions", "zsh"], "completions/_acmeagent"),
    (&["generate", "completions", "fish"], "completions/acmeagent.fish"),
    (&["generate", "rules"], "packaging/prometheus/acmeagent.rules.yml"),
    (&["generate", "dashboard"], "packaging/grafana/acmeagent.json"),
];

/// The commands, as acmeagent(1) names their pages.
fn verbs() -> Vec<String> {
    let page = Agent::new().run(&["generate", "man"]).exits(0).stdout;
    let names = page.split("\\fBacmeagent\\-").skip(1);
    let names = names.filter_map(|rest| Some(rest.split_once("\\fR(1)")?.0.to_owned()));
    let verbs: Vec<String> = names.collect();
    assert!(verbs.len() > 10, "{verbs:?} of:\n{page}");
    verbs
}

fn repository(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
fn what_is_committed_is_what_is_generated() {
    let agent = Agent::new();
    for (args, file) in FILES {
        let made = agent.run(args).exits(0).stdout;
        let held = fs::read_to_string(repository(file)).unwrap_or_default();
        assert!(made == held, "{file} is stale; run: make generate");
    }
    for verb in verbs() {
        let (args, file) = (["generate", "man", &verb], format!("man/acmeagent-{verb}.1"));
        let made = agent.run(&args).exits(0).stdout;
        let held = fs::read_to_string(repository(&file)).unwrap_or_default();
        assert!(made == held, "{file} is stale; run: make generate");
    }
}

#[test]
fn a_page_of_no_command_is_refused() {
    Agent::new().run(&["generate", "man", "renw"]).exits(2).says(&["renw", "hint", "renew"]);
}

#[test]
fn mandoc_finds_nothing_to_say_of_any_page() {
    need!("mandoc");
    let pages = fs::read_dir(repository("man")).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = pages.collect();
    assert!(pages.len() > 15, "{pages:?}");
    let output = Command::new("mandoc").args(["-T", "lint"]).args(&pages).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
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
    for text in ["NAME", "EXIT STATUS", "acmeagent-issue(1)", "--home", "FILES", "ROLLED_BACK"] {
        assert!(page.contains(text), "{text:?} is not in the page:\n{page}");
    }
}

/// Lines, and what Tab is to offer for them in a home with the certificate `shop.example.com`.
const COMPLETED: [(&str, &str); 7] = [
    ("acmeagent ", "issue renew check rollback snapshot status revoke delete account"),
    ("acmeagent re", "renew revoke"),
    ("acmeagent issue --deploy", "--deploy-hook"),
    ("acmeagent snapshot ", "create list verify restore prune export"),
    ("acmeagent check --format ", "text json junit github prometheus"),
    ("acmeagent account ", "show register rotate-key deactivate dns-record"),
    ("acmeagent --home HOME rollback sho", "shop.example.com"),
];

/// The lines with a home in place of its word, in which that certificate is.
fn lines_to_complete(agent: &Agent) -> Vec<(String, &'static str)> {
    let name = ["issue", "-d", "127.0.0.1", "--cert-name", "shop.example.com"];
    let _ = agent.run(&name).exits(0);
    let home = agent.home().to_str().unwrap();
    COMPLETED.map(|(line, expected)| (line.replace("HOME", home), expected)).to_vec()
}

/// Where the program lies, for the shells to find it by its name.
fn path() -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_acmeagent")).parent().unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[track_caller]
fn offers(line: &str, expected: &str, offered: &str) {
    let offered: Vec<&str> = offered.split_whitespace().collect();
    for word in expected.split(' ') {
        assert!(offered.contains(&word), "{line:?} does not offer {word}: {offered:?}");
    }
}

/// In a real shell: what a newcomer gets by pressing Tab.
#[test]
fn bash_completes() {
    need!("bash");
    let script = repository("completions/acmeagent.bash");
    for (line, expected) in lines_to_complete(&Agent::embedded()) {
        let words: Vec<&str> = line.split(' ').collect();
        let last = words.len() - 1;
        let program = format!(
            "source {}; COMP_WORDS=({} {:?}); COMP_CWORD={last}; COMP_TYPE=9; \
             _clap_complete_acmeagent acmeagent {:?} {:?}; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words[..last].join(" "),
            words[last],
            words[last],
            words[last - 1],
        );
        let mut bash = Command::new("bash");
        let output = bash.env("PATH", path()).args(["--norc", "-c", &program]).output().unwrap();
        let reply = String::from_utf8(output.stdout).unwrap();
        offers(&line, expected, &reply);
    }
}

#[test]
fn fish_completes() {
    need!("fish");
    for (line, expected) in lines_to_complete(&Agent::embedded()) {
        let script = repository("completions/acmeagent.fish");
        let program = format!("source {}; complete -C {line:?}", script.display());
        let mut fish = Command::new("fish");
        let output = fish.env("PATH", path()).args(["-N", "-c", &program]).output().unwrap();
        let reply = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = reply.lines().filter_map(|line| line.split('\t').next()).collect();
        offers(&line, expected, &words.join(" "));
    }
}

#[test]
fn zsh_completes() {
    need!("zsh");
    let bin = Path::new(env!("CARGO_BIN_EXE_acmeagent")).parent().unwrap().to_owned();
    for (line, expected) in lines_to_complete(&Agent::embedded()) {
        let mut zsh = Command::new("zsh");
        zsh.arg("-f").arg(repository("tests/fixtures/complete.zsh")).arg(&bin);
        zsh.arg(repository("completions/_acmeagent")).args([&line, expected]);
        let output = zsh.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{line:?}: {output:?}");
    }
}

/// Every failure sends its reader to a heading that is there.
#[test]
fn each_exit_code_has_its_paragraph() {
    let agent = Agent::new();
    let page = fs::read_to_string(repository("man/acmeagent-recovery.7")).unwrap();
    let listed = agent.run(&["--help"]).exits(0).stdout;
    let (_, codes) = listed.split_once("Exit codes:\n").unwrap();
    let codes: Vec<_> = codes.lines().take_while(|line| line.starts_with("  ")).collect();
    assert_eq!(codes.len(), 12, "{listed}");
    for line in codes {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        assert!(page.contains(&format!(".SH {}\n", words.join(" "))), "no paragraph for {words:?}");
    }
    let _ =
        agent.run(&["renew", "nobody"]).exits(2).says(&["see: man acmeagent-recovery, 2 CONFIG"]);
}
