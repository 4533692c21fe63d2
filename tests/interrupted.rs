//! Runs that are cut off or asked to stop, and what comes after them.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;
use crate::support::{script, wait_for};

const NAME: &str = "a.example";

fn state(agent: &Agent, name: &str) -> Value {
    let document: Value = serde_json::from_str(&agent.read(&format!("state/{name}.json"))).unwrap();
    document["body"].clone()
}

#[test]
fn after_an_interrupted_switch_what_is_asked_for_is_done_as_well() {
    need!("openssl");
    let agent = Agent::embedded();
    let hook = agent.path("hook");
    script(&hook, "exit 0");
    let deploy = ["issue", "-d", NAME, "--deploy-hook", hook.to_str().unwrap()];
    let _ = agent.run(&deploy).exits(0);
    script(&hook, "kill -9 $PPID");
    let _ = agent.run(&["renew", "--force"]).exits(-1);
    assert_eq!(state(&agent, NAME)["intent"]["to"], 2, "cut off in the middle of the switch");
    script(&hook, "exit 0");
    let ran = agent.run(&["issue", "-d", NAME, "--key-type", "p384"]).exits(0);
    let _ = ran.says(&["interrupted switch to generation 2"]);
    assert_eq!(state(&agent, NAME)["confirmed"], 3);
    assert!(agent.read("certificates/a.example.toml").contains("p384"));
    agent.assert_live_pair(NAME);
}

#[test]
fn asked_to_stop_it_begins_nothing_more() {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    let (began, told) = (agent.path("began"), agent.path("told"));
    let words = "touch began\nuntil [ -e told ]; do sleep 0.01; done";
    let words = format!("cd {}\n{words}\nsleep 1", agent.home().display());
    script(&agent.path("hooks/pre/slow"), &words);
    let mut run = agent.spawn(&["renew", "--force", "--jobs", "1"]);
    wait_for("the pre hook", || began.exists());
    run.signal(Signal::SIGINT);
    fs::write(&told, "").unwrap();
    assert_eq!(run.0.wait().unwrap().code(), Some(3));
    assert_eq!(agent.issued(), 2);
    for name in ["a.example", "b.example"] {
        assert_eq!(state(&agent, name)["order"], Value::Null, "{name}");
        assert_eq!(state(&agent, name)["failures"], 0, "{name}: nobody's failure");
    }
}

#[test]
fn a_pre_hook_that_fails_runs_once_however_many_want_it() {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example", "c.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    let log = agent.path("log");
    script(&agent.path("hooks/pre/counts"), &format!("echo >> {}\nexit 1", log.display()));
    let _ = agent.run(&["renew", "--force"]).exits(3).says(&["not tried", "exit code 1"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), "\n");
}

#[test]
fn told_twice_to_stop_it_takes_its_programs_along() {
    let agent = Agent::embedded();
    let program = agent.path("dns");
    let number = agent.path("number");
    script(&program, &format!("echo $$ >{}\nexec sleep 600", number.display()));
    let dns = format!("exec:{}", program.display());
    let args = ["issue", "-d", NAME, "--dns", &dns, "--dns-propagation-timeout", "0s"];
    let run = agent.spawn(&args);
    let read = || fs::read_to_string(&number).unwrap_or_default();
    wait_for("the program", || read().ends_with('\n'));
    run.signal(Signal::SIGINT);
    wait_for("the second signal to be the last", || {
        run.signal(Signal::SIGINT);
        let stat = fs::read_to_string(format!("/proc/{}/stat", read().trim()));
        stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
    });
    run.ends().exits(3).says(&["stopped at once"]);
    let left = agent.read("state/dns/a.example.json");
    assert!(left.contains("_acme-challenge.a.example"), "{left}");
}
