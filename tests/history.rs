//! The history: what was done is in it, and what is done to it is found.

use std::fs;

use serde_json::Value;

use crate::json::Schema;
use crate::support::agent::Agent;

fn history(agent: &Agent, names: &[&str]) -> Value {
    let (ran, mut document) = agent.json(&[&["status", "--history"], names].concat());
    let _ = ran.exits(0);
    Schema::new().holds(&document);
    document["history"].take()
}

/// What each record is, as in `issued` or `pinned`.
fn deeds(history: &Value) -> Vec<&str> {
    let records = history["records"].as_array().unwrap().iter();
    let word = |one: &'static str| move |record: &&Value| record["what"] == one;
    let what = |record| {
        let key = if word("decided")(&record) { "decision" } else { "what" };
        record[key].as_str().unwrap()
    };
    records.map(what).collect()
}

#[test]
fn what_was_done_is_in_it() {
    let agent = Agent::embedded();
    let _ = agent.run(&["status", "--history"]).exits(0).shows(&["nothing was done yet"]);
    assert_eq!(history(&agent, &[])["head"], Value::Null);
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let _ = agent.run(&["renew"]).exits(0);
    assert_eq!(deeds(&history(&agent, &[])), ["issued", "switched"], "nothing due, nothing done");
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let _ = agent.run(&["rollback", "a.example"]).exits(0);
    let _ = agent.run(&["rollback", "a.example", "--unpin"]).exits(0);
    let _ = agent.run(&["issue", "-d", "b.example", "--pre-hook", "/bin/false"]).exits(3);
    let _ = agent.run(&["revoke", "a.example"]).exits(0);
    let _ = agent.run(&["delete", "a.example"]).exits(0);

    let all = history(&agent, &[]);
    let ours = history(&agent, &["a.example"]);
    let words = deeds(&ours).join(" ");
    assert!(words.starts_with("issued switched issued switched "), "{words}");
    for decision in ["pinned", "unpinned", "revoked", "deleted"] {
        assert_eq!(words.matches(&format!(" {decision}")).count(), 1, "{decision}: {words}");
    }
    assert!(words.ends_with("revoked deleted"), "{words}");
    assert_eq!(deeds(&history(&agent, &["b.example"])), ["failed"]);
    assert_eq!(all["records"].as_array().unwrap().len() as u64, all["head"]["seq"]);
    let issued = &all["records"][0];
    let digits = |key: &str| issued[key].as_str().unwrap().len();
    assert_eq!((digits("fingerprint_sha256"), digits("key_sha256")), (64, 64), "{issued}");
    assert_eq!(issued["ca"], "embedded");
    let text = agent.run(&["status", "--history", "a.example"]).exits(0);
    let text = text.shows(&["a.example  issued generation 1 by embedded: certificate ", "deleted"]);
    assert_eq!(text.stdout.lines().count(), deeds(&ours).len());
    let _ = agent.run(&["status", "--history", "c.example"]).exits(0).shows(&["nothing is known"]);
}

#[test]
fn tampering_is_found() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let checked = agent.run(&["check"]).exits(0).shows(&["OK history: 4 records hold together"]);
    let head = history(&agent, &[])["head"]["hash"].as_str().unwrap().to_owned();
    assert!(checked.stdout.contains(&head), "{checked:?}");

    let folder = fs::read_dir(agent.path("state/history")).unwrap();
    let mut files = folder.map(|entry| entry.unwrap().path());
    let path = files.find(|path| path.extension().is_some_and(|ext| ext == "jsonl")).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let table = [
        (whole.replacen("embedded", "elsewhere", 1), "record 1 was changed after it was written"),
        ([&lines[..1], &lines[2..]].concat().concat(), "record 2 is missing"),
        ([lines[0], lines[2], lines[1], lines[3]].concat(), "record 2 is not in its place"),
        (lines[..2].concat(), "records 3 to 4 are missing"),
        (String::new(), "records 1 to 4 are missing"),
    ];
    for (tampered, says) in table {
        fs::write(&path, tampered).unwrap();
        let says = format!("CRITICAL history: {says} in {}", path.display());
        let _ = agent.run(&["check"]).exits(2).shows(&[&says, "look who could write there"]);
        let _ = agent.run(&["status", "--history"]).exits(0).shows(&["not to be relied on"]);
        assert!(history(&agent, &[])["broken"].is_string());
    }
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let _ = agent.run(&["check"]).exits(2).shows(&["records 1 to 4 are missing"]);

    fs::rename(agent.path("state/history"), agent.path("state/history.old")).unwrap();
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let _ = agent.run(&["check"]).exits(0).shows(&["OK history: 2 records hold together"]);
}

#[test]
fn what_cannot_be_written_is_said_and_changes_nothing() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    fs::remove_dir_all(agent.path("state/history")).unwrap();
    fs::write(agent.path("state/history"), "").unwrap();
    let ran = agent.run(&["renew", "--force"]).exits(0);
    let _ = ran.says(&["the history is not written: "]);
}
