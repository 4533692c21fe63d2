//! What becomes of a certificate when the operator's programs fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::wait_for;

const NAME: &str = "127.0.0.1";

/// A deploy hook that ends with the code in a file.
struct Hook<'a>(&'a Agent);

impl<'a> Hook<'a> {
    fn ending(agent: &'a Agent, code: u8) -> Self {
        let hook = Self(agent);
        let text = format!("#!/bin/sh\nexit $(cat {})\n", agent.path("code").display());
        fs::write(hook.path(), text).unwrap();
        fs::set_permissions(hook.path(), fs::Permissions::from_mode(0o755)).unwrap();
        hook.ends(code);
        hook
    }

    fn ends(&self, code: u8) {
        fs::write(self.0.path("code"), code.to_string()).unwrap();
    }

    fn path(&self) -> String {
        self.0.path("hook").display().to_string()
    }
}

fn state(agent: &Agent) -> Value {
    let document: Value = serde_json::from_str(&agent.read(&format!("state/{NAME}.json"))).unwrap();
    document["body"].clone()
}

fn generations(agent: &Agent) -> usize {
    fs::read_dir(agent.path(&format!("archive/{NAME}"))).unwrap().count()
}

/// Makes the next `renew` want another certificate.
fn want_another_key(agent: &Agent) {
    let settings = agent.read(&format!("certificates/{NAME}.toml"));
    // As an editor does it: the index looks at the directory only.
    let edited = agent.path("edited.toml");
    fs::write(&edited, settings.replace("p256", "p384")).unwrap();
    fs::rename(edited, agent.path(&format!("certificates/{NAME}.toml"))).unwrap();
}

fn issued(agent: &Agent, code: i32) {
    let hook = agent.path("hook").display().to_string();
    let args = ["issue", "-d", NAME, "--ca", "embedded", "--key-type", "p256", "--deploy-hook"];
    let _ = agent.run(&[args.as_slice(), &[hook.as_str()]].concat()).exits(code);
}

#[test]
fn a_first_certificate_no_hook_takes_waits_and_is_renewed_all_the_same() {
    let agent = Agent::new();
    let hook = Hook::ending(&agent, 1);
    issued(&agent, 5);
    assert_eq!(state(&agent)["intent"], Value::Null, "the switch is over");
    assert_eq!(state(&agent)["confirmed"], 1);
    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!(state(&agent)["deploy_queue"][0]["attempts"], 1, "not before its time");
    want_another_key(&agent);
    let _ = agent.run(&["renew"]);
    assert_eq!(generations(&agent), 2, "a failing hook is no reason not to renew");
    hook.ends(0);
    let _ = agent.run(&["renew", NAME]).exits(0);
    assert_eq!(state(&agent)["deploy_queue"], Value::Array(Vec::new()));
    agent.assert_live_pair(NAME);
}

#[test]
fn a_hook_that_always_fails_costs_one_order() {
    let agent = Agent::new();
    let hook = Hook::ending(&agent, 0);
    issued(&agent, 0);
    hook.ends(1);
    want_another_key(&agent);
    let _ = agent.run(&["renew"]).exits(9);
    for _ in 0..3 {
        let _ = agent.run(&["renew"]);
    }
    assert_eq!(generations(&agent), 2);
    assert_eq!(state(&agent)["bad"], Value::Array(Vec::new()), "the certificate is good");
    hook.ends(0);
    let _ = agent.run(&["renew", NAME]).exits(0);
    assert_eq!(state(&agent)["confirmed"], 2);
    agent.assert_live_pair(NAME);
}

#[test]
fn what_is_live_survives_an_issue_that_fails_without_settings() {
    let agent = Agent::new();
    let _hook = Hook::ending(&agent, 0);
    issued(&agent, 0);
    fs::remove_file(agent.path(&format!("certificates/{NAME}.toml"))).unwrap();
    let path = agent.path(&format!("state/{NAME}.json"));
    let newer = fs::read_to_string(&path).unwrap().replace("\"schema\": 1", "\"schema\": 99");
    fs::write(&path, newer).unwrap();
    let _ = agent.run(&["issue", "-d", NAME, "--ca", "embedded"]).exits(2).says(&["newer version"]);
    agent.assert_live_pair(NAME);
    assert_eq!(generations(&agent), 1);
}

#[test]
fn letting_go_of_a_pin_ends_with_the_post_hooks() {
    let agent = Agent::new();
    let _hook = Hook::ending(&agent, 0);
    issued(&agent, 0);
    let _ = agent.run(&["renew", "--force", NAME]).exits(0);
    let _ = agent.run(&["rollback", NAME]).exits(0);
    want_another_key(&agent);
    let post = agent.path("hooks/post/told");
    fs::write(&post, format!("#!/bin/sh\ntouch {}\n", agent.path("told").display())).unwrap();
    fs::set_permissions(&post, fs::Permissions::from_mode(0o755)).unwrap();
    let _ = agent.run(&["rollback", NAME, "--unpin"]).exits(0);
    assert!(agent.path("told").exists());
    assert_eq!(state(&agent)["pin"], Value::Null);
}

#[test]
fn a_pre_hook_runs_once_however_many_want_it() {
    let agent = Agent::new();
    for name in ["a", "b", "c"] {
        let args = ["issue", "-d", NAME, "--ca", "embedded", "--cert-name", name];
        let _ = agent.run(&args).exits(0);
    }
    let (pre, count) = (agent.path("hooks/pre/counts"), agent.path("count"));
    let text = format!("#!/bin/sh\necho >> {}\nexit 1\n", count.display());
    fs::write(&pre, text).unwrap();
    fs::set_permissions(&pre, fs::Permissions::from_mode(0o755)).unwrap();
    let _ =
        agent.run(&["renew", "--force"]).exits(3).says(&["not tried", "ended with exit code 1"]);
    assert_eq!(fs::read_to_string(&count).unwrap(), "\n");
}

#[test]
fn an_expired_generation_is_put_back_by_force_alone() {
    need!("faketime");
    let agent = Agent::new();
    let _hook = Hook::ending(&agent, 0);
    issued(&agent, 0);
    let _ = agent.run(&["renew", "--force", NAME]).exits(0);
    let in_a_week = |args: &[&str]| {
        let mut command = Command::new("faketime");
        command.args(["+7 days", env!("CARGO_BIN_EXE_acmeagent"), "--home"]);
        Ran::of(command.arg(agent.home()).args(args).output().unwrap())
    };
    let _ = in_a_week(&["rollback", NAME]).exits(11).says(&["expired", "--force"]);
    let _ = in_a_week(&["rollback", NAME, "--force"]).exits(0);
    assert_eq!(state(&agent)["confirmed"], 1);
    assert_eq!(state(&agent)["pin"]["generation"], 1);
}

#[test]
fn after_an_interrupted_switch_what_is_asked_for_is_done_as_well() {
    let agent = Agent::new();
    let _hook = Hook::ending(&agent, 0);
    issued(&agent, 0);
    fs::write(agent.path("hook"), "#!/bin/sh\nkill -9 $PPID\n").unwrap();
    let _ = agent.run(&["renew", "--force"]).exits(-1);
    assert_eq!(state(&agent)["intent"]["to"], 2, "cut off in the middle of the switch");
    let _hook = Hook::ending(&agent, 0);
    let args = ["issue", "-d", NAME, "--key-type", "p384"];
    let _ = agent.run(&args).exits(0).says(&["interrupted switch to generation 2"]);
    assert_eq!(state(&agent)["confirmed"], 3);
    assert!(agent.read(&format!("certificates/{NAME}.toml")).contains("p384"));
    agent.assert_live_pair(NAME);
}

#[test]
fn asked_to_stop_it_begins_nothing_more() {
    let agent = Agent::new();
    for name in ["a", "b"] {
        let args = ["issue", "-d", NAME, "--ca", "embedded", "--cert-name", name];
        let _ = agent.run(&args).exits(0);
    }
    let (pre, began) = (agent.path("hooks/pre/slow"), agent.path("began"));
    fs::write(&pre, format!("#!/bin/sh\ntouch {}\nsleep 1\n", began.display())).unwrap();
    fs::set_permissions(&pre, fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = agent.spawn(&["renew", "--force", "--jobs", "1"]);
    wait_for("the pre hook", || began.exists());
    let pid = run.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(run.0.wait().unwrap().code(), Some(3));
    for name in ["a", "b"] {
        let state: Value =
            serde_json::from_str(&agent.read(&format!("state/{name}.json"))).unwrap();
        assert_eq!(state["body"]["order"], Value::Null, "{name}");
        assert_eq!(state["body"]["failures"], 0, "{name}: nobody's failure");
    }
}
