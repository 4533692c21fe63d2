//! Stops a run after every single change of the disk, in every way, and looks at what is left.

use rustix::io::Errno;

use super::super::disk::Act;
use super::super::index::Wake;
use super::super::journal::Rollout;
use super::super::recover::LiveRecovery;
use super::*;

/// One whole run, as the pipeline does it; `serial` is what the CA would issue.
fn run(store: &Store, serial: &str) -> Result<Generation, StoreError> {
    let lock = store.lock(&name())?;
    let recovery = store.recover(&lock)?;
    match recovery.unfinished {
        Some(intent) if intent.rollout.back.is_some() => store.went_back(&lock)?,
        Some(_) => store.confirm(&lock)?,
        None => {}
    }
    store.write_settings(&lock, b"ca = \"test\"\n")?;
    if store.pending_key(&lock)?.is_none() {
        store.save_pending_key(&lock, b"a private key")?;
    }
    let (mut state, _) = store.state(&name())?;
    state.order = Some(order(serial));
    store.save_state(&lock, &state)?;
    let generation = publish(store, &lock, serial)?;
    store.drop_pending(&lock)?;
    state.order = None;
    store.save_state(&lock, &state)?;
    let snapshot = store.take_snapshot(&[&lock], "before deploying", at(1))?;
    store.switch(&lock, generation, &snapshot, Rollout::default())?;
    store.confirm(&lock)?;
    store.update_index(&name(), Wake { at: Some(at(100)), ..Wake::default() })?;
    store.prune(1)?;
    Ok(generation)
}

fn order(serial: &str) -> OrderJournal {
    let Meta { order_url, ca, account_url, identifiers, .. } = meta(serial);
    OrderJournal {
        url: order_url,
        ca,
        account_url,
        replaces: None,
        identifiers,
        profile: None,
        opened_at: at(0),
    }
}

/// Runs with a failure at every change until one gets through untouched; returns how many there were.
fn at_every_change(failure: Failure, lacks: Lacks, renewal: bool) -> usize {
    for fails_at in 1.. {
        let home = Home::new();
        if renewal {
            run(&home.open_on(Arc::new(Crashing::new(0, failure, lacks))).unwrap(), "old").unwrap();
        }
        let disk = Arc::new(Crashing::new(fails_at, failure, lacks));
        let outcome = home.open_on(disk.clone()).and_then(|store| run(&store, "new"));
        let context = format!("{failure:?} at change {fails_at}, {lacks:?}, renewal {renewal}");
        if !disk.failed() {
            outcome.expect(&context);
            assert_eq!(disk.unsynced(), [].into(), "a power cut would take names away");
            return fails_at - 1;
        }
        look_after(&home, fails_at, lacks, renewal, outcome.is_ok(), &context);
    }
    unreachable!("a run has an end");
}

fn look_after(home: &Home, n: usize, lacks: Lacks, renewal: bool, ended: bool, context: &str) {
    let store = home.open_on(Arc::new(Crashing::new(0, Failure::Crash, lacks))).unwrap();
    let allowed = |found: Option<&str>| match found {
        None => !renewal,
        Some("old") => renewal,
        found => found == Some("new"),
    };
    // Before anybody repairs anything. Without exchange there may be a moment without live.
    if !lacks.exchange || store.layout().live(&name()).exists() {
        let found = served(&store);
        assert!(allowed(found.as_deref()), "{context}: {found:?} is served");
        assert!(!ended || found.as_deref() == Some("new"), "{context}: said it was done");
    }
    {
        let lock = store.lock(&name()).unwrap();
        let recovery = store.recover(&lock).expect(context);
        let found = served(&store);
        assert!(allowed(found.as_deref()), "{context}: {found:?} after recovery");
        assert!(
            matches!(recovery.live, LiveRecovery::Absent | LiveRecovery::Intact(_)),
            "{context}: a crash damages nothing: {recovery:?}"
        );
        let unproved = found.as_deref() == Some("new")
            && recovery.state.confirmed != store.live(&name()).unwrap();
        assert_eq!(recovery.unfinished.is_some(), unproved, "{context}: {recovery:?}");
        let hidden = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with('.');
        assert_eq!(home.leftovers().iter().find(|path| hidden(path)), None, "{context}");
        if let Some(intent) = recovery.unfinished {
            assert_eq!(intent.rollout.back, None, "{context}");
            assert_eq!(store.live(&name()).unwrap(), Some(intent.to), "{context}");
            if n.is_multiple_of(2) {
                go_back(&store, &lock).expect(context);
                assert_eq!(served(&store).as_deref(), Some(if renewal { "old" } else { "new" }));
            }
        }
        assert_eq!(store.recover(&lock).expect(context).swept, 0, "{context}");
    }
    let generation = run(&store, "next").expect(context);
    assert_eq!(served(&store).as_deref(), Some("next"), "{context}");
    let (state, repaired) = store.state(&name()).unwrap();
    assert_eq!((state.confirmed, &state.intent, repaired), (Some(generation), &None, None));
    assert_eq!(home.leftovers(), Vec::<PathBuf>::new(), "{context}");
    for snapshot in store.snapshots().unwrap() {
        assert_eq!(store.verify_snapshot(&snapshot.id).unwrap(), [], "{context}");
    }
}

#[test]
fn a_crash_at_any_change_leaves_old_or_new() {
    for renewal in [false, true] {
        let changes = at_every_change(Failure::Crash, Lacks::default(), renewal);
        assert!(changes > 50, "only {changes} changes were tried");
    }
}

#[test]
fn an_error_at_any_change_leaves_old_or_new() {
    for renewal in [false, true] {
        for errno in [Errno::DQUOT, Errno::IO] {
            at_every_change(Failure::Once(errno), Lacks::default(), renewal);
        }
        for errno in [Errno::NOSPC, Errno::ROFS] {
            at_every_change(Failure::Forever(errno), Lacks::default(), renewal);
        }
    }
}

#[test]
fn poorer_file_systems_keep_the_promise_too() {
    let poor = [
        Lacks { links: true, exchange: false },
        Lacks { links: false, exchange: true },
        Lacks { links: true, exchange: true },
    ];
    for lacks in poor {
        at_every_change(Failure::Crash, lacks, true);
        at_every_change(Failure::Once(Errno::IO), lacks, true);
    }
}

#[test]
fn what_the_file_system_lacks_is_said() {
    for (links, exchange) in [(false, false), (true, false), (false, true)] {
        let home = Home::new();
        let disk = Crashing::new(0, Failure::Crash, Lacks { exchange, links });
        let store = home.open_on(Arc::new(disk)).unwrap();
        let lock = store.lock(&name()).unwrap();
        deploy(&store, &lock, "a").unwrap();
        let second = publish(&store, &lock, "b").unwrap();
        let snapshot = store.take_snapshot(&[&lock], "test", at(0)).unwrap();
        let switched = store.switch(&lock, second, &snapshot, Rollout::default()).unwrap();
        assert_eq!((switched.copied, switched.in_two_steps), (links, exchange));
    }
}

#[test]
fn a_failed_sync_is_answered_with_new_inodes_once() {
    let publish_with = |fails_at, failure| {
        let home = Home::new();
        let whole = home.open();
        let disk = Arc::new(Crashing::new(fails_at, failure, Lacks::default()));
        let store = Store::at(home.layout(), disk.clone());
        let published = publish(&store, &store.lock(&name()).unwrap(), "x");
        let act = match published {
            Ok(generation) => whole.read(&name(), generation).map(|_| None).unwrap(),
            Err(StoreError::Disk(error)) => Some(error.act),
            Err(error) => panic!("{error}"),
        };
        (disk.failed(), act)
    };
    let mut retried = 0;
    for fails_at in 1.. {
        let once = publish_with(fails_at, Failure::Once(Errno::IO));
        let forever = publish_with(fails_at, Failure::Forever(Errno::IO));
        match (once, forever) {
            ((false, _), _) => break,
            ((_, None), (_, Some(_))) => retried += 1,
            // Any other failure is not retried: it would fail again, or hide something.
            ((_, Some(act)), (_, Some(_))) => assert_ne!(act, Act::Sync, "{fails_at}"),
            (_, (_, None)) => panic!("published on a dead disk"),
        }
    }
    assert_eq!(retried, 5 + 3, "five files, the archive twice, the folder once");
}

#[test]
fn a_way_back_once_begun_is_gone_to_its_end() {
    for fails_at in 1.. {
        let home = Home::new();
        let whole = home.open();
        let lock = whole.lock(&name()).unwrap();
        deploy(&whole, &lock, "old").unwrap();
        let bad = publish(&whole, &lock, "new").unwrap();
        let snapshot = whole.take_snapshot(&[&lock], "test", at(1)).unwrap();
        whole.switch(&lock, bad, &snapshot, Rollout::default()).unwrap();
        let disk = Arc::new(Crashing::new(fails_at, Failure::Crash, Lacks::default()));
        let went = go_back(&Store::at(home.layout(), disk.clone()), &lock);
        let recovery = whole.recover(&lock).unwrap();
        let judged = recovery.state.bad.contains(&bad);
        assert_eq!(served(&whole).as_deref(), Some(if judged { "old" } else { "new" }));
        let back = recovery.unfinished.map(|intent| intent.rollout.back.is_some());
        // Its targets are yet to be told of the old one, unless the record of that was the last thing.
        assert!(
            back == Some(judged) || (judged && back.is_none()),
            "crash at {fails_at}: {back:?}"
        );
        if !disk.failed() {
            assert_eq!(went.unwrap(), Some(number(1)));
            return;
        }
    }
}
