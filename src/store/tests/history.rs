//! What was done, kept for good.
#![allow(clippy::disallowed_methods, reason = "tests play those who tamper")]

use std::fs;
use std::io::Write;

use super::super::history::HistoryFault;
use super::*;
use crate::model::history::{Deed, Head, What};

fn deed(year: i64, text: &str) -> Deed {
    const YEAR: i64 = 31_556_952;
    let what = What::Decided { decision: "pinned".to_owned(), text: text.to_owned() };
    Deed { at: Timestamp::from_unix((year - 1970) * YEAR + 1_000_000), name: name(), what }
}

fn name() -> CertName {
    CertName::parse("a.example").unwrap()
}

fn texts(store: &Store) -> Vec<String> {
    let records = store.history(&[]).unwrap().into_iter();
    let text = |what| match what {
        What::Decided { text, .. } => text,
        other => panic!("{other:?}"),
    };
    records.map(|record| text(record.deed.what)).collect()
}

fn holds(store: &Store) -> Option<Head> {
    store.verify_history().unwrap()
}

#[track_caller]
fn is_broken(store: &Store, text: &str) {
    let fault = store.verify_history().unwrap_err();
    assert!(fault.to_string().starts_with(text), "{fault}");
}

#[test]
fn it_goes_on_from_run_to_run_and_from_year_to_year() {
    let home = Home::new();
    let store = home.open();
    assert_eq!((holds(&store), store.write_history(&[]).unwrap()), (None, None));
    assert!(!store.layout().history_dir().exists(), "nothing is written of nothing");
    let mut head = None;
    for (year, text) in [(2026, "a"), (2026, "b"), (2027, "c"), (2027, "d"), (2026, "e")] {
        head = store.write_history(&[deed(year, text), deed(year, "and")]).unwrap();
        assert_eq!(holds(&store), head);
    }
    assert_eq!(head.unwrap().seq, 10);
    assert_eq!(texts(&store).concat(), "aandbandcanddandeand");
    let other = CertName::parse("b.example").unwrap();
    assert_eq!(store.history(&[other]).unwrap(), []);
    assert_eq!(store.history(&[name()]).unwrap().len(), 10);
    let dir = store.layout().history_dir();
    let lines = |file: &str| fs::read_to_string(dir.join(file)).unwrap().lines().count();
    assert_eq!((lines("2026.jsonl"), lines("2027.jsonl")), (4, 6), "a clock put back ends no year");
    let facts = store.disk.look(&dir.join("2026.jsonl")).unwrap().unwrap();
    assert_eq!(facts.mode, 0o600);
}

#[test]
fn half_a_line_is_cut_off_by_the_next_writer() {
    let home = Home::new();
    let store = home.open();
    store.write_history(&[deed(2026, "a")]).unwrap();
    let path = store.layout().history_dir().join("2026.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"seq\":2,\"at").unwrap();
    assert_eq!(holds(&store).unwrap().seq, 1, "a reader passes over it");
    store.write_history(&[deed(2026, "b")]).unwrap();
    assert_eq!((holds(&store).unwrap().seq, texts(&store).concat()), (2, "ab".to_owned()));
}

#[test]
fn without_the_noted_head_it_goes_on_all_the_same() {
    let home = Home::new();
    let store = home.open();
    store.write_history(&[deed(2026, "a"), deed(2026, "b")]).unwrap();
    let head = store.layout().history_head();
    for damage in [None, Some(&b"nonsense"[..])] {
        match damage {
            None => fs::remove_file(&head).unwrap(),
            Some(damage) => overwrite(&head, damage),
        }
        holds(&store).unwrap();
        store.write_history(&[deed(2026, "c")]).unwrap();
    }
    assert_eq!((holds(&store).unwrap().seq, texts(&store).concat()), (4, "abcc".to_owned()));
}

#[test]
fn a_head_that_was_noted_too_early_in_time_is_caught_up_with() {
    let home = Home::new();
    let store = home.open();
    store.write_history(&[deed(2026, "a")]).unwrap();
    let path = store.layout().history_head();
    let earlier = fs::read(&path).unwrap();
    store.write_history(&[deed(2026, "b")]).unwrap();
    store.write_history(&[deed(2027, "c")]).unwrap();
    overwrite(&path, &earlier);
    store.write_history(&[deed(2027, "d")]).unwrap();
    assert_eq!((holds(&store).unwrap().seq, texts(&store).concat()), (4, "abcd".to_owned()));
}

/// Does something to the file with this text.
type Tamper = fn(&Store, &str);

#[test]
fn what_is_lost_stays_seen() {
    let tampers: [(Tamper, &str); 4] = [
        (|store, text| overwrite(&part(store), first_line(text).as_bytes()), "records 2 to 3 are"),
        (
            |store, text| overwrite(&part(store), text.replace("\"b\"", "\"x\"").as_bytes()),
            "record 2 was",
        ),
        (|store, _| fs::remove_file(part(store)).unwrap(), "records 1 to 3 are missing"),
        (|store, text| overwrite(&part(store), &text.as_bytes()[..text.len() - 9]), "record 3 is"),
    ];
    for (tamper, says) in tampers {
        let home = Home::new();
        let store = home.open();
        store.write_history(&[deed(2026, "a"), deed(2026, "b"), deed(2026, "c")]).unwrap();
        tamper(&store, &fs::read_to_string(part(&store)).unwrap());
        is_broken(&store, says);
        for _ in 0..2 {
            assert!(store.write_history(&[deed(2026, "d")]).unwrap().is_some());
            is_broken(&store, says);
        }
        assert!(texts(&store).ends_with(&["d".to_owned(), "d".to_owned()]));
    }
}

fn part(store: &Store) -> PathBuf {
    store.layout().history_dir().join("2026.jsonl")
}

fn first_line(text: &str) -> String {
    format!("{}\n", text.lines().next().unwrap())
}

#[test]
fn what_is_no_file_is_told() {
    let home = Home::new();
    let store = home.open();
    store.write_history(&[deed(2026, "a")]).unwrap();
    fs::remove_file(part(&store)).unwrap();
    fs::create_dir(part(&store)).unwrap();
    let fault = store.verify_history().unwrap_err();
    assert!(matches!(fault, HistoryFault::Store(StoreError::Damaged { .. })), "{fault}");
    assert!(store.write_history(&[deed(2026, "b")]).is_err());
}

#[test]
fn one_append_and_one_sync_a_run() {
    let home = Home::new();
    let disk = Arc::new(Crashing::slow(Duration::ZERO));
    let store = home.open_on(Arc::<Crashing>::clone(&disk)).unwrap();
    store.write_history(&[deed(2026, "a")]).unwrap();
    let before = disk.syncs();
    store.write_history(&[deed(2026, "b"), deed(2026, "c")]).unwrap();
    assert_eq!(disk.syncs(), before + 1);
    assert!(disk.unsynced().is_empty());
}

#[test]
fn whatever_fails_and_wherever_it_is_cut_off_it_goes_on_whole() {
    use rustix::io::Errno;
    for failure in [Failure::Crash, Failure::Once(Errno::NOSPC), Failure::Once(Errno::IO)] {
        for fails_at in 1.. {
            let home = Home::new();
            drop(home.open());
            let disk = Arc::new(Crashing::new(fails_at, failure, Lacks::default()));
            let store = Store::at(home.layout(), Arc::<Crashing>::clone(&disk) as Arc<dyn Disk>);
            let written = ["a", "b", "c"].map(|text| {
                let year = if text == "c" { 2027 } else { 2026 };
                store.write_history(&[deed(year, text)]).is_ok()
            });
            disk.cut_power();
            let store = home.open();
            store.write_history(&[deed(2027, "d")]).unwrap();
            let (head, texts) = (holds(&store).unwrap(), texts(&store));
            assert_eq!(head.seq as usize, texts.len(), "{failure:?} {fails_at}");
            for (text, written) in
                ["a", "b", "c", "d"].iter().zip(written.into_iter().chain([true]))
            {
                let kept = texts.iter().any(|kept| kept == text);
                assert!(kept || !written, "{failure:?} {fails_at}: {text} is lost of {texts:?}");
            }
            if !disk.failed() {
                break;
            }
        }
    }
}

#[test]
fn many_writers_make_one_chain() {
    let home = Home::new();
    let store = home.open();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let layout = store.layout().clone();
            scope.spawn(move || {
                let store = Store::at(layout, Arc::new(Real));
                for number in 0..25 {
                    let deed = deed(2026, &format!("{writer}.{number} "));
                    store.write_history(&[deed]).unwrap();
                }
            });
        }
    });
    assert_eq!(holds(&store).unwrap().seq, 100);
}
