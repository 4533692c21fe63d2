//! Hooks as real processes.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command as Program, Stdio};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;

use super::directory::DirectoryError;
use super::*;
use crate::model::name::{CertName, Identifier};

/// A directory with programs in it.
pub(crate) struct Programs(TempDir);

impl Programs {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a program by another process: a descriptor open for writing here could be inherited
    /// by a child of a neighbouring test just now, and the kernel runs no file open for writing.
    pub(crate) fn add(&self, name: &str, mode: &str, text: &str) -> Hook {
        let path = self.path(name);
        let mut install = Program::new("install")
            .args(["-m", mode, "/dev/stdin"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(install.wait().unwrap().success());
        Hook::at(&path)
    }

    pub(crate) fn script(&self, text: &str) -> Hook {
        self.add("hook", "755", &format!("#!/bin/sh\ncd '{}'\n{text}\n", self.0.path().display()))
    }

    /// Waits for a script to write its numbers, and reads them.
    async fn pids(&self, name: &str, count: usize) -> Vec<Pid> {
        let read = || {
            let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.map(|line| Pid::from_raw(line.trim().parse().unwrap())).collect::<Vec<_>>()
        };
        let written = until(|| (read().len() >= count).then(read));
        written.await.unwrap_or_else(|| panic!("{name} never held {count} numbers"))
    }
}

/// Asks again and again, for no more than ten seconds.
async fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..500 {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

/// Whether a process is gone, or dead and only waiting to be reaped by whoever inherited it.
fn is_gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    kill(pid, None) == Err(Errno::ESRCH) || matches!(state, None | Some('Z' | 'X'))
}

async fn all_gone(pids: &[Pid]) -> bool {
    until(|| pids.iter().all(|pid| is_gone(*pid)).then_some(())).await.is_some()
}

async fn run_bare(hook: &Hook) -> Result<HookReport, HookError> {
    run(hook, &HookEnv::new()).await
}

#[tokio::test]
async fn output_and_time_of_a_good_hook() {
    let programs = Programs::new();
    let hook = programs.script("echo one; echo two >&2; echo three; sleep 0.2");
    let report = run_bare(&hook).await.unwrap();
    assert_eq!(report.output, "one\ntwo\nthree\n");
    assert!(report.took >= Duration::from_millis(200) && report.took < Duration::from_secs(60));
}

#[tokio::test]
async fn arguments_are_passed_as_they_are() {
    let programs = Programs::new();
    programs.add("show", "755", "#!/bin/sh\nfor a in \"$@\"; do printf '<%s>' \"$a\"; done\n");
    let path = programs.path("show").display().to_string();
    let argv = [&path, "a b", "$(id)", "; rm x", "*", "", "'"].map(str::to_owned);
    let hook = Hook::from(&Command::new(argv.to_vec()).unwrap());
    assert_eq!(run_bare(&hook).await.unwrap().output, "<a b><$(id)><; rm x><*><><'>");
}

#[tokio::test]
async fn every_bad_end_has_its_own_error() {
    let programs = Programs::new();
    let error = run_bare(&programs.script("echo why; exit 3")).await.unwrap_err();
    assert!(matches!(&error, HookError::Exited { code: 3, output, .. } if output == "why\n"));
    assert_eq!((error.fault(), error.output()), (Fault::Passing, Some("why\n")));

    let error = run_bare(&programs.script("echo why; kill -9 $$")).await.unwrap_err();
    assert!(error.to_string().ends_with("hook was killed by SIGKILL"), "{error}");
    assert_eq!(error.output(), Some("why\n"));

    let error = run_bare(&Hook::at(&programs.path("absent"))).await.unwrap_err();
    assert!(matches!(error, HookError::Missing { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Permanent);

    let bare = Command::new(vec!["no-such-program".to_owned()]).unwrap();
    let error = run_bare(&Hook::from(&bare)).await.unwrap_err();
    assert!(matches!(error, HookError::Missing { .. }), "{error}");

    let hook = programs.add("plain", "644", "#!/bin/sh\n");
    let error = run_bare(&hook).await.unwrap_err();
    assert!(matches!(error, HookError::NotExecutable { .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("chmod +x /"));

    let hook = programs.add("orphan", "755", "#!/no/such/interpreter\n");
    let error = run_bare(&hook).await.unwrap_err();
    assert!(matches!(error, HookError::NoInterpreter { .. }), "{error}");

    let hook = programs.add("data", "755", "\x7fELF but not really");
    let error = run_bare(&hook).await.unwrap_err();
    assert!(matches!(error, HookError::NoInterpreter { .. }), "{error}");

    let error = run_bare(&Hook::at(programs.0.path())).await.unwrap_err();
    assert!(matches!(error, HookError::NotExecutable { .. }), "{error}");
}

#[tokio::test]
async fn the_environment_is_built_from_nothing() {
    // The parent's environment cannot be changed from within a test without `unsafe`, and need not
    // be: the test runner's own is full of variables, of which none may pass.
    assert!(std::env::vars_os().count() > 3);
    let cat = ["cat", "/proc/self/environ"].map(str::to_owned);
    let hook = Hook::from(&Command::new(cat.to_vec()).unwrap());
    let env = HookEnv::new()
        .certificate(&CertName::parse("a.example").unwrap(), Path::new("/live/a.example"))
        .renewed(&[Identifier::parse("a.example").unwrap()]);
    let report = run(&hook, &env).await.unwrap();
    let printed = report.output.replace("\\u{0}", "\n");
    let found: Vec<&str> = printed.lines().collect();
    let expected = [
        "ACMEAGENT_LIVE_DIR=/live/a.example",
        "ACMEAGENT_NAME=a.example",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "RENEWED_DOMAINS=a.example",
        "RENEWED_LINEAGE=/live/a.example",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn surroundings_are_bare() {
    let programs = Programs::new();
    let hook = programs.add(
        "look",
        "755",
        "#!/bin/sh\npwd\ncat\n[ $(ps -o pgid= -p $$) = $$ ] && echo leads\nls -l /proc/self/fd\n",
    );
    let output = run_bare(&hook).await.unwrap().output;
    assert!(output.starts_with("/\nleads\n"), "{output}");
    // Whatever the test runner itself was handed may be open; of ours, only the two ends are.
    let line = |number: &str| output.lines().find_map(|line| line.split_once(number));
    assert_eq!(line(" 0 -> ").unwrap().1, "/dev/null");
    let pipe = line(" 1 -> ").unwrap().1;
    assert_eq!(output.lines().filter(|line| line.ends_with(pipe)).count(), 2, "{output}");
}

#[tokio::test]
async fn endless_output_neither_blocks_nor_fills_memory() {
    let programs = Programs::new();
    let hook = programs.script("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo done");
    let output = run_bare(&hook).await.unwrap().output;
    assert!(output.len() < Tail::LIMIT + 100 && output.ends_with("xx\ndone\n"));
    assert!(output.starts_with("[999"), "{}", &output[..40]);
}

#[tokio::test]
async fn escape_codes_do_not_reach_the_terminal() {
    let programs = Programs::new();
    let hook = programs.script("printf '\\033[31mred\\007'; exit 1");
    let error = run_bare(&hook).await.unwrap_err();
    assert_eq!(error.output(), Some("\\u{1b}[31mred\\u{7}"));
}

#[tokio::test]
async fn a_hook_that_hangs_is_stopped_with_its_children() {
    let programs = Programs::new();
    let hook = programs.script("echo begun; sleep 1000 & echo $! >>pids; echo $$ >>pids; wait");
    let error = run_bare(&hook.within(Duration::from_secs(2))).await.unwrap_err();
    assert!(matches!(&error, HookError::TimedOut { output, .. } if output == "begun\n"), "{error}");
    assert!(all_gone(&programs.pids("pids", 2).await).await);
}

#[tokio::test]
async fn a_hook_that_ignores_term_is_killed_with_its_children() {
    let programs = Programs::new();
    let hook = programs.script(
        "trap '' TERM\n(while :; do sleep 0.1; done) & echo $! >>pids; echo $$ >>pids\n\
         while :; do sleep 0.1; done",
    );
    let hook = Hook { grace: Duration::from_millis(300), ..hook.within(Duration::from_secs(2)) };
    let error = run_bare(&hook).await.unwrap_err();
    assert!(matches!(error, HookError::TimedOut { .. }), "{error}");
    assert!(all_gone(&programs.pids("pids", 2).await).await);
}

#[tokio::test]
async fn a_hook_that_ends_well_at_term_leaves_no_child_behind() {
    let programs = Programs::new();
    let hook = programs.script(
        "(trap '' TERM; while :; do sleep 0.1; done) & echo $! >>pids\n\
         trap 'echo bye; exit 0' TERM; echo $$ >>pids; while :; do sleep 0.1; done",
    );
    let error = run_bare(&hook.within(Duration::from_secs(2))).await.unwrap_err();
    assert!(matches!(&error, HookError::TimedOut { output, .. } if output.ends_with("bye\n")));
    assert!(all_gone(&programs.pids("pids", 2).await).await);
}

#[tokio::test]
async fn a_daemon_that_holds_the_output_is_not_waited_for_and_lives() {
    let programs = Programs::new();
    let hook = programs.script("(sleep 1000 & echo $! >>pids); echo started");
    let report = run_bare(&hook).await.unwrap();
    assert_eq!(report.output, "started\n");
    assert!(report.took < Duration::from_secs(100));
    let daemon = programs.pids("pids", 1).await[0];
    assert!(!is_gone(daemon));
    kill(daemon, Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_daemon_that_prints_without_end_is_not_waited_for() {
    let programs = Programs::new();
    let hook = programs.script("(cat /dev/zero & echo $! >>pids); sleep 0.2");
    let report = run_bare(&hook).await.unwrap();
    assert!(report.took < Duration::from_secs(100));
    assert!(all_gone(&programs.pids("pids", 1).await).await, "it writes to nobody");
}

#[tokio::test]
async fn abandoning_a_hook_kills_its_group() {
    let programs = Programs::new();
    let hook =
        programs.script("trap '' TERM INT HUP; sleep 1000 & echo $! >>pids; echo $$ >>pids; wait");
    let env = HookEnv::new();
    let pids = tokio::select! {
        ended = run(&hook, &env) => panic!("{ended:?}"),
        pids = programs.pids("pids", 2) => pids,
    };
    assert!(all_gone(&pids).await);
}

#[tokio::test]
async fn captured_output_is_whole_and_errors_tell_nothing_of_it() {
    let programs = Programs::new();
    let env = HookEnv::new();
    let hook = programs.script("echo secret; echo noise >&2");
    assert_eq!(capture(&hook, &env).await.unwrap(), b"secret\n");

    let error = capture(&programs.script("echo secret; exit 1"), &env).await.unwrap_err();
    assert!(matches!(error, HookError::Exited { code: 1, .. }));
    assert!(!format!("{error:?} {error}").contains("secret"));

    let hook = programs.script("head -c 100000 /dev/zero");
    let error = capture(&hook, &env).await.unwrap_err();
    assert!(matches!(error, HookError::TooMuch { .. }), "{error}");
}

#[test]
fn a_directory_gives_its_programs_in_byte_order() {
    let programs = Programs::new();
    assert!(directory::directory(&programs.path("absent")).unwrap().is_empty());
    assert!(directory::directory(programs.0.path()).unwrap().is_empty());
    for name in ["b", "a", "Z", "10", "9", "é", "old~"] {
        programs.add(name, "755", "#!/bin/sh\n");
    }
    programs.add("README", "644", "text");
    std::os::unix::fs::symlink(programs.path("nowhere"), programs.path("dangling")).unwrap();
    std::os::unix::fs::symlink("/bin/true", programs.path("link")).unwrap();
    assert!(Program::new("mkdir").arg(programs.path("folder")).status().unwrap().success());
    let hooks = directory::directory(programs.0.path()).unwrap();
    let names = hooks.iter().map(|hook| Path::new(&hook.argv[0]).file_name().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["10", "9", "Z", "a", "b", "link", "é"]);
    assert!(hooks.iter().all(|hook| hook.limit == Hook::LIMIT));
}

#[test]
fn a_directory_that_others_may_write_is_refused() {
    let programs = Programs::new();
    let chmod = |mode: &str, path: &Path| {
        assert!(Program::new("chmod").arg(mode).arg(path).status().unwrap().success());
    };
    let check = || directory::directory(programs.0.path());

    programs.add("hook", "775", "#!/bin/sh\n");
    let error = check().unwrap_err();
    assert!(matches!(&error, DirectoryError::Mode { path, mode: 0o775 } if path.ends_with("hook")));
    assert!(error.hint().unwrap().starts_with("chmod go-w /"));
    chmod("757", &programs.path("hook"));
    assert!(matches!(check(), Err(DirectoryError::Mode { mode: 0o757, .. })));
    chmod("755", &programs.path("hook"));
    assert_eq!(check().unwrap().len(), 1);

    chmod("777", programs.0.path());
    assert!(matches!(check(), Err(DirectoryError::Mode { mode: 0o777, .. })));
    chmod("755", programs.0.path());

    let elsewhere = Programs::new();
    elsewhere.add("target", "777", "#!/bin/sh\n");
    std::os::unix::fs::symlink(elsewhere.path("target"), programs.path("link")).unwrap();
    assert!(matches!(check(), Err(DirectoryError::Mode { path, .. }) if path.ends_with("target")));
}

#[test]
fn programs_are_found_as_they_will_be() {
    let programs = Programs::new();
    programs.add("plain", "644", "#!/bin/sh\n");
    programs.add("good", "755", "#!/bin/sh\n");
    let at = |name: &str| programs.path(name).display().to_string();
    let table = [
        (at("good"), None),
        ("sh".to_owned(), None),
        (at("plain"), Some("may not be executed")),
        (at(""), Some("may not be executed")),
        (at("gone"), Some("does not exist")),
        ("no-such-program".to_owned(), Some("does not exist")),
    ];
    for (program, expected) in table {
        let hook = Hook::from(&Command::new(vec![program.clone()]).unwrap());
        let error = hook.check().err().map(|error| error.to_string());
        let ends = |end: &str| error.as_ref().is_some_and(|error| error.ends_with(end));
        assert_eq!(error.is_some(), expected.is_some(), "{program}");
        assert!(expected.is_none_or(ends), "{program} {error:?}");
    }
}

#[tokio::test]
async fn secrets_of_the_environment_are_masked_in_output_and_errors() {
    let programs = Programs::new();
    let env = HookEnv::new().secret("TOKEN", "hunter22");
    let hook = programs.script("echo \"token is $TOKEN\"; echo \"$TOKEN\" >&2");
    assert_eq!(run(&hook, &env).await.unwrap().output, "token is ***\n***\n");

    let error = run(&programs.script("echo \"$TOKEN\"; exit 1"), &env).await.unwrap_err();
    assert_eq!(error.output(), Some("***\n"));
    let hook = programs.script("echo \"$TOKEN\"; sleep 1000").within(Duration::from_secs(1));
    let error = run(&hook, &env).await.unwrap_err();
    assert!(matches!(&error, HookError::TimedOut { output, .. } if output == "***\n"), "{error}");
}

#[tokio::test]
async fn what_is_answered_and_what_is_said_are_kept_apart() {
    let programs = Programs::new();
    let env = HookEnv::new().secret("TOKEN", "hunter22");
    let hook = programs.script("echo \"id $TOKEN\"; echo \"said $TOKEN\" >&2");
    let (answer, report) = consult(&hook, &env).await.unwrap();
    assert_eq!((answer.as_slice(), report.output.as_str()), (&b"id hunter22\n"[..], "said ***\n"));

    let hook = programs.script("echo \"id $TOKEN\"; echo \"said $TOKEN\" >&2; exit 2");
    let error = consult(&hook, &env).await.unwrap_err();
    assert!(matches!(&error, HookError::Exited { code: 2, .. }), "{error}");
    assert_eq!(error.output(), Some("said ***\n"));

    let hook = programs.script("head -c 100000 /dev/zero & head -c 1000000 /dev/zero >&2; wait");
    let error = consult(&hook, &env).await.unwrap_err();
    assert!(matches!(error, HookError::TooMuch { .. }), "{error}");
}
