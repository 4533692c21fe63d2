//! What was told.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::super::layout::Label;
use super::*;

type Told = BTreeMap<String, u32>;

#[test]
fn what_was_told_is_kept_and_damage_is_nothing() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.alerts::<Told>(), Told::new());
    let told = Told::from([("ops".to_owned(), 1)]);
    let lock = store.lock_alerts(Duration::ZERO).unwrap();
    store.save_alerts(&lock, &told).unwrap();
    assert_eq!(store.alerts::<Told>(), told);
    overwrite(&store.layout().alerts(), b"{}");
    assert_eq!(store.alerts::<Told>(), Told::new());
    store.save_alerts(&lock, &told).unwrap();
    assert_eq!(store.alerts::<Told>(), told);
}

#[test]
fn one_run_tells() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock_alerts(Duration::ZERO).unwrap();
    let other = home.open().lock_alerts(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(&other, StoreError::Locked { .. }), "{other}");
    drop(lock);
    home.open().lock_alerts(Duration::ZERO).unwrap();
}

#[test]
fn a_message_for_a_program_is_no_certificate_and_goes_again() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock_alerts(Duration::ZERO).unwrap();
    let label = Label::parse("ops").unwrap();
    let path = store.put_message(&lock, &label, b"1").unwrap();
    assert_eq!(store.put_message(&lock, &label, b"2").unwrap(), path);
    assert_eq!(std::fs::read(&path).unwrap(), b"2");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    assert!(store.names().unwrap().is_empty());
    store.take_message(&lock, &label);
    assert!(!path.exists());
}
