//! What runs come to is counted, and what was seen is kept.

use std::fs;

use serde_json::{Value, json};

use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::script;
use crate::support::tls::FileServer;

/// An address, so that a server is found at it.
const NAME: &str = "127.0.0.1";

/// How many spans a histogram holds.
fn count(histogram: &Value) -> u64 {
    histogram["counts"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).sum()
}

/// One that copies to where a server serves from, and tells a program, which may be told to fail.
fn site(ca: &Ca) -> (Agent, FileServer) {
    let agent = ca.agent();
    fs::create_dir(agent.path("served")).unwrap();
    let server = FileServer::start(agent.path("served"));
    fs::write(
        agent.path("acmeagent.toml"),
        format!(
            "[[target]]\nname = \"served\"\nkind = \"copy\"\ndir = {:?}\nverify = [\"127.0.0.1:{}\"]\n",
            agent.path("served"),
            server.port
        ),
    )
    .unwrap();
    let (hook, broken) = (agent.path("hook"), agent.path("broken"));
    script(&hook, &format!("test ! -e {}", broken.display()));
    let hook = hook.to_str().unwrap();
    let issue = ["issue", "-d", NAME, "--target", "served", "--deploy-hook", hook];
    let _ = agent.run(&issue).exits(0);
    (agent, server)
}

#[test]
fn renewals_failures_and_rollbacks_are_counted() {
    need!("curl");
    let ca = Ca::start();
    let (agent, server) = site(&ca);
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let first = agent.tally();
    assert_eq!((&first["ended"], &first["errors"]), (&json!({ "renewed": 2 }), &json!({})));
    for phase in ["precheck", "acquire", "validate", "snapshot", "deploy", "verify"] {
        assert!(count(&first["phases"][phase]) >= 2, "{phase}: {first:#}");
    }
    let challenges = first["challenges"].as_object().unwrap();
    let proved: u64 = challenges.values().map(|one| count(&one["took"])).sum();
    assert!(proved >= 1 && challenges.values().all(|one| one["failed"] == 0), "{first:#}");
    let seen = &first["certificates"][NAME];
    let place = &seen["places"][format!("{NAME} at 127.0.0.1:{}", server.port)];
    assert_eq!((&place["serves"], &place["generation"]), (&json!(true), &json!(2)), "{first:#}");
    assert!(place["took"].as_f64().unwrap() > 0.0 && place["took_before"].is_f64(), "{place}");
    for target in ["served", &format!("hook:{}", agent.path("hook").display())] {
        let taken = &seen["targets"][target];
        assert_eq!(taken["generation"], 2, "{target}: {seen:#}");
        assert!(taken["lag"].as_f64().unwrap() < 60.0, "{taken}");
    }

    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!(agent.tally(), first, "nothing was due");

    // A target that does not take it, and the way back.
    fs::write(agent.path("broken"), "").unwrap();
    let ran = agent.run(&["renew", "--force"]);
    let second = agent.tally();
    assert_eq!(second["errors"]["hook"]["count"], 1, "{ran:?}");
    let message = second["errors"]["hook"]["last_message"].as_str().unwrap();
    assert!(message.contains("hook ended with exit code 1"), "{message}");
    assert!(count(&second["phases"]["roll_back"]) == 1, "{second:#}");

    // A CA that says no.
    fs::remove_file(agent.path("broken")).unwrap();
    ca.manage("pause", Some(json!({ "identifiers": [NAME] })));
    let _ = agent.run(&["renew", "--force"]);
    let third = agent.tally();
    assert_eq!(third["errors"]["paused"]["count"], 1, "{third:#}");
    assert_eq!(third["errors"]["paused"]["last_name"], NAME);
    assert_eq!(third["since"], first["since"]);
    assert_eq!(third["ended"]["renewed"], 2, "{third:#}");

    // A rollback by hand.
    let _ = agent.run(&["rollback", NAME, "--to", "1"]).exits(0);
    let fourth = agent.tally();
    assert_eq!(
        (&fourth["ended"]["deployed"], &fourth["certificates"][NAME]["live"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(fourth["certificates"][NAME]["targets"]["served"]["generation"], 1);

    let _ = agent.run(&["delete", NAME]).exits(0);
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let last = agent.tally();
    assert_eq!(last["certificates"].as_object().unwrap().keys().collect::<Vec<_>>(), ["a.example"]);
    assert_eq!(last["ended"]["renewed"], 3);
}
