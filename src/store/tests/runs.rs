//! When `renew` ran.

use super::super::runs::Runs;
use super::*;

fn runs(seconds: impl IntoIterator<Item = i64>, resident: bool) -> Runs {
    Runs { at: seconds.into_iter().map(at).collect(), resident, good: None }
}

#[test]
fn the_last_eight_are_remembered() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.runs(at(0)), Runs::default());
    for second in 0..10 {
        store.note_run(at(second), second == 9);
    }
    assert_eq!(store.runs(at(9)), runs(2..10, true));
    store.note_run(at(2000), false);
    assert_eq!(store.runs(at(2000)), runs((3..10).chain([2000]), false));
    assert_eq!(store.runs(at(1600)), runs(3..10, false), "not what is long yet to come");
    assert_eq!(store.runs(at(1999)), store.runs(at(2000)), "clocks tremble");
}

#[test]
fn the_last_good_one_is_remembered_however_many_follow() {
    let home = Home::new();
    let store = home.open();
    store.note_run(at(0), false);
    store.note_good_run(at(1));
    for second in 2..20 {
        store.note_run(at(second), true);
    }
    assert_eq!(store.runs(at(19)), Runs { good: Some(at(1)), ..runs(12..20, true) });
    store.note_good_run(at(2000));
    assert_eq!(store.runs(at(2000)), Runs { good: Some(at(2000)), ..runs(12..20, true) });
    assert_eq!(store.runs(at(30)), runs(12..20, true), "not what is long yet to come");
}

#[test]
fn what_makes_no_sense_is_nothing() {
    let home = Home::new();
    let store = home.open();
    store.note_run(at(1), false);
    let path = store.layout().runs();
    let good = std::fs::read_to_string(&path).unwrap();
    overwrite(
        &path,
        format!("{}\nsoon\n{} now\ngood\ngood x\n{good}\0", &good[..9], good.trim()).as_bytes(),
    );
    assert_eq!(store.runs(at(1)), runs([1], false));
    store.disk.remove_file(&path).unwrap();
    store.disk.make_dir(&path, 0o700).unwrap();
    store.note_run(at(2), false);
    assert_eq!(store.runs(at(2)), Runs::default());
}

#[test]
fn nothing_is_noted_where_others_could_bend_the_way() {
    let home = Home::new();
    let store = home.open();
    let dir = store.layout().state_dir();
    rustix::fs::chmod(&dir, rustix::fs::Mode::from_raw_mode(0o777)).unwrap();
    store.note_run(at(1), false);
    assert_eq!(store.runs(at(1)), Runs::default());
}
