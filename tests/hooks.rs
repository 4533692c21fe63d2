//! Hooks: what runs when, what it is told, and what its failure means.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::{script, wait_for};

const NAME: &str = "a.example";

/// A hook that writes a line into `log`, after whatever else `body` does.
fn logging(agent: &Agent, path: &str, body: &str, line: &str) -> String {
    let path = agent.path(path);
    let log = agent.path("log");
    script(&path, &format!("{body}\necho \"{line}\" >> {}", log.display()));
    path.to_str().unwrap().to_owned()
}

fn log(agent: &Agent) -> Vec<String> {
    let text = fs::read_to_string(agent.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn certbots_environment_and_nothing_of_ours() {
    let agent = Agent::embedded();
    let out = agent.path("environment");
    let hook = agent.path("hook");
    script(&hook, &format!("env > {}\nls \"$RENEWED_LINEAGE\" >> {0}\npwd >> {0}", out.display()));
    let mut command = agent.command(&["issue", "-d", "a.example", "-d", "b.example"]);
    command.env("SECRET_OF_THE_CALLER", "x").env("LD_LIBRARY_PATH", "/nowhere");
    command.arg("--deploy-hook").arg(format!("{} with 'two words'", hook.display()));
    let _ = Ran::of(command.output().unwrap()).exits(0);
    let told = fs::read_to_string(out).unwrap();
    let live = agent.path("live/a.example");
    for line in [
        format!("RENEWED_LINEAGE={}", live.display()),
        "RENEWED_DOMAINS=a.example b.example".to_owned(),
        "ACMEAGENT_NAME=a.example".to_owned(),
        "ACMEAGENT_GENERATION=1".to_owned(),
        format!("ACMEAGENT_JSON={}", live.join("meta.json").display()),
        "fullchain.pem".to_owned(),
        "privkey.pem".to_owned(),
        "cert.pem".to_owned(),
        "chain.pem".to_owned(),
        "/".to_owned(),
    ] {
        assert!(told.lines().any(|one| one == line), "{line:?} is not in\n{told}");
    }
    for foreign in ["SECRET_OF_THE_CALLER", "LD_LIBRARY_PATH", "ACMEAGENT_HOME"] {
        assert!(!told.contains(foreign), "{foreign} leaked:\n{told}");
    }
}

#[test]
fn in_byte_order_and_once_per_run() {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example", "c.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    for file in ["9-last", "10-first", "_after-digits", "ignored~"] {
        for kind in ["pre", "deploy", "post"] {
            let line = format!("{kind} {file} ${{ACMEAGENT_NAME:-}}");
            logging(&agent, &format!("hooks/{kind}/{file}"), "", line.trim_end());
        }
    }
    let own = logging(&agent, "own", "", "post own [${RENEWED_DOMAINS:-}] [${FAILED_DOMAINS:-}]");
    let _ = agent.run(&["issue", "-d", "a.example", "--post-hook", &own]).exits(0);
    assert_eq!(log(&agent), [] as [&str; 0], "nothing was ordered");

    let _ = agent.run(&["renew", "--force", "--jobs", "1"]).exits(0);
    let ran = log(&agent);
    let kind = |kind: &str| ran.iter().filter(|line| line.starts_with(kind)).collect::<Vec<_>>();
    assert_eq!(kind("pre"), ["pre 10-first ", "pre 9-last ", "pre _after-digits "]);
    let deployed: Vec<String> = ["a.example", "b.example", "c.example"]
        .iter()
        .flat_map(|name| {
            ["10-first", "9-last", "_after-digits"].map(|f| format!("deploy {f} {name}"))
        })
        .collect();
    assert_eq!(kind("deploy").into_iter().cloned().collect::<Vec<_>>(), deployed);
    assert_eq!(
        kind("post"),
        [
            "post 10-first ",
            "post 9-last ",
            "post _after-digits ",
            "post own [a.example b.example c.example] []"
        ]
    );
    assert!(ran[..3].iter().all(|line| line.starts_with("pre")), "{ran:?}");
    assert!(ran[12..].iter().all(|line| line.starts_with("post")), "{ran:?}");
}

#[test]
fn a_pre_hook_that_fails_prevents_the_order() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    let _ = agent.run(&["issue", "-d", NAME, "--pre-hook", "/bin/false"]).exits(0);
    let before = agent.files();
    let ran = agent.run(&["renew", "--force", NAME]).exits(3);
    let _ = ran.says(&["/bin/false ended with exit code 1", "live: generation 1", "tries again"]);
    assert_eq!(agent.issued(), 1);
    assert_eq!(agent.files(), before);
}

/// A certificate whose deploy hook refuses generation 2 as long as a file exists.
fn refused() -> (Agent, std::path::PathBuf) {
    let agent = Agent::embedded();
    let block = agent.path("block");
    let log = agent.path("log");
    let body = format!(
        "echo $ACMEAGENT_GENERATION >> {}\n[ $ACMEAGENT_GENERATION != 2 ] || [ ! -e {} ] || {{ echo no thanks >&2; exit 9; }}",
        log.display(),
        block.display()
    );
    script(&agent.path("hook"), &body);
    let hook = agent.path("hook");
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", hook.to_str().unwrap()]).exits(0);
    fs::write(&block, "").unwrap();
    (agent, block)
}

#[test]
fn a_deploy_hook_that_fails_is_rolled_back_and_tried_again() {
    need!("openssl", "faketime");
    for by_name in [true, false] {
        let (agent, block) = refused();
        let before = agent.read("live/a.example/fullchain.pem");
        let ran = agent.run(&["renew", "--force"]).exits(6);
        let ran = ran.says(&["hook ended with exit code 9", "no thanks", "live: generation 1"]);
        assert_eq!(agent.read("live/a.example/fullchain.pem"), before, "{ran:?}");
        assert_eq!(log(&agent), ["1", "2", "1"], "the server is told of the old one again");
        agent.assert_live_pair(NAME);
        let ran = agent.run(&["check"]).exits(1);
        assert!(ran.stdout.contains("generation 2 was not put to use"), "{ran:?}");
        let _ = agent.run(&["renew"]).exits(0);
        assert_eq!(log(&agent).len(), 3, "not before its time");

        fs::remove_file(&block).unwrap();
        let ran = match by_name {
            true => agent.run(&["renew", NAME]),
            false => agent.run_at("+1 hour", &["renew"]),
        };
        let _ = ran.exits(0).shows(&["put generation 2 into service"]);
        assert_eq!(log(&agent), ["1", "2", "1", "2"]);
        assert_eq!(agent.issued(), 2, "deployed without another order");
        agent.assert_live_pair(NAME);
        let _ = agent.run(&["check"]).exits(0);
    }
}

/// The server takes neither the new nor the old one: an operator is needed, another order is not.
#[test]
fn a_deploy_hook_that_always_fails_costs_one_order() {
    need!("openssl", "faketime");
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", "/bin/false"]).exits(0);
    let before = agent.read("live/a.example/fullchain.pem");
    let _ = agent.run(&["renew", "--force"]).exits(9).says(&["/bin/false", "going back failed"]);
    assert_eq!(agent.read("live/a.example/fullchain.pem"), before, "the files are back");
    for when in ["+1 hour", "+5 hours", "+1 day"] {
        let ran = agent.run_at(when, &["renew"]);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert_eq!(agent.read("live/a.example/fullchain.pem"), before);
    }
    assert_eq!(agent.issued(), 2);
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", "/bin/true"]).exits(0);
    let _ = agent.run(&["renew", NAME]).exits(0);
    let _ = agent.run(&["check"]).exits(0);
    assert_ne!(agent.read("live/a.example/fullchain.pem"), before);
    assert_eq!(agent.issued(), 2);
}

#[test]
fn a_deploy_hook_that_fails_at_the_first_issue() {
    let agent = Agent::embedded();
    let hook = agent.path("hook");
    script(&hook, "exit 4");
    let hook = hook.to_str().unwrap();
    let ran = agent.run(&["issue", "-d", NAME, "--deploy-hook", hook]).exits(5);
    let _ = ran.says(&["hook ended with exit code 4", "live: generation 1", "tries again"]);
    assert_eq!(agent.generations(NAME), 1);
    script(agent.path("hook").as_path(), &format!("echo again >> {}", agent.path("log").display()));
    let _ = agent.run(&["renew", NAME]).exits(0);
    assert_eq!((log(&agent), agent.issued()), (vec!["again".to_owned()], 1));
    let _ = agent.run(&["check"]).exits(0);
}

/// certbot forgets the hook when it is killed between the switch and the hook's end.
#[test]
fn a_kill_while_the_hook_runs_is_made_good() {
    need!("openssl");
    let agent = Agent::embedded();
    let (began, hang) = (agent.path("began"), agent.path("hang"));
    let body =
        format!("echo > {}\nwhile [ -e {} ]; do sleep 0.02; done", began.display(), hang.display());
    let hook = logging(&agent, "hook", &body, "$ACMEAGENT_GENERATION");
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", &hook]).exits(0);
    fs::remove_file(&began).unwrap();
    fs::write(&hang, "").unwrap();
    let run = agent.spawn(&["renew", "--force"]);
    wait_for("the hook", || began.exists());
    run.signal(Signal::SIGKILL);
    let _ = run.ends();
    agent.assert_live_pair(NAME);

    fs::remove_file(&hang).unwrap();
    fs::remove_file(agent.path("log")).ok();
    let _ = agent.run(&["renew"]).exits(0);
    wait_for("the hook of the next run", || log(&agent).contains(&"2".to_owned()));
    let (_, document) = agent.json(&["status"]);
    assert_eq!(document["certificates"][0]["generation"], 2);
    assert_eq!(agent.issued(), 2);
    agent.assert_live_pair(NAME);
    let _ = agent.run(&["check"]).exits(0);
}

#[test]
fn commands_that_cannot_be_run() {
    let agent = Agent::embedded();
    for (hook, said) in [
        ("systemctl reload nginx && echo done", "shell"),
        ("./reload.sh", "relative"),
        ("\"open", "left open"),
        ("", "empty"),
    ] {
        let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", hook]).exits(2).says(&[said]);
    }
    assert_eq!(agent.files(), Default::default());
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", "/no/such/program"]).exits(5);
}

#[test]
fn a_hook_directory_others_may_write() {
    need!("chmod");
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    logging(&agent, "hooks/deploy/10-x", "", "ran");
    let open = Command::new("chmod").arg("0777").arg(agent.path("hooks/deploy/10-x")).status();
    assert!(open.unwrap().success());
    let before = agent.read("live/a.example/cert.pem");
    let ran = agent.run(&["renew", "--force"]).exits(11);
    let _ = ran.says(&["10-x has mode 0777", "chmod go-w", "live: generation 1"]);
    assert_eq!(agent.read("live/a.example/cert.pem"), before);
    assert_eq!((log(&agent), agent.issued()), (Vec::new(), 1), "found before anything was ordered");
}

/// What cannot be told to anybody goes back all the same.
#[test]
fn a_hook_directory_that_is_opened_in_the_middle_keeps_nobody_from_going_back() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    logging(&agent, "hooks/deploy/10-x", "", "ran");
    let hook = agent.path("hook");
    let opens = format!("chmod 0777 {}; exit 1", agent.path("hooks/deploy/10-x").display());
    script(&hook, &opens);
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", hook.to_str().unwrap()]).exits(0);
    let before = agent.read("live/a.example/cert.pem");
    let ran = agent.run(&["renew", "--force"]).exits(9);
    let _ = ran.says(&["10-x has mode 0777", "live: generation 1"]);
    assert_eq!(agent.read("live/a.example/cert.pem"), before);
    agent.assert_live_pair(NAME);
}

#[test]
fn what_the_hook_printed_is_told_when_going_back_fails_too() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    let hook = agent.path("hook");
    script(&hook, "echo no server here >&2; exit 3");
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", hook.to_str().unwrap()]).exits(0);
    let ran = agent.run(&["renew", "--force"]).exits(9);
    let _ = ran.says(&[
        "going back failed too",
        "no server here",
        "then run: acmeagent renew a.example",
    ]);
}
