//! `rollback`: an earlier generation back in service, and held there.

use std::fs;

use crate::need;
use crate::support::agent::Agent;
use crate::support::script;

const NAME: &str = "a.example";

/// A certificate with this many generations, the last of them live.
fn with_generations(count: usize) -> Agent {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    for _ in 1..count {
        let _ = agent.run(&["renew", "--force"]).exits(0);
    }
    assert_eq!(live(&agent), count as u64);
    agent
}

/// The generation in service.
fn live(agent: &Agent) -> u64 {
    let (_, document) = agent.json(&["status", NAME]);
    let generation = document["certificates"][0]["generation"].as_u64().unwrap();
    let archived = agent.read(&format!("archive/{NAME}/{generation:04}/fullchain.pem"));
    assert_eq!(agent.read(&format!("live/{NAME}/fullchain.pem")), archived);
    generation
}

#[test]
fn an_earlier_generation_lives_again_and_stays() {
    need!("openssl");
    let agent = with_generations(2);
    let ran = agent.run(&["rollback", NAME]).exits(0);
    let _ = ran.shows(&["put generation 1 into service", "pinned", "until 20", "--unpin"]);
    agent.assert_live_pair(NAME);
    for args in [&["renew"][..], &["renew", NAME], &["renew"]] {
        let _ = agent.run(args).exits(0);
        assert_eq!((live(&agent), agent.generations(NAME)), (1, 2), "{args:?}");
    }
    let _ = agent.run(&["renew", "--force"]).exits(0).shows(&["live is pinned"]);
    assert_eq!((live(&agent), agent.generations(NAME)), (1, 3), "stocked, not served");
    let (_, document) = agent.json(&["status"]);
    assert_eq!(document["certificates"][0]["pinned"], true);
    let _ = agent.run(&["check"]).exits(0).shows(&["pinned at generation 1"]);

    let _ = agent.run(&["rollback", NAME, "--unpin"]).exits(0).shows(&["put generation 3"]);
    assert_eq!(live(&agent), 3);
    agent.assert_live_pair(NAME);
    let (_, document) = agent.json(&["status"]);
    assert_eq!(document["certificates"][0]["pinned"], false);
    assert_eq!(agent.issued(), 3);
}

#[test]
fn to_one_by_its_number_and_step_by_step() {
    let agent = with_generations(3);
    let fates = |agent: &Agent| {
        let (ran, document) = agent.json(&["rollback", NAME, "--list"]);
        let _ = ran.exits(0);
        let fates = document["generations"].as_array().unwrap().iter();
        fates.map(|one| one["fate"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(fates(&agent), ["held", "held", "live"]);
    let _ = agent.run(&["rollback", NAME, "--to", "1"]).exits(0);
    assert_eq!(fates(&agent), ["pinned", "held", "held"]);
    let _ = agent.run(&["rollback", NAME, "--to", "3"]).exits(0);
    assert_eq!(fates(&agent), ["held", "held", "live"], "the newest needs no pin");
    for expected in [2, 1] {
        let _ = agent.run(&["rollback", NAME]).exits(0);
        assert_eq!(live(&agent), expected);
    }
    let before = agent.files();
    let ran = agent.run(&["rollback", NAME]).exits(2);
    let _ = ran.says(&["there is no earlier generation", "live: generation 1"]);
    let _ = agent.run(&["rollback", NAME, "--to", "9"]).exits(2).says(&["no generation 9"]);
    let _ = agent.run(&["rollback", NAME, "--to", "0"]).exits(2).says(&["count from 1"]);
    assert_eq!(agent.files(), before);
}

#[test]
fn to_what_a_snapshot_shows() {
    let agent = with_generations(2);
    let (_, document) = agent.json(&["snapshot", "list"]);
    let taken = document["snapshots"].as_array().unwrap();
    let last = taken.last().unwrap()["id"].as_str().unwrap();
    let _ = agent.run(&["rollback", NAME, "--snapshot", last]).exits(0);
    assert_eq!(live(&agent), 1);
    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!(live(&agent), 1, "pinned as well");
}

/// The clock moved on: what once was good no longer is.
#[test]
fn an_expired_one_only_by_force() {
    need!("faketime");
    let agent = Agent::embedded();
    let later = |args: &[&str]| agent.run_at("+8 days", args);
    let name = "127.0.0.1";
    let _ = agent.run(&["issue", "-d", name]).exits(0);
    let _ = later(&["renew"]).exits(0).shows(&["issued generation 2"]);
    let before = agent.read("live/127.0.0.1/cert.pem");
    let ran = later(&["rollback", name]).exits(11);
    let _ = ran.says(&["generation 1 expired at", "--force", "live: generation 2"]);
    assert_eq!(agent.read("live/127.0.0.1/cert.pem"), before);
    let ran = later(&["rollback", name, "--force"]).exits(0);
    assert_ne!(agent.read("live/127.0.0.1/cert.pem"), before, "{ran:?}");
    let ran = later(&["check"]).exits(2);
    assert!(ran.stdout.contains("expired"), "{ran:?}");
}

#[test]
fn a_revoked_one_only_by_force() {
    let agent = with_generations(2);
    let _ = agent.run(&["revoke", NAME, "--generation", "1", "--reason", "superseded"]).exits(0);
    let _ = agent.run(&["rollback", NAME, "--list"]).exits(0).shows(&["revoked", ": superseded"]);
    let ran = agent.run(&["rollback", NAME, "--to", "1"]).exits(11);
    let _ = ran.says(&["generation 1 is marked bad", "--force"]);
    let _ = agent.run(&["rollback", NAME]).exits(2).says(&["no earlier generation"]);
    assert_eq!(live(&agent), 2);
    let _ = agent.run(&["rollback", NAME, "--to", "1", "--force"]).exits(0);
    assert_eq!(live(&agent), 1);
}

/// Why it is not served is listed as long as it is not.
#[test]
fn what_became_of_each() {
    let agent = with_generations(1);
    let code = agent.path("code");
    let hook = agent.path("hook");
    script(&hook, &format!("exit $(cat {})", code.display()));
    fs::write(&code, "0").unwrap();
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", hook.to_str().unwrap()]).exits(0);
    fs::write(&code, "1").unwrap();
    let _ = agent.run(&["renew", "--force"]).exits(9);
    let listed = |agent: &Agent| agent.run(&["rollback", NAME, "--list"]).exits(0);
    let _ = listed(&agent).shows(&["queued", "next attempt in", "hook ended with exit code 1"]);
    let _ = agent.run(&["renew", "--force"]).exits(9);
    let (_, document) = agent.json(&["rollback", NAME, "--list"]);
    let of = |number: usize, key: &str| document["generations"][number - 1][key].clone();
    assert_eq!([of(1, "fate"), of(2, "fate"), of(3, "fate")], ["live", "rolled_back", "queued"]);
    assert_eq!([of(1, "live"), of(3, "live")], [true, false]);
    assert!(of(2, "why").as_str().unwrap().ends_with("ended with exit code 1"), "{document}");

    fs::write(&code, "0").unwrap();
    let _ = agent.run(&["renew", NAME]).exits(0);
    let (_, document) = agent.json(&["rollback", NAME, "--list"]);
    let newest = &document["generations"][2];
    assert_eq!((&newest["fate"], &newest["why"]), (&"live".into(), &serde_json::Value::Null));
}

/// Forced in vain, a generation that is marked bad is no better than before.
#[test]
fn a_bad_one_that_was_not_taken_stays_bad() {
    let agent = with_generations(2);
    let _ = agent.run(&["revoke", NAME, "--generation", "1", "--reason", "superseded"]).exits(0);
    let bad = agent.facts(NAME)["bad"].clone();
    assert_ne!(bad.to_string(), "[]");
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", "/bin/false"]).exits(0);
    let ran = agent.run(&["rollback", NAME, "--to", "1", "--force"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!((live(&agent), agent.facts(NAME)["bad"].clone()), (2, bad));
}

/// The second half of a roll-back is the server; when it does not take the old one, nothing is said
/// to have gone well.
#[test]
fn a_hook_that_fails_on_the_way_back() {
    let agent = with_generations(2);
    let _ = agent.run(&["issue", "-d", NAME, "--deploy-hook", "/bin/false"]).exits(0);
    let ran = agent.run(&["rollback", NAME]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("/bin/false ended with exit code 1"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("acmeagent rollback {NAME} --to 2")), "{ran:?}");
    let (_, document) = agent.json(&["status"]);
    assert_eq!(document["certificates"][0]["pinned"], false, "{ran:?}");
}
