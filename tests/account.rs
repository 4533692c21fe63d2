//! The account at a CA.

use std::fs;

use crate::support::agent::Agent;

#[test]
fn showing_an_account_never_creates_one() {
    let agent = Agent::new();
    let show = ["account", "show", "--ca", "embedded"];
    let _ = agent.run(&show).exits(2).says(&["missing"]);
    let _ = agent.run(&["account", "register", "--ca", "embedded"]).exits(0);
    let _ = agent.run(&show).exits(0);
    // As an attempt leaves it that stored its key and got no further.
    let file = agent.path("accounts/embedded/default.json");
    let mut stored: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    stored["url"] = serde_json::Value::Null;
    fs::write(&file, stored.to_string()).unwrap();
    let _ = agent.run(&show).exits(2);
    let after: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(after, stored);
}
