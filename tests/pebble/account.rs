//! Accounts: bindings, keys, the loss and the end of them.

use std::fs;

use crate::need;
use crate::support::pebble::{EAB, Pebble, Settings};

use super::at;

#[test]
fn an_external_account_binding_is_given_by_file() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings { eab_required: true, ..Settings::default() });
    let agent = pebble.agent();
    let without = agent.run(&["issue", "-d", "a.example"]).exits(2);
    without.says(&["external account binding", "--eab-kid", "--eab-hmac-key-file"]);
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0));
    assert_eq!(fs::read_dir(agent.path("accounts")).unwrap().count(), 0, "nothing is prepared");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hmac");
    let bind = ["--eab-kid", EAB.0, "--eab-hmac-key-file", file.to_str().unwrap()];
    let issue = [&["issue", "-d", "a.example"][..], &bind].concat();
    agent.run(&issue).exits(2).says(&[file.to_str().unwrap()]);

    write_secret(&file, "c29tZXRoaW5nIGVsc2UgYWx0b2dldGhlciwgYW5kIGxvbmcgZW5vdWdo");
    agent.run(&issue).exits(2).says(&["external account binding"]);
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0), "{}", pebble.log());

    write_secret(&file, EAB.1);
    agent.run(&issue).exits(0);
    assert!(pebble.log().contains("Successful newAccount Binding with CA using kid \"kid-1\""));
    fs::remove_file(&file).unwrap();
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2), "renewals do not bind again");
}

fn write_secret(path: &std::path::Path, secret: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    writeln!(file.unwrap(), "{secret}").unwrap();
}

#[test]
fn the_life_of_an_account() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    agent.run(&at(&pebble, &["account", "show"])).exits(2);
    assert_eq!(pebble.accounts(), 0, "to be shown it is not created");

    let register = ["account", "register", "--agree-tos", "-m", "ops@example.com"];
    let (ran, registered) = agent.json(&at(&pebble, &register));
    let ran = ran.exits(0);
    assert_eq!(registered["account"]["status"], "valid", "{ran:?}");
    assert_eq!(registered["account"]["contacts"][0], "mailto:ops@example.com", "{ran:?}");
    let (ran, again) = agent.json(&at(&pebble, &register));
    ran.exits(0);
    assert_eq!((&again["account"]["url"], pebble.accounts()), (&registered["account"]["url"], 1));

    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let file = account_file(&agent.path("accounts"));
    let before = fs::read_to_string(&file).unwrap();
    agent.run(&at(&pebble, &["account", "rotate-key"])).exits(0);
    assert_ne!(fs::read_to_string(&file).unwrap(), before);
    let (ran, shown) = agent.json(&at(&pebble, &["account", "show"]));
    ran.exits(0);
    assert_eq!(shown["account"]["url"], registered["account"]["url"]);
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));

    agent.run(&at(&pebble, &["account", "deactivate"])).exits(0);
    agent.run(&["renew", "--force"]).exits(2).says(&["account"]);
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));
    agent.assert_live_pair("a.example");
}

/// The only account file there is.
fn account_file(accounts: &std::path::Path) -> std::path::PathBuf {
    let only = |folder: &std::path::Path| {
        let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let first = entries.next().unwrap();
        assert_eq!(entries.next(), None);
        first
    };
    only(&only(accounts))
}

#[test]
fn a_lost_account_is_not_replaced_in_silence() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let before = agent.read("live/a.example/fullchain.pem");
    fs::remove_file(account_file(&agent.path("accounts"))).unwrap();

    let ran = agent.run(&["renew", "--force"]).exits(2);
    let told = format!("`acmeagent account register --server {}", pebble.directory);
    ran.says(&["account key", "missing", &told, "live: generation 1"]);
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    assert_eq!(agent.read("live/a.example/fullchain.pem"), before);

    agent.run(&at(&pebble, &["account", "register", "--agree-tos"])).exits(0);
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!((pebble.accounts(), pebble.orders(), pebble.replacements()), (2, 2, 0));
    agent.assert_live_pair("a.example");
}
