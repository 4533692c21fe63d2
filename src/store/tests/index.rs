//! What is due when.

use super::super::index::{IndexRead, Stamp};
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

fn rebuild(store: &Store, wakes: &[Option<i64>]) {
    let entry = |(number, wake): (usize, &Option<i64>)| (named(number), wake.map(at));
    let entries: Vec<_> = wakes.iter().enumerate().map(entry).collect();
    store.rebuild_index(&stale(store), &entries).unwrap();
}

#[test]
fn only_what_is_due_is_named() {
    let home = Home::new();
    let store = home.open();
    rebuild(&store, &[Some(50), None, Some(10), Some(99)]);
    let table = [
        (9, vec![], Some(10)),
        (10, vec![2], Some(50)),
        (60, vec![2, 0], Some(99)),
        (100, vec![2, 0, 3], None),
    ];
    for (now, due, next) in table {
        let due = due.into_iter().map(named).collect();
        let wanted = IndexRead::Fresh { due, held: 4, next: next.map(at) };
        assert_eq!(store.due_from_index(at(now)).unwrap(), wanted, "{now}");
    }
}

#[test]
fn updates_move_one_line() {
    let home = Home::new();
    let store = home.open();
    store.update_index(&named(0), Some(at(1))).unwrap();
    stale(&store);
    rebuild(&store, &[Some(40), Some(2)]);
    store.update_index(&named(7), None).unwrap();
    let wanted = IndexRead::Fresh { due: vec![named(1)], held: 3, next: Some(at(40)) };
    assert_eq!(store.due_from_index(at(5)).unwrap(), wanted, "what came before it is not in it");
    store.update_index(&named(1), Some(at(30))).unwrap();
    let wanted = IndexRead::Fresh { due: vec![], held: 3, next: Some(at(30)) };
    assert_eq!(store.due_from_index(at(5)).unwrap(), wanted);
}

#[test]
fn the_end_of_a_pass_moves_only_what_nobody_wrote_since() {
    let home = Home::new();
    let store = home.open();
    rebuild(&store, &[Some(1), Some(2), Some(10), Some(50), None]);
    let (began, later) = (at(10), at(90));
    let wakes: Vec<_> = [0, 2, 3, 4, 7].map(|number| (named(number), later)).into();
    store.update_due(began, &wakes).unwrap();
    let wanted = IndexRead::Fresh { due: [1, 2, 3].map(named).into(), held: 5, next: Some(later) };
    assert_eq!(store.due_from_index(at(60)).unwrap(), wanted);
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
        good.replace("index 1", "index 2"),
        good.replace("host0", "../.."),
        good.replace("1800000001", "soon"),
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
    let wakes: Vec<_> = (0..100).map(|_| Some(0)).collect();
    rebuild(&stores[0], &wakes);
    std::thread::scope(|scope| {
        for number in 0..100 {
            let store = &stores[number % 2];
            let wake = at(1000 + i64::try_from(number).unwrap());
            scope.spawn(move || store.update_index(&named(number), Some(wake)).unwrap());
        }
    });
    let wanted = IndexRead::Fresh { due: Vec::new(), held: 100, next: Some(at(1000)) };
    assert_eq!(stores[0].due_from_index(at(999)).unwrap(), wanted);
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
    let wanted = IndexRead::Fresh { due: Vec::new(), held: 10_000, next: Some(at(500)) };
    assert_eq!(store.due_from_index(at(0)).unwrap(), wanted);
}
