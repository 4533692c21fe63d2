//! `renew`: what cron or a timer runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use crate::need;
use crate::support::agent::Agent;

#[test]
fn nothing_is_done_before_its_time() {
    let agent = Agent::embedded();
    let _ = agent.run(&["renew"]).exits(0);
    let _ = agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    let before = agent.files();
    for args in [&["renew"][..], &["renew"], &["renew", "127.0.0.1"]] {
        let _ = agent.run(args).exits(0);
        assert_eq!(agent.files(), before, "{args:?}");
    }
    let _ = agent.run(&["renew"]).exits(0).shows(&["nothing is due of 1 certificate"]);
    let (_, document) = agent.json(&["renew", "127.0.0.1"]);
    assert_eq!(document["certificates"][0]["outcome"], "not_due");
}

#[test]
fn by_force_and_with_a_new_key_each_time() {
    need!("openssl");
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let first = agent.read("live/a.example/privkey.pem");
    let (ran, document) = agent.json(&["renew", "--force"]);
    let ran = ran.exits(0);
    assert_eq!(document["certificates"][0]["outcome"], "renewed", "{ran:?}");
    assert_eq!(document["certificates"][0]["generation"], 2);
    agent.assert_live_pair("a.example");
    let second = agent.read("live/a.example/privkey.pem");
    assert_ne!(first, second);

    let _ = agent.run(&["issue", "-d", "a.example", "--reuse-key", "--force"]).exits(0);
    assert_eq!(agent.read("live/a.example/privkey.pem"), second, "kept because it was asked for");
    assert_eq!(agent.generations("a.example"), 3);
    agent.assert_live_pair("a.example");
}

/// Settings without a certificate are a certificate that is missing.
#[test]
fn a_settings_file_is_enough() {
    let agent = Agent::embedded();
    fs::create_dir(agent.path("certificates")).unwrap();
    let text = "identifiers = [\"a.example\", \"b.example\"]\nca = [\"embedded\"]\n";
    fs::write(agent.path("certificates/pair.toml"), text).unwrap();
    let _ = agent.run(&["renew"]).exits(0).shows(&["pair: issued generation 1"]);
    assert_eq!(agent.issued(), 1);
}

/// One certificate's trouble is no other's.
#[test]
fn good_ones_beside_bad_ones() {
    let agent = Agent::embedded();
    for name in ["a.example", "b.example"] {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
    }
    fs::write(agent.path("certificates/b.example.toml"), "identifers = [\"b.example\"]\n").unwrap();
    let ran = agent.run(&["renew", "--force"]).exits(2);
    let ran = ran.says(&["b.example: ", "b.example.toml:1:1", "`identifers`"]);
    let ran = ran.says(&["live: generation 1, valid until"]);
    assert!(ran.stdout.contains("a.example: issued generation 2"), "{ran:?}");
    assert_eq!((agent.generations("a.example"), agent.generations("b.example")), (2, 1));
}

#[test]
fn a_certificate_damaged_beyond_repair_is_ordered_anew() {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    let live = agent.path("live/127.0.0.1/privkey.pem");
    fs::set_permissions(&live, PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&live, "not a key any more").unwrap();
    agent.run(&["check"]).exits(2);
    agent.run(&["renew", "127.0.0.1"]).exits(0).says(&["no good generation is left"]);
    agent.assert_live_pair("127.0.0.1");
    agent.run(&["check"]).exits(0);
}

/// With a silent CA every attempt costs its whole patience.
#[test]
fn a_ca_that_is_down_is_tried_once_per_run() {
    let agent = Agent::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    agent.run(&["status"]).exits(0);
    fs::create_dir(agent.path("certificates")).unwrap();
    for number in 0..20 {
        let text = format!(
            "identifiers = [\"{number}.example\"]\nca = [\"https://127.0.0.1:{port}/dir\"]\n\
             challenge = {{ http-01-port = {} }}\n",
            crate::support::free_ports::<1>()[0]
        );
        let path = agent.path(&format!("certificates/{number}.example.toml"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let asked = thread::spawn(move || {
        let calls = listener.incoming().take_while(|call| {
            // The test says that it is over by a connection with a word in it.
            let mut word = [0; 4];
            !(call.as_ref().unwrap().read_exact(&mut word).is_ok() && &word == b"over")
        });
        calls.count()
    });
    agent.run(&["renew"]).exits(3);
    TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(b"over").unwrap();
    assert_eq!(asked.join().unwrap(), 1);
}

#[test]
fn settings_that_cannot_be_read_hide_nothing_of_what_is_served() {
    let agent = Agent::new();
    let _ = agent.run(&["issue", "-d", "127.0.0.1", "--ca", "embedded"]).exits(0);
    let file = agent.path("certificates/127.0.0.1.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("key-type", "key-tipe")).unwrap();
    for args in [&["renew", "127.0.0.1"][..], &["renew", "--force"]] {
        let ran = agent.run(args).exits(2);
        let _ =
            ran.says(&["unknown key `key-tipe`", "live: generation 1, valid until", "`key-type`"]);
    }
    let rehearsed = agent.run(&["renew", "--dry-run"]).exits(2);
    assert!(!rehearsed.stderr.contains("live: nothing"), "{rehearsed:?}");
}
