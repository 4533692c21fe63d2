//! What others do to the files between two runs.

use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::super::journal::Rollout;
use super::super::recover::LiveRecovery;
use super::*;

#[test]
fn a_damaged_state_is_rebuilt_and_kept() {
    let damages: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |_| Vec::new(),
        |good| good[..good.len() / 2].to_vec(),
        |good| {
            String::from_utf8(good).unwrap().replace("\"failures\": 0", "\"failures\": 9").into()
        },
        |_| b"null".to_vec(),
    ];
    for damage in damages {
        let home = Home::new();
        let store = home.open();
        let lock = store.lock(&name()).unwrap();
        deploy(&store, &lock, "a").unwrap();
        let path = store.layout().state(&name());
        let damaged = damage(std::fs::read(&path).unwrap());
        overwrite(&path, &damaged);
        let recovery = store.recover(&lock).unwrap();
        assert!(recovery.state_repaired.is_some());
        assert_eq!(recovery.live, LiveRecovery::Intact(number(1)));
        assert_eq!(recovery.state.confirmed, Some(number(1)));
        let kept = path.with_file_name("example.com.json.damaged-1");
        assert_eq!(std::fs::read(kept).unwrap(), damaged);
        assert_eq!(store.recover(&lock).unwrap().state_repaired, None);
        assert_eq!(store.names().unwrap(), [name()].into());
    }
}

#[test]
fn a_rebuilt_state_does_not_undo_a_rollback() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let second = deploy(&store, &lock, "b").unwrap();
    let snapshot = store.take_snapshot(&[&lock], "rollback", at(1)).unwrap();
    store.switch(&lock, number(1), &snapshot, Rollout::default()).unwrap();
    store.confirm(&lock).unwrap();
    overwrite(&store.layout().state(&name()), b"");
    let state = store.recover(&lock).unwrap().state;
    assert_eq!(state.pin.map(|pin| (pin.generation, pin.until)), Some((number(1), at(576_000))));
    assert!(number(1) < second);
}

#[test]
fn a_newer_schema_is_left_alone() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let path = store.layout().state(&name());
    overwrite(&path, br#"{"schema": 99}"#);
    let before = home.tree();
    assert!(matches!(store.recover(&lock), Err(StoreError::NewerSchema { found: 99, .. })));
    assert!(matches!(store.confirm(&lock), Err(StoreError::NewerSchema { .. })));
    assert_eq!(home.tree(), before);
    assert_eq!(std::fs::read(path).unwrap(), br#"{"schema": 99}"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_mutation_of_a_state_gets_through(at in 0_usize..2000, bits in 1_u8..=255, cut in any::<bool>()) {
        let home = Home::new();
        let store = home.open();
        let lock = store.lock(&name()).unwrap();
        deploy(&store, &lock, "a").unwrap();
        let (good, _) = store.state(&name()).unwrap();
        let path = store.layout().state(&name());
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        if cut {
            bytes.truncate(at);
        }
        overwrite(&path, &bytes);
        match store.recover(&lock) {
            // A change of white space alone is no change.
            Ok(recovery) if recovery.state_repaired.is_none() => prop_assert_eq!(recovery.state, good),
            Ok(recovery) => prop_assert_eq!(recovery.live, LiveRecovery::Intact(number(1))),
            Err(error) => prop_assert!(matches!(error, StoreError::NewerSchema { .. }), "{}", error),
        }
    }
}

#[test]
fn a_damaged_generation_is_never_read() {
    for file in file::ALL {
        for damage in ["edited", "truncated", "missing", "swapped", "linked"] {
            let home = Home::new();
            let store = home.open();
            let lock = store.lock(&name()).unwrap();
            publish(&store, &lock, "a").unwrap();
            publish(&store, &lock, "b").unwrap();
            let path = store.layout().generation(&name(), number(1)).join(file);
            let other = store.layout().generation(&name(), number(2)).join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            unlink(&path);
            match damage {
                "edited" => {
                    bytes[3] ^= 1;
                    overwrite(&path, &bytes);
                }
                "truncated" => overwrite(&path, &bytes[..3]),
                "swapped" => overwrite(&path, &std::fs::read(other).unwrap()),
                "linked" => symlink(other, &path).unwrap(),
                _ => {}
            }
            let read = store.read(&name(), number(1));
            let caught =
                matches!(read, Err(StoreError::Damaged { .. } | StoreError::Refused { .. }));
            assert!(caught, "{file} {damage}: {read:?}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "damages what a test looks at")]
fn unlink(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_is_damaged_in_service_is_replaced_by_the_best_other() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    for serial in ["a", "b", "c"] {
        deploy(&store, &lock, serial).unwrap();
    }
    let key = store.layout().live(&name()).join(file::PRIVKEY);
    set_mode(&key, 0o600);
    overwrite(&key, b"not the key");
    set_mode(&key, 0o400);
    let recovery = store.recover(&lock).unwrap();
    let mended = matches!(recovery.live, LiveRecovery::Mended { to, ref why } if to == number(2) && why.contains("privkey.pem"));
    assert!(mended, "{:?}", recovery.live);
    assert_eq!(served(&store).as_deref(), Some("b"));
}

#[test]
fn nothing_good_left_is_said_and_a_new_one_can_take_its_place() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let cert = store.layout().live(&name()).join(file::CERT);
    unlink(&cert);
    remove_tree(&store.layout().archive(&name()));
    assert!(matches!(store.recover(&lock).unwrap().live, LiveRecovery::Lost { .. }));
    deploy(&store, &lock, "b").unwrap();
    assert_eq!(served(&store).as_deref(), Some("b"));
}

#[test]
fn a_lost_archive_is_made_anew_from_live() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    remove_tree(&store.layout().archive(&name()));
    assert_eq!(store.recover(&lock).unwrap().live, LiveRecovery::Intact(number(1)));
    store.read(&name(), number(1)).unwrap();
}

#[test]
fn a_lost_live_directory_comes_back() {
    for damage in [|live: &Path| remove_tree(live), |live: &Path| unlink(&live.join(file::CHAIN))] {
        let home = Home::new();
        let store = home.open();
        let lock = store.lock(&name()).unwrap();
        deploy(&store, &lock, "a").unwrap();
        publish(&store, &lock, "unjudged").unwrap();
        damage(&store.layout().live(&name()));
        let live = store.recover(&lock).unwrap().live;
        assert!(matches!(live, LiveRecovery::Mended { to, .. } if to == number(1)), "{live:?}");
        assert_eq!(served(&store).as_deref(), Some("a"));
    }
}

#[test]
fn a_generation_nobody_judged_does_not_go_live_by_itself() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    store.save_state(&lock, &super::super::journal::State::default()).unwrap();
    publish(&store, &lock, "a").unwrap();
    assert_eq!(store.recover(&lock).unwrap().live, LiveRecovery::Absent);
    assert_eq!(store.live(&name()).unwrap(), None);
}

#[test]
fn what_is_not_ours_is_neither_followed_nor_removed() {
    let outside = Home::new();
    overwrite(&outside.path().join("precious"), b"x");
    type Plant<'a> = &'a dyn Fn(&Path);
    let plants: [(&str, Plant<'_>); 4] = [
        ("file", &|live| overwrite(live, b"something")),
        ("dangling", &|live| symlink("nowhere", live).unwrap()),
        ("outside", &|live| symlink(outside.path(), live).unwrap()),
        ("pipe", &|live| {
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(rustix::fs::CWD, live, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        }),
    ];
    for (kind, plant) in plants {
        let home = Home::new();
        let store = home.open();
        let lock = store.lock(&name()).unwrap();
        deploy(&store, &lock, "a").unwrap();
        let live = store.layout().live(&name());
        remove_tree(&live);
        plant(&live);
        let before = home.tree();
        let refused = store.recover(&lock);
        let says = matches!(refused, Err(StoreError::Refused { ref path, ref mend, .. }) if *path == live && mend.contains("mv"));
        assert!(says, "{kind}: {refused:?}");
        let id = store.snapshots().unwrap()[0].id.clone();
        assert!(matches!(
            store.switch(&lock, number(1), &id, Rollout::default()),
            Err(StoreError::Refused { .. })
        ));
        assert_eq!(home.tree(), before, "{kind}");
        assert!(outside.path().join("precious").exists());
    }
}

#[test]
fn files_planted_at_temporary_names_do_no_harm() {
    let home = Home::new();
    let outside = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let archive = store.layout().archive(&name());
    make_dir(&archive.join(".tmp-0"));
    symlink(outside.path(), archive.join(".tmp-1")).unwrap();
    symlink(outside.path(), store.layout().live_next(&name())).unwrap();
    symlink(
        outside.path().join("x"),
        super::super::layout::temporary(&store.layout().state(&name())),
    )
    .unwrap();
    deploy(&store, &lock, "b").unwrap();
    assert_eq!(served(&store).as_deref(), Some("b"));
    assert_eq!(outside.tree(), Vec::<PathBuf>::new());
    store.recover(&lock).unwrap();
    assert_eq!(home.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn an_unsafe_store_is_refused_before_anything_is_made() {
    let home = Home::new();
    let open = home.path().join("open");
    make_dir(&open);
    set_mode(&open, 0o777);
    let store = Store::open(Layout::in_home(&open.join("store")), Arc::new(Real));
    assert!(
        matches!(store, Err(StoreError::Refused { ref path, .. }) if *path == open),
        "{store:?}"
    );
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
}

#[test]
fn a_full_disk_is_told_with_numbers() {
    let home = Home::new();
    let real = home.open();
    drop(real.lock(&name()).unwrap());
    let full = Failure::Forever(rustix::io::Errno::NOSPC);
    for fails_at in [1, 3, 6] {
        let disk = Arc::new(Crashing::new(fails_at, full, Lacks::default()));
        let store = Store::at(home.layout(), disk);
        let lock = store.lock(&name()).unwrap();
        let error = store.save_pending_key(&lock, b"key").unwrap_err();
        if fails_at < 6 {
            let text = error.to_string();
            assert!(text.starts_with("store full: need 64 KiB in"), "{text}");
        }
    }
}
