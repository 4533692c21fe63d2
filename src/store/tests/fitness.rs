//! What the store says of the disk beneath it.

use super::super::fitness::Abilities;
use super::super::layout::Label;
use super::*;
use crate::model::file;

#[test]
fn what_the_file_system_can_do_is_tried_and_leaves_nothing() {
    let home = Home::new();
    let all = Abilities { links: true, exchanges: true };
    assert_eq!(Store::at(home.layout(), Arc::new(Real)).abilities().unwrap(), None, "no store yet");
    assert_eq!(home.open().abilities().unwrap(), Some(all));
    for (links, exchanges) in [(false, true), (true, false), (false, false)] {
        let lacks = Lacks { links: !links, exchange: !exchanges };
        let disk = Arc::new(Crashing::new(0, Failure::Crash, lacks));
        let store = home.open_on(disk).unwrap();
        assert_eq!(store.abilities().unwrap(), Some(Abilities { links, exchanges }));
    }
    assert_eq!(home.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn every_way_that_can_be_bent_is_told() {
    let home = Home::new();
    let store = home.open();
    assert!(store.room().unwrap().is_some());
    assert!(store.unsafe_ways().is_empty());
    let (state, live) = (store.layout().state_dir(), store.layout().live_dir());
    set_mode(&state, 0o770);
    set_mode(&live, 0o777);
    let told = store.unsafe_ways();
    let paths = told.iter().map(|error| match error {
        StoreError::Refused { path, .. } => path.clone(),
        other => panic!("{other}"),
    });
    assert_eq!(paths.collect::<Vec<_>>(), [live, state]);
    set_mode(home.path(), 0o777);
    assert_eq!(store.unsafe_ways().len(), 1, "the first step that can be bent is told once");
}

#[test]
fn what_was_copied_over_live_is_told() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    assert!(store.unlinked(&name()).unwrap().is_empty(), "nothing is live");
    deploy(&store, &lock, "a").unwrap();
    assert!(store.unlinked(&name()).unwrap().is_empty());
    let path = store.layout().live(&name()).join(file::CHAIN);
    let bytes = std::fs::read(&path).unwrap();
    store.disk.remove_file(&path).unwrap();
    overwrite(&path, &bytes);
    assert_eq!(store.unlinked(&name()).unwrap(), [path]);
}

#[test]
fn an_account_is_mended_and_its_former_one_kept() {
    let home = Home::new();
    let store = home.open();
    let [ca, id] = ["ca", "default"].map(|text| Label::parse(text).unwrap());
    let lock = store.lock_account(&ca, Duration::ZERO).unwrap();
    store.mend_account(&lock, &id).unwrap();
    assert!(store.read_account(&ca, &id).unwrap().is_none(), "nothing to mend");
    store.save_account(&lock, &id, b"one").unwrap();
    set_mode(&store.layout().account(&ca, &id), 0o644);
    store.mend_account(&lock, &id).unwrap();
    assert_eq!(store.read_account(&ca, &id).unwrap().unwrap().as_slice(), b"one");
    let kept = store.keep_account(&lock, &id, at(7)).unwrap();
    store.save_account(&lock, &id, b"two").unwrap();
    assert_eq!(std::fs::read(&kept).unwrap(), b"one");
    assert_eq!(kept.file_name().unwrap(), "default.json.old-1800000007");
    assert!(store.keep_account(&lock, &id, at(7)).is_err(), "what is kept is never written over");
}
