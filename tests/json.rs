//! Whatever comes of it, `--json` prints one document, and the schema describes it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};

use jsonschema::{Draft, Validator};
use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::script;

pub struct Schema(Validator);

impl Schema {
    pub fn new() -> Self {
        let schema = serde_json::from_str(include_str!("fixtures/report.schema.json")).unwrap();
        assert!(jsonschema::meta::is_valid(&schema));
        Self(jsonschema::options().with_draft(Draft::Draft202012).build(&schema).unwrap())
    }

    #[track_caller]
    pub fn holds(&self, document: &Value) {
        let wrong: Vec<String> = (self.0.iter_errors(document))
            .map(|error| format!("{} at {}", error, error.instance_path))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{document:#}");
    }
}

/// Runs commands and holds each answer against the schema.
struct Holder<'a> {
    schema: &'a Schema,
    agent: Agent,
    seen: BTreeSet<(String, i64)>,
}

impl<'a> Holder<'a> {
    fn new(schema: &'a Schema, agent: Agent) -> Self {
        Self { schema, agent, seen: BTreeSet::new() }
    }

    #[track_caller]
    fn run(&mut self, args: &[&str], code: i32) -> Value {
        let (ran, document) = self.agent.json(args);
        self.hold(args, code, &ran, &document);
        document
    }

    #[track_caller]
    fn hold(&mut self, args: &[&str], code: i32, ran: &Ran, document: &Value) {
        assert_eq!(ran.code, code, "{args:?}: {ran:#?}");
        assert_eq!(ran.stdout.lines().count(), 1, "one line: {ran:?}");
        assert!(!ran.stderr.contains("error:"), "it stands in the document: {ran:#?}");
        assert_eq!(document["exit"]["code"], code, "{document}");
        self.schema.holds(document);
        let command = document["command"].as_str().unwrap().to_owned();
        self.seen.insert((command, code.into()));
    }
}

#[test]
fn the_schema_is_strict() {
    let schema = Schema::new();
    let good = serde_json::json!({"schema": 1, "command": "renew", "exit": {"code": 0, "name": "OK"},
        "certificates": [], "error": null});
    schema.holds(&good);
    for (key, value) in [
        ("schema", 2.into()),
        ("command", "renewal".into()),
        ("more", true.into()),
        ("findings", Value::Array(Vec::new())),
        ("exit", serde_json::json!({"code": 0, "name": "RETRY"})),
        ("error", "sorry".into()),
        ("certificates", serde_json::json!([{}])),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!schema.0.is_valid(&bad), "{bad}");
    }
}

#[test]
fn every_verb_in_good_and_bad_times() {
    let schema = Schema::new();
    let mut all = Holder::new(&schema, Agent::embedded());
    all.run(&["status"], 0);
    all.run(&["renew"], 0);
    all.run(&["check"], 3);
    all.run(&["issue", "-d", "127.0.0.1,a.example", "--cert-name", "a"], 0);
    all.run(&["issue", "-d", "127.0.0.1,a.example", "--cert-name", "a"], 0);
    all.run(&["issue", "-d", "b.example", "--dry-run"], 0);
    all.run(&["issue", "-d", "no name"], 2);
    all.run(&["issue", "-d", "*.b.example"], 2);
    all.run(&["renew", "--force"], 0);
    all.run(&["renew"], 0);
    all.run(&["renew", "a"], 0);
    all.run(&["renew", "b"], 2);
    all.run(&["renew", "--dry-run"], 0);
    all.run(&["rollback", "a"], 0);
    all.run(&["status"], 0);
    all.run(&["check"], 0);
    all.run(&["rollback", "a", "--list"], 0);
    all.run(&["renew", "--force"], 0);
    all.run(&["rollback", "a", "--unpin"], 0);
    all.run(&["rollback", "a", "--to", "77"], 2);
    all.run(&["rollback", "b"], 2);
    let created = all.run(&["snapshot", "create"], 0);
    let id = created["snapshot"]["id"].as_str().unwrap().to_owned();
    all.run(&["snapshot", "list"], 0);
    all.run(&["snapshot", "verify"], 0);
    let tar = all.agent.path("x.tar").to_str().unwrap().to_owned();
    all.run(&["snapshot", "export", &id, &tar], 0);
    all.run(&["snapshot", "export", &id, &tar], 10);
    all.run(&["snapshot", "restore", &id], 0);
    fs::remove_file(all.agent.path("live/a/cert.pem")).unwrap();
    all.run(&["check"], 2);
    all.run(&["doctor"], 2);
    all.run(&["doctor", "nobody"], 3);
    fs::remove_file(all.agent.path(&format!("snapshots/{id}/manifest.json"))).unwrap();
    all.run(&["snapshot", "verify", &id], 10);
    all.run(&["snapshot", "prune", "--keep", "1"], 0);
    all.run(&["revoke", "a", "--reason", "superseded"], 0);
    all.run(&["revoke", "a", "--reason", "boredom"], 2);
    all.run(&["status"], 0);
    all.run(&["delete", "a"], 0);
    all.run(&["delete", "a"], 2);
    all.run(&["account", "show", "--ca", "embedded"], 0);
    all.run(&["account", "rotate-key", "--ca", "embedded"], 0);
    all.run(&["account", "deactivate", "--ca", "embedded"], 0);
    all.run(&["account", "show", "--ca", "nonsense"], 2);
    let chain = all.agent.path("embedded-ca/root-1.pem").to_str().unwrap().to_owned();
    all.run(&["check", "--file", &chain, "--key", "/nowhere"], 3);
    all.run(&["check", "--connect", "127.0.0.1:1"], 2);
    all.run(&["alert", "test"], 2);
    for usage in [&["renwe"][..], &[], &["issue"], &["rollback", "--to", "x", "a"]] {
        let document = all.run(usage, 2);
        assert_eq!(document["command"], "");
    }
    let verbs: BTreeSet<&str> = all.seen.iter().map(|(verb, _)| verb.as_str()).collect();
    let expected = "account alert check delete doctor issue renew revoke rollback snapshot status";
    assert_eq!(verbs.into_iter().collect::<Vec<_>>().join(" ").trim(), expected);
}

#[test]
fn failures_of_a_run() {
    let schema = Schema::new();
    let mut all = Holder::new(&schema, Agent::embedded());
    let hook = all.agent.path("hook");
    let refuses = "[ $ACMEAGENT_GENERATION != 2 ]";
    script(&hook, refuses);
    let hook = hook.to_str().unwrap().to_owned();
    all.run(&["issue", "-d", "a.example", "--deploy-hook", &hook], 0);
    let rolled_back = all.run(&["renew", "--force"], 6);
    let line = &rolled_back["certificates"][0];
    assert_eq!(line["outcome"], "rolled_back");
    assert!(line["error"]["retry_at"].is_string(), "{line}");
    assert_eq!(line["generation"], 1, "what is served is what is told");
    all.run(&["check"], 1);
    let not_deployed = all.run(&["issue", "-d", "b.example", "--deploy-hook", "/bin/false"], 5);
    assert_eq!(not_deployed["certificates"][0]["outcome"], "not_deployed");
    let path = all.agent.path("certificates/c.example.toml");
    fs::write(path, "identifiers = [\"c.example\"]\nca = [\"nonsense\"]\n").unwrap();
    let failed = all.run(&["renew"], 2);
    let lines = failed["certificates"].as_array().unwrap();
    let line = lines.iter().find(|line| line["name"] == "c.example").unwrap();
    assert_eq!(line["outcome"], "failed");
    let retry = all.run(&["issue", "-d", "d.example", "--pre-hook", "/bin/false"], 3);
    assert_eq!(retry["certificates"][0]["outcome"], "retry");
    let home = all.agent.home();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(home, open).unwrap();
    all.run(&["renew", "--force"], 11);
}

#[test]
fn the_ca_of_drills_says_when_it_is_ready() {
    let schema = Schema::new();
    let agent = Agent::new();
    let mut ca = agent.spawn(&["--json", "drill", "ca"]);
    let mut line = String::new();
    BufReader::new(ca.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let document: Value = serde_json::from_str(&line).unwrap();
    schema.holds(&document);
    assert_eq!(document["pid"], ca.0.id());
    ca.signal(nix::sys::signal::Signal::SIGTERM);
    let _ = ca.ends().exits(0);
    let mut refused = Holder::new(&schema, Agent::new());
    refused.run(&["drill", "ca", "--listen", "192.0.2.1:443"], 2);

    // The account of a CA that is reached by its URL.
    let ca = Ca::start();
    let mut asked = Holder::new(&schema, Agent::new());
    let root = ca.tls_root.to_str().unwrap();
    let args = |verb| ["account", verb, "--server", &ca.directory, "--ca-root", root];
    asked.run(&[&args("register")[..], &["--agree-tos", "-m", "a@b.example"]].concat(), 0);
    asked.run(&args("deactivate"), 0);
}
