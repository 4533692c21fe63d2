//! Deploy hooks that do their worst.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::hooked::Hooked;
use super::{tells_all, timed};
use crate::need;

/// Asserts that a hook that does this for the new generation only gets the old one back, soon.
fn goes_back(timeout: &str, evil: &str, says: &[&str], within: Duration) {
    need!("nginx", "openssl");
    let hooked = Hooked::new(timeout);
    let master = hooked.nginx.master();
    hooked.does(evil);
    let (ran, took) = timed(evil.lines().next().unwrap(), || hooked.renew());
    let ran = tells_all(ran.exits(6), 1).says(says);
    assert!(!ran.stderr.contains('\u{1b}') && ran.stderr.len() < 4096, "{}", ran.stderr.len());
    assert!(took < within, "{took:?}");
    assert_eq!(hooked.ran(), "21", "told of the new one, then of the old one");
    hooked.serves(1);
    assert_eq!((hooked.site.live(), hooked.nginx.master()), (1, master));
    hooked.goes_on_once_mended();
}

#[test]
fn hook_that_fails() {
    goes_back("30s", "echo no >&2; exit 1", &["ended with exit code 1", "it printed: no"], QUICK);
}

#[test]
fn hook_that_is_killed() {
    goes_back("30s", "kill -9 $$", &["was killed by SIGKILL"], QUICK);
}

#[test]
fn hook_that_hangs() {
    goes_back("5s", "sleep 1000", &["took longer than 5 s"], QUICK);
}

#[test]
fn hook_that_hangs_and_ignores_being_asked() {
    let evil = "trap '' TERM; while :; do sleep 1 || :; done";
    goes_back("5s", evil, &["took longer than 5 s"], Duration::from_secs(40));
}

#[test]
fn hook_that_prints_without_end() {
    let evil =
        "head -c 1073741824 /dev/zero | tr '\\0' x; printf '\\033[2J\\033]0;mine\\007'; exit 1";
    goes_back("60s", evil, &["ended with exit code 1", "\\u{1b}"], Duration::from_secs(90));
}

/// The worst that can be seen: the new one is served, and then its hook fails.
#[test]
fn hook_that_fails_when_the_new_one_is_served_already() {
    need!("nginx", "openssl");
    let hooked = Hooked::new("30s");
    let (seen, failed) = (hooked.site.agent.path("seen"), hooked.site.agent.path("failed"));
    let master = hooked.nginx.master();
    hooked.does(&format!(
        "kill -HUP {master}; while ! [ -e {seen:?} ]; do :; done; date +%s%N >{failed:?}; exit 1"
    ));
    let renewing = hooked.site.agent.spawn(&["renew", "--force"]);
    hooked.serves(2);
    fs::write(&seen, "").unwrap();
    hooked.serves(1);
    let back = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let failed: u64 = fs::read_to_string(&failed).unwrap().trim().parse().unwrap();
    let took = back - Duration::from_nanos(failed);
    println!("from the failure to the old one being seen again: {} ms", took.as_millis());
    assert!(took < Duration::from_secs(10), "{took:?}");
    let _ = tells_all(renewing.ends().exits(6), 1);
    hooked.goes_on_once_mended();
}

/// What it left behind keeps its output open, and nobody waits for that.
#[test]
fn hook_that_forks_twice() {
    need!("nginx", "openssl");
    for (end, code, ran) in [("exit 1", 6, "21"), ("", 0, "2")] {
        let hooked = Hooked::new("5s");
        let pid = hooked.site.agent.path("pid");
        hooked.does(&format!(
            "( setsid sh -c 'echo $$ >{pid:?}; exec sleep 300' & )\nwhile ! [ -s {pid:?} ]; do :; done; {end}"
        ));
        let (told, took) = timed("a hook that forks twice", || hooked.renew());
        // By the number it wrote down, while it is certainly its.
        let left = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        let is_left = kill(Pid::from_raw(left), Signal::SIGKILL).is_ok();
        let _ = told.exits(code);
        assert!(is_left && took < QUICK, "{took:?}");
        assert_eq!(hooked.ran(), ran);
        hooked.serves(if code == 0 { 2 } else { 1 });
    }
}

#[test]
fn hook_that_cannot_be_started() {
    need!("nginx", "openssl");
    for (is_there, says) in [(false, "does not exist"), (true, "may not be executed")] {
        let hooked = Hooked::new("30s");
        let hook = hooked.site.agent.path("hook");
        match is_there {
            true => fs::set_permissions(hook, fs::Permissions::from_mode(0o600)).unwrap(),
            false => fs::remove_file(hook).unwrap(),
        }
        let _ = tells_all(hooked.renew().exits(5), 1).says(&[says]);
        assert_eq!((hooked.site.live(), hooked.ran()), (1, String::new()));
        hooked.serves(1);
        hooked.goes_on_once_mended();
    }
}

/// Far less than any limit, however busy the machine.
const QUICK: Duration = Duration::from_secs(20);
