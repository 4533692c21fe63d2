//! The agent against a real Pebble: our own CA may share our errors.

use crate::need;
use crate::support::pebble::{Pebble, Settings};

#[test]
fn two_names_by_http_01_standalone() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let (ran, document) = agent.json(&["issue", "-d", "a.example,b.example"]);
    let ran = ran.exits(0);
    let certificate = &document["certificates"][0];
    assert_eq!(certificate["generation"], 1, "{ran:?}");
    assert_eq!(certificate["identifiers"].as_array().unwrap().len(), 2);
    assert_eq!(certificate["next_renewal"]["source"], "ari");
    agent.assert_live_pair("a.example");
}
