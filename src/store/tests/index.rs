//! What is due when.

use super::super::index::{IndexRead, Stamp, Wake};
use super::*;

fn named(number: usize) -> CertName {
    CertName::parse(&format!("host{number}.example.com")).unwrap()
}

fn stale(store: &Store) -> Stamp {
    match store.due_from_index(at(0)).unwrap() {
        IndexRead::Stale(stamp) => stamp,
        fresh @ IndexRead::Fresh { .. } => panic!("{fresh:?}"),
    }
}

fn wakes(seconds: impl Into<Option<i64>>) -> Wake {
    Wake { at: seconds.into().map(at), ..Wake::default() }
}

fn fresh(due: &[usize], held: usize, next: Option<i64>) -> IndexRead {
    let due = due.iter().copied().map(named).collect();
    IndexRead::Fresh { due, failing: Vec::new(), held, next: next.map(at) }
}

fn rebuild(store: &Store, entries: &[Option<i64>]) {
    rebuild_with(store, &entries.iter().map(|wake| wakes(*wake)).collect::<Vec<_>>());
}

fn rebuild_with(store: &Store, wakes: &[Wake]) {
    let entry = |(number, wake): (usize, &Wake)| (named(number), *wake);
    let entries: Vec<_> = wakes.iter().enumerate().map(entry).collect();
    store.rebuild_index(&stale(store), &entries).unwrap();
}

#[test]
fn only_what_is_due_is_named() {
    let home = Home::new();
    let store = home.open();
    rebuild(&store, &[Some(50), None, Some(10), Some(99)]);
    let table: [(i64, &[usize], Option<i64>); 4] = [
        (9, &[], Some(10)),
        (10, &[2], Some(50)),
        (60, &[2, 0], Some(99)),
        (100, &[2, 0, 3], None),
    ];
    for (now, due, next) in table {
        assert_eq!(store.due_from_index(at(now)).unwrap(), fresh(due, 4, next), "{now}");
    }
}

#[test]
fn the_least_runway_comes_first() {
    let home = Home::new();
    let store = home.open();
    let expiring =
        |wake: i64, expires: Option<i64>| Wake { expires: expires.map(at), ..wakes(wake) };
    let entries = [
        expiring(1, Some(900)),
        expiring(2, Some(300)),
        expiring(3, None),
        Wake { failing: true, ..expiring(4, Some(600)) },
        expiring(5, Some(100)),
    ];
    rebuild_with(&store, &entries);
    assert_eq!(store.due_from_index(at(4)).unwrap(), fresh(&[2, 1, 3, 0], 5, Some(5)));
}

#[test]
fn those_that_are_failing_are_named_whatever_their_time() {
    let home = Home::new();
    let store = home.open();
    let failing = |wake: i64| Wake { failing: true, ..wakes(wake) };
    rebuild_with(&store, &[wakes(50), failing(70), wakes(90), failing(30)]);
    let table = [
        (9, vec![], vec![3, 1], Some(30)),
        (30, vec![3], vec![1], Some(50)),
        (60, vec![3, 0], vec![1], Some(70)),
        (80, vec![3, 1, 0], vec![], Some(90)),
        (90, vec![3, 1, 0, 2], vec![], None),
    ];
    for (now, due, failing, next) in table {
        let [due, failing] = [due, failing].map(|which| which.into_iter().map(named).collect());
        let wanted = IndexRead::Fresh { due, failing, held: 4, next: next.map(at) };
        assert_eq!(store.due_from_index(at(now)).unwrap(), wanted, "{now}");
    }
    store.update_index(&named(1), wakes(60)).unwrap();
    let wanted =
        IndexRead::Fresh { due: vec![], failing: vec![named(3)], held: 4, next: Some(at(30)) };
    assert_eq!(store.due_from_index(at(9)).unwrap(), wanted, "no longer failing");
}

#[test]
fn updates_move_one_line() {
    let home = Home::new();
    let store = home.open();
    store.update_index(&named(0), wakes(1)).unwrap();
    stale(&store);
    rebuild(&store, &[Some(40), Some(2)]);
    store.update_index(&named(7), wakes(None)).unwrap();
    let wanted = fresh(&[1], 3, Some(40));
    assert_eq!(store.due_from_index(at(5)).unwrap(), wanted, "what came before it is not in it");
    store.update_index(&named(1), wakes(30)).unwrap();
    assert_eq!(store.due_from_index(at(5)).unwrap(), fresh(&[], 3, Some(30)));
}

#[test]
fn the_end_of_a_pass_moves_only_what_nobody_wrote_since() {
    let home = Home::new();
    let store = home.open();
    rebuild(&store, &[Some(1), Some(2), Some(10), Some(50), None]);
    let looked_at: Vec<_> = [0, 2, 3, 4, 7].map(|number| (named(number), wakes(90))).into();
    store.update_due(at(10), &looked_at).unwrap();
    assert_eq!(store.due_from_index(at(60)).unwrap(), fresh(&[1, 2, 3], 5, Some(90)));
}

#[test]
fn the_index_is_stale_when_others_touch_the_settings_and_not_when_we_do() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    rebuild(&store, &[Some(1)]);
    store.write_settings(&lock, b"x\n").unwrap();
    assert!(matches!(store.due_from_index(at(0)).unwrap(), IndexRead::Fresh { .. }));
    store.forget(lock).unwrap();
    assert!(matches!(store.due_from_index(at(0)).unwrap(), IndexRead::Fresh { .. }));
    overwrite(&store.layout().settings(&named(5)), b"by hand");
    rebuild(&store, &[Some(1)]);
    overwrite(&store.layout().main_settings(), b"by hand");
    let stamp = stale(&store);
    let lock = store.lock(&name()).unwrap();
    store.write_settings(&lock, b"x\n").unwrap();
    assert_ne!(stale(&store), stamp, "our change must not hide the one before it");
}

#[test]
fn an_odd_index_is_stale() {
    let home = Home::new();
    let store = home.open();
    rebuild(&store, &[Some(1), Some(200)]);
    let path = store.layout().index();
    let good = std::fs::read_to_string(&path).unwrap();
    let bad = [
        String::new(),
        good[..good.len() - 4].to_owned(),
        good.replace("index 2", "index 1"),
        good.replace("host0", "../.."),
        good.replace("1800000001", "soon"),
        good.replacen(" - -", " soon -", 1),
        good.replacen("- host", "perhaps host", 1),
        // As an earlier version wrote it.
        good.replace("index 2", "index 1").replace(" - -", ""),
    ];
    for text in bad {
        overwrite(&path, text.as_bytes());
        let read = store.due_from_index(at(5)).unwrap();
        assert!(matches!(read, IndexRead::Stale(_)), "{text:?}: {read:?}");
    }
}

#[test]
fn updates_in_parallel_all_arrive() {
    let home = Home::new();
    let stores = [home.open(), home.open()];
    rebuild(&stores[0], &[Some(0); 100]);
    std::thread::scope(|scope| {
        for number in 0..100 {
            let store = &stores[number % 2];
            let wake = wakes(1000 + i64::try_from(number).unwrap());
            scope.spawn(move || store.update_index(&named(number), wake).unwrap());
        }
    });
    assert_eq!(stores[0].due_from_index(at(999)).unwrap(), fresh(&[], 100, Some(1000)));
}

#[test]
fn reading_stops_at_the_first_that_is_not_due() {
    let home = Home::new();
    let store = home.open();
    rebuild(&store, &vec![Some(500); 10_000]);
    // Were it to read on, this line would make it stale.
    let path = store.layout().index();
    let text = std::fs::read_to_string(&path).unwrap();
    overwrite(&path, text.replace("host9999", "HOST9999").as_bytes());
    assert_eq!(store.due_from_index(at(0)).unwrap(), fresh(&[], 10_000, Some(500)));
}
