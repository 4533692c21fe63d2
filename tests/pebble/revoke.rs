//! What is revoked leaves service, and its key with it.

use crate::need;
use crate::support::pebble::{Pebble, Settings};

#[test]
fn what_is_revoked_is_replaced() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let serial = || {
        let (ran, document) = agent.json(&["status"]);
        ran.exits(0);
        document["certificates"][0]["serial"].as_str().unwrap().to_owned()
    };
    agent.run(&["issue", "-d", "a.example", "--reuse-key"]).exits(0);
    agent.run(&["renew", "--force"]).exits(0);
    let (generation_two, key) = (serial(), agent.read("live/a.example/privkey.pem"));
    assert_eq!(pebble.status(&generation_two)["Status"], "Valid");

    agent.run(&["revoke", "a.example", "--reason", "superseded"]).exits(0);
    let status = pebble.status(&generation_two);
    assert_eq!((&status["Status"], &status["Reason"]), (&"Revoked".into(), &4.into()));
    let again = ["revoke", "a.example", "--reason", "superseded", "--generation", "2"];
    agent.run(&again).exits(0);
    let (ran, document) = agent.json(&["renew"]);
    let ran = ran.exits(0);
    assert_eq!(document["certificates"][0]["generation"], 3, "another one is ordered: {ran:?}");
    let key_three = agent.read("live/a.example/privkey.pem");
    assert_ne!(key_three, key, "the key of a revoked certificate may be the reason");
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(agent.read("live/a.example/privkey.pem"), key_three);
    let generation_four = serial();

    agent.run(&["revoke", "a.example", "--reason", "keyCompromise"]).exits(0);
    let status = pebble.status(&generation_four);
    assert_eq!((&status["Status"], &status["Reason"]), (&"Revoked".into(), &1.into()));
    let (ran, document) = agent.json(&["renew"]);
    let ran = ran.exits(0);
    assert_eq!(
        document["certificates"][0]["generation"], 5,
        "not the third, which has the same key: {ran:?}"
    );
    assert_ne!(agent.read("live/a.example/privkey.pem"), key_three);
    agent.assert_live_pair("a.example");
    agent.run(&["renew"]).exits(0);
    assert_eq!(pebble.orders(), 5);
}

#[test]
fn a_pin_does_not_keep_a_revoked_certificate_in_service() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    agent.run(&["renew", "--force"]).exits(0);
    agent.run(&["rollback", "a.example"]).exits(0);
    agent.run(&["revoke", "a.example"]).exits(0);
    let (ran, document) = agent.json(&["renew"]);
    let ran = ran.exits(0);
    let certificate = &document["certificates"][0];
    assert_eq!(
        (&certificate["generation"], &certificate["pinned"]),
        (&2.into(), &false.into()),
        "the newer one lies ready, so nothing is ordered: {ran:?}"
    );
    assert_eq!(pebble.orders(), 2);
}
