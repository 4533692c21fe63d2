//! When `renew` ran.

use super::super::runs::Runs;
use super::*;

fn runs(seconds: impl IntoIterator<Item = i64>, resident: bool) -> Runs {
    Runs { at: seconds.into_iter().map(at).collect(), resident }
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
fn what_makes_no_sense_is_nothing() {
    let home = Home::new();
    let store = home.open();
    store.note_run(at(1), false);
    let path = store.layout().runs();
    let good = std::fs::read_to_string(&path).unwrap();
    overwrite(&path, format!("{}\nsoon\n{} now\n{good}\0", &good[..9], good.trim()).as_bytes());
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
