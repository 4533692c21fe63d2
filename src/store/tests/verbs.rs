//! The calls of the room one by one.

use std::os::unix::fs::MetadataExt;

use super::super::journal::Rollout;
use super::super::journal::{Pin, State};
use super::super::layout::Label;
use super::super::recover::LiveRecovery;
use super::super::snapshot::{Mismatch, MismatchKind};
use super::*;

#[test]
fn a_generation_is_read_back_as_it_was_given() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    assert_eq!(publish(&store, &lock, "a").unwrap(), number(1));
    assert_eq!(publish(&store, &lock, "b").unwrap(), number(2));
    let stored = store.read(&name(), number(2)).unwrap();
    assert_eq!((stored.cert.as_slice(), stored.meta), (&b"cert of b\n"[..], meta("b")));
    assert_eq!(stored.privkey.as_slice(), b"privkey of b\n");
    assert_eq!(store.generations(&name()).unwrap(), [number(1), number(2)]);
    assert_eq!(store.live(&name()).unwrap(), None);
}

#[test]
fn keys_and_folders_have_the_declared_modes() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    store.save_pending_key(&lock, b"key").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&store.layout().pending(&name())), 0o600);
    let generation = deploy(&store, &lock, "a").unwrap();
    for file in file::ALL {
        assert_eq!(mode(&store.layout().live(&name()).join(file)), 0o400, "{file}");
    }
    assert_eq!(mode(&store.layout().generation(&name(), generation)), 0o700);
    assert_eq!(mode(&store.layout().live(&name())), 0o755);
    assert_eq!(mode(&store.layout().accounts_dir()), 0o700);
    let files = GenerationFiles {
        cert: b"c",
        chain: b"",
        fullchain: b"c",
        privkey: Zeroizing::new(b"k".to_vec()),
        meta: meta("b"),
        access: Access { mode: 0o440, ..Access::default() },
    };
    let wider = store.publish(&lock, &files).unwrap();
    let key = store.layout().generation(&name(), wider).join(file::PRIVKEY);
    assert_eq!(mode(&key), 0o440);
    store.read(&name(), wider).unwrap();
    set_mode(&key, 0o444);
    let refused = store.read(&name(), wider);
    assert!(matches!(refused, Err(StoreError::Refused { ref mend, .. }) if mend.contains("0440")));
}

#[test]
fn live_is_links_into_the_archive_and_is_exchanged_whole() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    for serial in ["a", "b"] {
        let generation = deploy(&store, &lock, serial).unwrap();
        assert_eq!(store.live(&name()).unwrap(), Some(generation));
        assert_eq!(served(&store).as_deref(), Some(serial));
        let inode = |dir: PathBuf| std::fs::metadata(dir.join(file::PRIVKEY)).unwrap().ino();
        let archived = store.layout().generation(&name(), generation);
        assert_eq!(inode(store.layout().live(&name())), inode(archived));
    }
    assert_eq!(home.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn switching_back_marks_bad_and_cannot_be_forgotten() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let second = publish(&store, &lock, "b").unwrap();
    let snapshot = store.take_snapshot(&[&lock], "test", at(0)).unwrap();
    store.switch(&lock, second, &snapshot, Rollout::default()).unwrap();
    let recovery = store.recover(&lock).unwrap();
    assert_eq!(
        recovery.unfinished.map(|intent| (intent.to, intent.from)),
        Some((second, Some(number(1))))
    );
    assert_eq!(go_back(&store, &lock).unwrap(), Some(number(1)));
    assert_eq!(served(&store).as_deref(), Some("a"));
    let (state, _) = store.state(&name()).unwrap();
    assert!(state.bad.contains(&second) && state.intent.is_none());
    // Were live to be lost now, the bad generation would not be chosen.
    remove_tree(&store.layout().live(&name()));
    let live = store.recover(&lock).unwrap().live;
    assert!(matches!(live, LiveRecovery::Mended { to, .. } if to == number(1)), "{live:?}");
    remove_tree(&store.layout().live(&name()));
    remove_tree(&store.layout().generation(&name(), number(1)));
    let live = store.recover(&lock).unwrap().live;
    assert!(matches!(live, LiveRecovery::Lost { .. }), "{live:?}");
}

/// The operator wants what a way back was cut off on the way to: it is that which proves good.
#[test]
fn what_proves_good_in_the_middle_of_a_way_back_is_what_is_live() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    let first = deploy(&store, &lock, "a").unwrap();
    let second = publish(&store, &lock, "b").unwrap();
    let snapshot = store.take_snapshot(&[&lock], "test", at(0)).unwrap();
    store.switch(&lock, second, &snapshot, Rollout::default()).unwrap();
    store.turn_back(&lock, "a test", false).unwrap();
    store.switch(&lock, first, &snapshot, Rollout::default()).unwrap();
    store.confirm(&lock).unwrap();
    let (state, _) = store.state(&name()).unwrap();
    assert_eq!((state.confirmed, state.intent), (Some(first), None));
    assert_eq!(store.live(&name()).unwrap(), Some(first));
}

#[test]
fn a_file_of_somebody_else_in_live_is_not_deleted() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    overwrite(&store.layout().live(&name()).join("combined.pem"), b"mine");
    deploy(&store, &lock, "b").unwrap();
    let kept = home.tree().into_iter().find(|path| path.ends_with("combined.pem")).unwrap();
    assert!(kept.starts_with("live") && !kept.starts_with("live/example.com"), "{kept:?}");
}

#[test]
fn locks_name_their_holder_and_die_with_it() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    let Err(StoreError::Locked { holder, .. }) = home.open().lock(&name()) else { panic!() };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert!(holder.since.is_some());
    drop(lock);
    store.lock(&name()).unwrap();
    let ca = Label::parse("test").unwrap();
    let held = store.lock_account(&ca, Duration::ZERO).unwrap();
    let waiting = store.lock_account(&ca, Duration::from_millis(20));
    assert!(matches!(waiting, Err(StoreError::Locked { .. })));
    drop(held);
    store.lock_account(&ca, Duration::ZERO).unwrap();
}

#[test]
fn one_of_many_gets_the_lock() {
    let home = Home::new();
    let store = home.open();
    let barrier = std::sync::Barrier::new(20);
    let try_once = || {
        barrier.wait();
        let lock = store.lock(&name());
        barrier.wait();
        lock.is_ok()
    };
    let got = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(try_once)).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
    });
    assert_eq!(got, 1);
}

#[test]
fn accounts_and_settings_are_kept_for_us_alone() {
    let home = Home::new();
    let store = home.open();
    let (ca, id) = (Label::parse("test").unwrap(), Label::parse("1").unwrap());
    let lock = store.lock_account(&ca, Duration::ZERO).unwrap();
    assert!(store.read_account(&ca, &id).unwrap().is_none());
    store.save_account(&lock, &id, b"one").unwrap();
    store.save_account(&lock, &id, b"two").unwrap();
    assert_eq!(store.read_account(&ca, &id).unwrap().unwrap().as_slice(), b"two");
    set_mode(&store.layout().account(&ca, &id), 0o640);
    assert!(matches!(store.read_account(&ca, &id), Err(StoreError::Refused { .. })));
    store.remove_account(&lock, &id).unwrap();
    assert!(store.read_account(&ca, &id).unwrap().is_none());
    let held = store.lock(&name()).unwrap();
    store.write_settings(&held, b"x = 1\n").unwrap();
    let mode = std::fs::metadata(store.layout().settings(&name())).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_snapshot_survives_the_archive() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    store.write_settings(&lock, b"before\n").unwrap();
    deploy(&store, &lock, "a").unwrap();
    let id = store.take_snapshot(&[&lock], "by hand", at(5)).unwrap();
    deploy(&store, &lock, "b").unwrap();
    store.write_settings(&lock, b"after\n").unwrap();
    remove_tree(&store.layout().archive(&name()));
    remove_tree(&store.layout().live(&name()));
    let back = store.restore(&id, &lock).unwrap();
    assert_eq!(back, number(1));
    store.switch(&lock, back, &id, Rollout::default()).unwrap();
    store.confirm(&lock).unwrap();
    assert_eq!(served(&store).as_deref(), Some("a"));
    assert_eq!(std::fs::read(store.layout().settings(&name())).unwrap(), b"before\n");
    let newest = store.snapshots().unwrap().pop().unwrap();
    assert_eq!((newest.reason.as_str(), newest.certificates), ("by hand", vec![name()]));
}

#[test]
fn numbers_are_never_given_twice() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    for serial in ["a", "b", "c"] {
        deploy(&store, &lock, serial).unwrap();
    }
    remove_tree(&store.layout().archive(&name()));
    assert_eq!(publish(&store, &lock, "d").unwrap(), number(4), "live holds 3");
    remove_tree(&store.layout().archive(&name()));
    remove_tree(&store.layout().live(&name()));
    assert_eq!(publish(&store, &lock, "e").unwrap(), number(3), "a snapshot holds 2");
}

#[test]
fn an_edit_in_place_is_named() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let id = store.take_snapshot(&[&lock], "test", at(5)).unwrap();
    assert_eq!(store.verify_snapshot(&id).unwrap(), []);
    let chain = store.layout().live(&name()).join(file::CHAIN);
    set_mode(&chain, 0o600);
    overwrite(&chain, b"edited");
    let changed =
        Mismatch { name: name(), file: file::CHAIN.to_owned(), what: MismatchKind::Changed };
    assert_eq!(store.verify_snapshot(&id).unwrap(), [changed]);
    assert!(matches!(store.restore(&id, &lock), Err(StoreError::Damaged { .. })));
    let mut tar = Vec::new();
    assert!(matches!(store.export(&id, &mut tar), Err(StoreError::Damaged { .. })));
}

#[test]
fn an_export_holds_everything() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    store.write_settings(&lock, b"x\n").unwrap();
    deploy(&store, &lock, "a").unwrap();
    let id = store.take_snapshot(&[&lock], "test", at(5)).unwrap();
    let mut bytes = Vec::new();
    store.export(&id, &mut bytes).unwrap();
    let mut paths = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o400);
        let path = entry.path().unwrap().into_owned();
        paths.push(path.strip_prefix(id.as_str()).unwrap().display().to_string());
    }
    let of = |file: &str| format!("example.com/{file}");
    let mut wanted = vec!["manifest.json".to_owned(), of("settings.toml"), of("state.json")];
    wanted.extend(file::ALL.map(of));
    wanted.sort();
    paths.sort();
    assert_eq!(paths, wanted);
}

#[test]
fn pruning_counts_per_certificate() {
    let home = Home::new();
    let store = home.open();
    let other = CertName::parse("other").unwrap();
    let (a, b) = (store.lock(&name()).unwrap(), store.lock(&other).unwrap());
    let none = store.take_snapshot(&[], "nothing", at(0));
    assert!(matches!(none, Err(StoreError::NothingToKeep)));
    let first = store.take_snapshot(&[&a, &b], "both", at(0)).unwrap();
    let ids: Vec<_> = (0..3).map(|_| store.take_snapshot(&[&a], "one", at(1)).unwrap()).collect();
    assert_eq!(store.prune(2).unwrap(), [ids[0].clone()]);
    let left: Vec<_> = store.snapshots().unwrap().into_iter().map(|info| info.id).collect();
    assert_eq!(left, [first.clone(), ids[1].clone(), ids[2].clone()]);
    store.take_snapshot(&[&b], "one", at(2)).unwrap();
    assert_eq!(store.prune(1).unwrap(), [ids[1].clone(), first]);
}

#[test]
fn many_snapshots_of_one_second_stay_in_order() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    let ids: Vec<_> = (0..12).map(|_| store.take_snapshot(&[&lock], "x", at(1)).unwrap()).collect();
    let listed: Vec<_> = store.snapshots().unwrap().into_iter().map(|info| info.id).collect();
    assert_eq!(listed, ids);
}

#[test]
fn forgetting_leaves_only_the_snapshots() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    store.write_settings(&lock, b"x\n").unwrap();
    deploy(&store, &lock, "a").unwrap();
    let id = store.take_snapshot(&[&lock], "before delete", at(3)).unwrap();
    assert_eq!(store.names().unwrap(), [name()].into());
    store.forget(lock).unwrap();
    assert_eq!(store.names().unwrap(), [].into());
    let left =
        home.tree().into_iter().filter(|path| path.to_string_lossy().contains("example.com"));
    assert!(
        left.clone().all(|path| path.starts_with("snapshots")),
        "{:?}",
        left.collect::<Vec<_>>()
    );
    let lock = store.lock(&name()).unwrap();
    assert_eq!(store.restore(&id, &lock).unwrap(), number(1));
    assert_eq!(store.names().unwrap(), [name()].into());
}

#[test]
fn forgetting_can_be_repeated_after_any_crash() {
    for fails_at in 1.. {
        let home = Home::new();
        let store = home.open();
        let lock = store.lock(&name()).unwrap();
        store.write_settings(&lock, b"x\n").unwrap();
        deploy(&store, &lock, "a").unwrap();
        drop(lock);
        let disk = Arc::new(Crashing::new(fails_at, Failure::Crash, Lacks::default()));
        let crashing = Store::at(home.layout(), disk.clone());
        let forgotten = crashing.forget(crashing.lock(&name()).unwrap());
        if !disk.failed() {
            forgotten.unwrap();
            return;
        }
        if store.names().unwrap().contains(&name()) {
            store.forget(store.lock(&name()).unwrap()).unwrap();
        }
        assert_eq!(store.names().unwrap(), [].into(), "crash at {fails_at}");
    }
}

#[test]
fn state_is_kept_between_runs() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.state(&name()).unwrap(), (State::default(), None));
    let lock = store.lock(&name()).unwrap();
    let pin = Some(Pin { generation: number(3), until: at(9) });
    let state = State { failures: u32::MAX, pin, bad: [number(7)].into(), ..State::default() };
    store.save_state(&lock, &state).unwrap();
    assert_eq!(home.open().state(&name()).unwrap(), (state, None));
}

#[test]
fn the_order_of_a_published_generation_is_settled() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    store.save_pending_key(&lock, b"key").unwrap();
    let Meta { order_url, ca, account_url, identifiers, .. } = meta("a");
    let order = OrderJournal {
        url: order_url,
        ca,
        account_url,
        replaces: None,
        identifiers,
        profile: None,
        opened_at: at(0),
    };
    let state = State { order: Some(order), ..State::default() };
    store.save_state(&lock, &state).unwrap();
    assert_eq!(store.recover(&lock).unwrap().state.order, state.order, "still to be resumed");
    assert!(store.pending_key(&lock).unwrap().is_some());
    publish(&store, &lock, "a").unwrap();
    assert_eq!(store.recover(&lock).unwrap().state.order, None);
    assert!(store.pending_key(&lock).unwrap().is_none());
}
