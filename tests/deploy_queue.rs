//! What becomes of a certificate when the operator's programs fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::agent::Agent;

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
    let renewed = agent.run(&["renew"]);
    assert_eq!(generations(&agent), 2, "a failing hook is no reason not to renew: {renewed:?}");
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
    let newer = fs::read_to_string(&path).unwrap().replace("\"schema\": 3", "\"schema\": 99");
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
