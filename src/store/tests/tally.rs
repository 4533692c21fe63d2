//! What was counted.
#![allow(clippy::disallowed_methods, reason = "tests leave what a crash would")]

use super::*;
use crate::model::ended::Ended;
use crate::model::event::Event;
use crate::model::tally::Tally;

fn ended(name: &str) -> Vec<(Timestamp, Event)> {
    let name = CertName::parse(name).unwrap();
    let to = Generation::FIRST;
    let switched =
        Event::Switched { name: name.clone(), from: None, to, fingerprint: "00".repeat(32) };
    let ended = Event::RunEnded { name, ended: Ended::Renewed, failing: None };
    vec![(at(5), switched), (at(6), ended)]
}

#[test]
fn runs_add_up_and_what_is_gone_is_forgotten() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.tally(at(1)), Tally::begun(at(1)));
    store.count(at(2), &ended("a"), |_| true).unwrap();
    store.count(at(3), &ended("b"), |_| true).unwrap();
    let tally = store.tally(at(9));
    assert_eq!((tally.since, tally.ended["renewed"]), (at(2), 2));
    assert_eq!(tally.certificates.len(), 2);
    store.count(at(4), &ended("b"), |name| name.as_str() == "b").unwrap();
    let tally = store.tally(at(9));
    assert_eq!((tally.ended["renewed"], tally.certificates.len()), (3, 1));
    assert!(home.leftovers().is_empty());
}

#[test]
fn nothing_to_count_writes_nothing() {
    let home = Home::new();
    let store = home.open();
    let name = CertName::parse("a").unwrap();
    let told = (at(1), Event::Noticed { name, text: "text".to_owned() });
    store.count(at(1), &[], |_| true).unwrap();
    store.count(at(1), &[told], |_| true).unwrap();
    assert!(!store.layout().tally().exists() && !store.layout().tally_lock().exists());
}

#[test]
fn damage_begins_it_anew_and_a_newer_one_is_left_alone() {
    let home = Home::new();
    let store = home.open();
    store.count(at(2), &ended("a"), |_| true).unwrap();
    let path = store.layout().tally();
    let good = std::fs::read_to_string(&path).unwrap();
    overwrite(&path, good.replace("renewed", "reneweds").as_bytes());
    assert_eq!(store.tally(at(7)), Tally::begun(at(7)));
    store.count(at(8), &ended("a"), |_| true).unwrap();
    let tally = store.tally(at(9));
    assert_eq!((tally.since, tally.ended["renewed"]), (at(8), 1));
    overwrite(&path, b"acmeagent-tally 2 and whatever\n");
    let error = store.count(at(10), &ended("a"), |_| true).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { .. }), "{error}");
    assert_eq!(store.tally(at(11)), Tally::begun(at(11)));
}

#[test]
fn what_an_interrupted_writer_left_is_no_obstacle() {
    let home = Home::new();
    let store = home.open();
    std::fs::create_dir(store.layout().state_dir().join(".tally.tmp")).unwrap();
    store.count(at(2), &ended("a"), |_| true).unwrap();
    assert!(home.leftovers().is_empty());
}
