//! What is ordered: chains, profiles, keys; and what an `issue` given again changes.

use std::fs;

use crate::need;
use crate::support::agent::Agent;
use crate::support::pebble::{Pebble, Settings};
use crate::support::tools::openssl;

fn certificates_in(agent: &Agent, file: &str) -> usize {
    agent.read(file).matches("BEGIN CERTIFICATE").count()
}

#[test]
fn a_longer_chain_and_another_root() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let settings = Settings { chain_length: 3, alternate_roots: 1, ..Settings::default() };
    let pebble = Pebble::start(&settings);
    let (default, alternate) = (pebble.root_name(0), pebble.root_name(1));
    assert_ne!(default, alternate);
    let agent = pebble.agent();
    let top_issuer = || {
        let bundle = agent.read("live/a.example/fullchain.pem");
        let last = bundle.rfind("-----BEGIN").unwrap();
        let top = agent.path("top.pem");
        fs::write(&top, &bundle[last..]).unwrap();
        openssl(&["x509", "-noout", "-issuer", "-in"], &top)
    };
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    assert_eq!(certificates_in(&agent, "live/a.example/cert.pem"), 1);
    assert_eq!(certificates_in(&agent, "live/a.example/chain.pem"), 3);
    assert_eq!(certificates_in(&agent, "live/a.example/fullchain.pem"), 4);
    assert!(top_issuer().contains(&default));

    agent.run(&["issue", "-d", "a.example", "--preferred-chain", &alternate]).exits(0);
    assert!(top_issuer().contains(&alternate), "{}", top_issuer());
    agent.assert_live_pair("a.example");

    let unknown = ["issue", "-d", "a.example", "--preferred-chain", "No Such Root"];
    agent.run(&unknown).exits(0).says(&["No Such Root", "default"]);
    assert!(top_issuer().contains(&default));
}

#[test]
fn a_profile_that_is_not_offered() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let required = ["issue", "-d", "a.example", "--required-profile", "nonesuch"];
    agent.run(&required).exits(2).says(&["nonesuch", "default, shortlived"]);
    assert_eq!(pebble.orders(), 0);
    let preferred = ["issue", "-d", "a.example", "--profile", "nonesuch"];
    agent.run(&preferred).exits(0).says(&["does not offer the profile nonesuch"]);
    assert_eq!(pebble.orders(), 1);
    let (ran, document) = agent.json(&["issue", "-d", "a.example", "--profile", "shortlived"]);
    let ran = ran.exits(0);
    assert_eq!(document["certificates"][0]["profile"], "shortlived", "{ran:?}");
}

#[test]
fn keys_are_of_the_kind_that_was_asked_for() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    for (kind, said) in [("p384", "384 bit"), ("rsa2048", "2048 bit"), ("p256", "256 bit")] {
        agent.run(&["issue", "-d", "a.example", "--key-type", kind]).exits(0);
        let text =
            openssl(&["x509", "-noout", "-text", "-in"], &agent.path("live/a.example/cert.pem"));
        assert!(text.contains(&format!("Public-Key: ({said})")), "{kind}: {text}");
        agent.assert_live_pair("a.example");
    }
    assert_eq!(pebble.orders(), 3, "another kind of key is another certificate");
}

#[test]
fn a_key_stays_only_where_that_was_asked_for() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let key = || agent.read("live/a.example/privkey.pem");
    agent.run(&["issue", "-d", "a.example", "--reuse-key"]).exits(0);
    let first = key();
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(key(), first);
    agent.run(&["issue", "-d", "a.example", "--new-key"]).exits(0);
    assert_eq!((key(), pebble.orders()), (first.clone(), 2), "nothing to order yet");
    agent.run(&["renew", "--force"]).exits(0);
    assert_ne!(key(), first);
}

#[test]
fn issue_again_orders_only_what_differs_and_keeps_comments() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    agent.run(&["issue", "-d", "a.example,b.example"]).exits(0);
    let path = agent.path("certificates/a.example.toml");
    let commented = format!("# kept by hand\n{}", agent.read("certificates/a.example.toml"));
    fs::write(&path, &commented).unwrap();

    let (ran, document) = agent.json(&["issue", "-d", "a.example,b.example"]);
    let ran = ran.exits(0);
    assert_eq!(document["certificates"][0]["outcome"], "not_due", "{ran:?}");
    assert_eq!(pebble.orders(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), commented);

    let same = ["issue", "--cert-name", "a.example", "-d", "b.example", "-d", "a.example"];
    agent.run(&same).exits(0);
    assert_eq!(pebble.orders(), 1, "the same set in another order");

    let more = ["issue", "-d", "a.example,b.example,c.example"];
    let (ran, document) = agent.json(&more);
    let ran = ran.exits(0);
    assert_eq!(document["certificates"][0]["generation"], 2, "{ran:?}");
    assert_eq!(pebble.orders(), 2);
    let settings = fs::read_to_string(&path).unwrap();
    assert!(settings.starts_with("# kept by hand\n"), "{settings}");
    assert!(settings.contains("c.example"), "{settings}");
}

#[test]
fn deploy_hooks_get_the_environment_of_certbot() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let told = agent.path("told");
    let hook = format!("sh -c 'env > {}'", told.display());
    agent.run(&["issue", "-d", "a.example,b.example", "--deploy-hook", &hook]).exits(0);
    let environment = fs::read_to_string(&told).unwrap();
    let live = format!("RENEWED_LINEAGE={}", agent.path("live/a.example").display());
    for line in [&live, "RENEWED_DOMAINS=a.example b.example", "ACMEAGENT_GENERATION=1"] {
        assert!(environment.lines().any(|said| said == line), "no {line:?} in:\n{environment}");
    }
    fs::remove_file(&told).unwrap();
    agent.run(&["renew", "--force"]).exits(0);
    let environment = fs::read_to_string(&told).unwrap();
    assert!(environment.contains("ACMEAGENT_GENERATION=2\n"), "{environment}");
}
