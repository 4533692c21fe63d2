//! Private keys are never readable by others, not even for a moment, whatever the umask.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need;
use crate::support::agent::{Agent, Ran, within};

/// Runs the command under a shell that sets the umask.
fn under_umask(umask: &str, plain: &Command, tracer: &[&str]) -> Command {
    let mut command = within("sh", plain);
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).args(tracer);
    command.arg(plain.get_program()).args(plain.get_args());
    command
}

fn keys(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(keys(&path));
        } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("PRIVATE KEY")) {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_key_file_is_ours_alone() {
    for umask in ["000", "022", "777"] {
        let agent = Agent::embedded();
        for args in [&["issue", "-d", "a.example"][..], &["renew", "--force"]] {
            let command = agent.command(args);
            let _ = Ran::of(under_umask(umask, &command, &[]).output().unwrap()).exits(0);
        }
        let keys = keys(agent.home());
        assert!(keys.len() > 4, "keys of live, archive, account and CA: {keys:?}");
        for key in keys {
            let mode = fs::metadata(&key).unwrap().mode() & 0o7777;
            assert!([0o400, 0o600].contains(&mode), "umask {umask}: {} {mode:o}", key.display());
        }
        for file in ["fullchain.pem", "cert.pem"] {
            let mode = fs::metadata(agent.path("live/a.example").join(file)).unwrap().mode();
            assert_eq!(mode & 0o022, 0, "{file} {mode:o}");
        }
    }
}

/// Every open that may create, every chmod: none lets others read what holds a key.
#[test]
fn no_call_makes_a_key_wider() {
    need!("strace");
    let agent = Agent::embedded();
    let trace = agent.path("trace");
    let calls = "trace=open,openat,openat2,creat,mknod,mknodat,chmod,fchmod,fchmodat,umask";
    let tracer =
        ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-A", "-o", trace.to_str().unwrap()];
    for args in [&["issue", "-d", "a.example"][..], &["renew", "--force"]] {
        let command = agent.command(args);
        let _ = Ran::of(under_umask("000", &command, &tracer).output().unwrap()).exits(0);
    }
    let trace = fs::read_to_string(trace).unwrap();
    let home = agent.home().canonicalize().unwrap();
    let mut created = 0;
    for line in trace.lines().filter(|line| line.contains(home.to_str().unwrap())) {
        // Read-only opens cannot create; their mode is not given.
        if !(line.contains("O_CREAT") || line.contains("O_TMPFILE") || line.contains("chmod")) {
            continue;
        }
        created += usize::from(line.contains("O_CREAT"));
        let mode = mode_of(line).unwrap_or_else(|| panic!("no mode in {line}"));
        let is_key = ["privkey", ".key", "accounts/"].iter().any(|part| line.contains(part));
        assert!(!is_key || mode & 0o077 == 0, "{line}");
        assert!(mode & 0o022 == 0, "others could write: {line}");
    }
    assert!(created > 10, "the trace shows what was made:\n{trace}");
    assert!(trace.contains("privkey"), "the trace shows keys:\n{trace}");
}

/// The last octal number among the arguments of a call.
fn mode_of(line: &str) -> Option<u32> {
    let call = line.rsplit_once(") = ").or_else(|| line.rsplit_once(')')).map_or(line, |at| at.0);
    let mut numbers = call.split([',', ' ', '{', '}', '=', '(']).rev();
    numbers.find_map(|word| {
        let octal = word.strip_prefix('0')?;
        u32::from_str_radix(octal, 8).ok().or((word == "0").then_some(0))
    })
}
