//! What the CAs were asked for is never forgotten, and never made up.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, symlink};

use proptest::prelude::*;
use rustix::io::Errno;

use super::super::journal::Rollout;
use super::*;
use crate::schedule::budget::{Budget, Entry, Relief, Request, What};
use crate::schedule::limits::{Limits, Scope};

const CA: &str = "le";
const LE: Limits = Limits::LETS_ENCRYPT;
const YEARS: i64 = 10 * 365 * 86_400;
/// What the exact set gets back, and when all of it is back.
const TOKEN: i64 = 120_960;
const WEEK: i64 = 5 * TOKEN;

fn set(host: usize) -> BTreeSet<Identifier> {
    [Identifier::parse(&format!("www.host{host}.com")).unwrap()].into()
}

fn entry(ca: &str, seconds: i64, what: What) -> Entry {
    Entry { at: at(seconds), ca: ca.to_owned(), what }
}

fn ordering_at(ca: &str, host: usize, seconds: i64) -> Entry {
    let name = CertName::parse(&format!("host{host}")).unwrap();
    entry(ca, seconds, What::Ordering { name, identifiers: set(host), relief: Relief::None })
}

fn ordering(host: usize, seconds: i64) -> Entry {
    ordering_at(CA, host, seconds)
}

fn request(host: usize) -> Request {
    Request { identifiers: set(host), relief: Relief::None, is_emergency: false, by_hand: false }
}

/// How many orders for the names of `host` were counted.
fn counted(budget: &Budget, host: usize, seconds: i64) -> u32 {
    let holdings = budget.holdings(&request(host), at(seconds));
    let exact = holdings.into_iter().find(|held| matches!(held.scope, Scope::ExactSet(_)));
    let exact = exact.unwrap();
    exact.rate.tokens - exact.left
}

fn order(store: &Store, host: usize, seconds: i64) -> Result<bool, StoreError> {
    store.account_for(CA, LE, at(seconds), |budget| {
        match budget.judge(&request(host), at(seconds)) {
            Ok(()) => (true, vec![ordering(host, seconds)]),
            Err(_) => (false, Vec::new()),
        }
    })
}

fn budget(store: &Store, seconds: i64) -> Budget {
    store.budget(CA, LE, at(seconds), Budget::clone).unwrap()
}

fn read(store: &Store) -> String {
    std::fs::read_to_string(store.layout().ledger()).unwrap()
}

fn asides(home: &Home) -> Vec<PathBuf> {
    let is_aside = |path: &PathBuf| path.to_string_lossy().starts_with("state/ledger.damaged-");
    home.tree().into_iter().filter(is_aside).collect()
}

/// As another process does it.
fn exchange(path: &Path, bytes: &[u8]) {
    let disk: &dyn Disk = &Real;
    disk.replace(path, bytes).unwrap();
}

#[test]
fn one_handle_sees_what_the_other_entered() {
    let home = Home::new();
    let stores = [home.open(), home.open()];
    let sent: Vec<_> = (0..6).map(|n| order(&stores[n % 2], 1, 0).unwrap()).collect();
    assert_eq!(sent, [true, true, true, true, false, false]);
    assert!(order(&stores[0], 2, 0).unwrap(), "other names have a bucket of their own");
    let settled = What::Settled { name: CertName::parse("host2").unwrap(), issued: false };
    stores[1].enter(CA, LE, &[entry(CA, 1, settled)]).unwrap();
    assert_eq!(counted(&budget(&stores[0], 1), 2, 1), 0, "given back");
    let text = read(&stores[0]);
    assert_eq!((text.lines().next(), text.lines().count()), (Some("acmeagent-ledger 1"), 1 + 6));
    let mode = std::fs::metadata(stores[0].layout().ledger()).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(stores[0].ledger_repaired(), None);
}

#[test]
fn looking_needs_nothing_and_writes_nothing() {
    let home = Home::new();
    let nothing = Store::at(home.layout(), Arc::new(Real));
    assert_eq!(counted(&budget(&nothing, 0), 1, 0), 0);
    assert_eq!(home.tree(), Vec::<PathBuf>::new());
    order(&home.open(), 1, 0).unwrap();
    let dead = Crashing::new(1, Failure::Forever(Errno::ROFS), Lacks::default());
    let read_only = Store::at(home.layout(), Arc::new(dead));
    assert_eq!(counted(&budget(&read_only, 0), 1, 0), 1);
    assert!(matches!(order(&read_only, 1, 0), Err(StoreError::Disk(error)) if error.is_broken()));
    let full = Crashing::new(1, Failure::Forever(Errno::NOSPC), Lacks::default());
    let full = Store::at(home.layout(), Arc::new(full));
    assert!(matches!(order(&full, 1, 0), Err(StoreError::Full { .. })));
    assert_eq!(counted(&budget(&nothing, 0), 1, 0), 1);
}

#[test]
fn half_a_line_is_not_believed_and_cut_off() {
    let half = serde_json::to_string(&ordering(1, 0)).unwrap();
    for torn in ["{", &half[..30], &half, "\0\0\0\0"] {
        let home = Home::new();
        let store = home.open();
        order(&store, 1, 0).unwrap();
        let good = read(&store);
        overwrite(&store.layout().ledger(), format!("{good}{torn}").as_bytes());
        for store in [&store, &home.open()] {
            assert_eq!(counted(&budget(store, 0), 1, 0), 1, "{torn:?}");
        }
        order(&store, 1, 0).unwrap();
        assert!(read(&store).starts_with(&good) && read(&store).lines().count() == 3, "{torn:?}");
        assert_eq!((store.ledger_repaired(), asides(&home)), (None, vec![]));
    }
}

#[test]
fn of_a_damaged_ledger_what_can_be_read_is_kept() {
    type Damage = fn(&str) -> String;
    let table: [(&str, Damage, u32); 6] = [
        ("a line", |good| good.replacen("{\"at\"", "{\"ta\"", 1), 2),
        ("zeros", |good| good.replacen("{\"at\"", "\0\0\0\0\0", 1), 2),
        ("no first line", |good| good.split_once('\n').unwrap().1.to_owned(), 3),
        ("another first line", |good| good.replacen("ledger", "LEDGER", 1), 3),
        ("empty", |_| String::new(), 0),
        ("cut in the first line", |good| good[..7].to_owned(), 0),
    ];
    for (damage, of, left) in table {
        let home = Home::new();
        let store = home.open();
        (0..3).for_each(|_| assert!(order(&store, 1, 0).unwrap()));
        overwrite(&home.path().join("state/ledger.damaged-1"), b"of long ago");
        let damaged = of(&read(&store));
        exchange(&store.layout().ledger(), damaged.as_bytes());
        for other in [&store, &home.open()] {
            assert_eq!(counted(&budget(other, 0), 1, 0), left, "{damage}");
        }
        assert_eq!(read(&store), damaged, "{damage}: looking writes nothing");
        order(&store, 1, 0).unwrap();
        assert_eq!(counted(&budget(&home.open(), 0), 1, 0), left + 1, "{damage}");
        let kept = format!("state/ledger.damaged-{}", at(0).unix());
        assert_eq!(asides(&home), [PathBuf::from(&kept)], "{damage}");
        assert_eq!(std::fs::read_to_string(home.path().join(kept)).unwrap(), damaged);
        assert!(store.ledger_repaired().is_some(), "{damage}");
        assert_eq!(store.ledger_repaired(), None, "said once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_mutation_stops_the_work(at in 0_usize..2000, bits in 1_u8..=255, cut in any::<bool>()) {
        let home = Home::new();
        (0..3).for_each(|host| assert!(order(&home.open(), host, 0).unwrap()));
        let path = home.layout().ledger();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        if cut {
            bytes.truncate(at);
        }
        overwrite(&path, &bytes);
        match order(&home.open(), 9, 0) {
            Ok(sent) => {
                prop_assert!(sent);
                prop_assert_eq!(counted(&budget(&home.open(), 0), 9, 0), 1);
                let mended = home.open();
                order(&mended, 9, 0).unwrap();
                prop_assert_eq!(mended.ledger_repaired(), None, "once is enough");
            }
            Err(error) => prop_assert!(matches!(error, StoreError::NewerSchema { .. }), "{}", error),
        }
    }
}

#[test]
fn what_is_no_file_is_moved_aside() {
    for foreign in ["link", "directory"] {
        let home = Home::new();
        let store = home.open();
        let target = home.path().join("elsewhere");
        overwrite(&target, b"not ours\n");
        match foreign {
            "link" => symlink(&target, store.layout().ledger()).unwrap(),
            _ => make_dir(&store.layout().ledger()),
        }
        assert_eq!(counted(&budget(&store, 0), 1, 0), 0);
        assert!(order(&store, 1, 0).unwrap());
        assert!(store.ledger_repaired().is_some());
        assert_eq!(asides(&home).len(), 1, "{foreign}");
        assert_eq!(std::fs::read(&target).unwrap(), b"not ours\n");
        assert_eq!(counted(&budget(&home.open(), 0), 1, 0), 1);
    }
}

#[test]
fn a_newer_ledger_is_left_alone() {
    let home = Home::new();
    let store = home.open();
    order(&store, 1, 0).unwrap();
    let newer = read(&store).replace("ledger 1", "ledger 2");
    for store in [store, home.open()] {
        exchange(&store.layout().ledger(), newer.as_bytes());
        let before = home.tree();
        let refusals = [
            store.budget(CA, LE, at(0), |_| ()),
            order(&store, 1, 0).map(|_| ()),
            store.enter(CA, LE, &[ordering(1, 0)]),
        ];
        for refusal in refusals {
            let newer = matches!(refusal, Err(StoreError::NewerSchema { found: 2, known: 1, .. }));
            assert!(newer, "{refusal:?}");
        }
        assert_eq!((read(&store), home.tree()), (newer.clone(), before));
    }
}

#[test]
fn a_clock_that_was_ahead_does_not_block_for_years() {
    let home = Home::new();
    let stores = [home.open(), home.open()];
    (0..4).for_each(|_| assert!(order(&stores[0], 1, YEARS).unwrap()));
    let told = What::Refused { scope: Scope::Orders, until: at(YEARS + 7200) };
    stores[0].enter(CA, LE, &[entry(CA, YEARS, told)]).unwrap();
    let unknown = What::Level { scope: Scope::Orders, full_at: (at(YEARS + 60).unix()) * 1000 };
    stores[0].enter("other", LE, &[entry("other", YEARS, unknown)]).unwrap();
    // The clock is right again, in the same process and in another.
    for store in &stores {
        assert_eq!(counted(&budget(store, 0), 1, 0), 4);
        assert!(!order(store, 1, 0).unwrap(), "what was asked for was asked for");
        let shortage = budget(store, 0).judge(&request(2), at(0)).unwrap_err();
        assert_eq!(shortage.until, at(7200));
        budget(store, 0).judge(&request(1), at(TOKEN)).unwrap();
    }
    // It was written as of then, so it does not move with the time.
    for store in &stores {
        assert_eq!(counted(&budget(store, TOKEN), 1, TOKEN), 3);
    }
    let other = home.open().budget("other", LE, at(0), Budget::clone).unwrap();
    let orders = |seconds| other.holdings(&request(1), at(seconds))[0].clone();
    assert_eq!((orders(0).left, orders(61).left), (298, 300));
}

#[test]
fn a_clock_that_was_behind_is_caught_up_with() {
    let home = Home::new();
    let store = home.open();
    (0..4).for_each(|_| assert!(order(&store, 1, 0).unwrap()));
    assert_eq!(counted(&budget(&store, -YEARS), 1, -YEARS), 4, "looked at by a clock in the past");
    assert!(!order(&store, 1, 10).unwrap(), "and by one that is right");
    assert_eq!(counted(&budget(&store, TOKEN), 1, TOKEN), 3);
}

/// Orders, gives back, orders; says of which hosts the orders were promised.
fn run(store: &Store) -> Vec<usize> {
    let mut promised = Vec::new();
    for host in 0..4 {
        if order(store, host, 0).is_ok() {
            promised.push(host);
        }
        let unproven = What::Unproven { identifier: Identifier::parse("x.example").unwrap() };
        let _ = store.enter(CA, LE, &[entry(CA, 0, unproven)]);
    }
    promised
}

#[test]
fn what_was_promised_survives_a_failure_and_a_power_cut_at_any_change() {
    let failures = [
        Failure::Crash,
        Failure::Once(Errno::IO),
        Failure::Once(Errno::NOSPC),
        Failure::Forever(Errno::IO),
    ];
    for failure in failures {
        for damaged in [false, true] {
            for fails_at in 1.. {
                let home = Home::new();
                let context = format!("{failure:?} at {fails_at}, damaged {damaged}");
                let whole = home.open();
                order(&whole, 9, 0).unwrap();
                if damaged {
                    let torn = format!("{}what?\n", read(&whole));
                    overwrite(&whole.layout().ledger(), torn.as_bytes());
                }
                let disk = Arc::new(Crashing::new(fails_at, failure, Lacks::default()));
                let promised = run(&Store::at(home.layout(), disk.clone()));
                disk.cut_power();
                let after = home.open();
                let known = budget(&after, 0);
                for host in promised.iter().chain([&9]) {
                    assert_eq!(counted(&known, *host, 0), 1, "{context}: host {host}");
                }
                (0..4).for_each(|host| assert!(counted(&known, host, 0) <= 1, "{context}"));
                assert!(order(&after, 1, 0).unwrap(), "{context}");
                assert_eq!(home.leftovers(), Vec::<PathBuf>::new(), "{context}");
                assert!(asides(&home).len() <= usize::from(damaged), "{context}");
                if !disk.failed() {
                    assert_eq!(promised, [0, 1, 2, 3], "{context}");
                    assert!(fails_at > 12, "{context}: only so many changes");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_failed_sync_is_answered_with_a_new_file() {
    let home = Home::new();
    order(&home.open(), 1, 0).unwrap();
    let inode = || std::fs::metadata(home.layout().ledger()).unwrap().ino();
    let before = inode();
    // The first change is the line, the second its sync.
    let disk = Arc::new(Crashing::new(2, Failure::Once(Errno::IO), Lacks::default()));
    let store = Store::at(home.layout(), disk.clone());
    assert!(matches!(order(&store, 1, 0), Err(StoreError::Disk(_))));
    assert_eq!(inode(), before);
    assert!(order(&store, 1, 0).unwrap());
    assert_ne!(inode(), before);
    assert_eq!(counted(&budget(&home.open(), 0), 1, 0), 3, "what may be there is counted");
}

#[test]
fn twenty_threads_of_two_handles_do_not_overdraw() {
    let home = Home::new();
    let stores = [home.open(), home.open()];
    let work = |thread: usize| {
        let store = &stores[thread % 2];
        (0..10).filter(|host| order(store, *host, 0).unwrap()).count()
    };
    let work = &work;
    let sent: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(sent, 10 * 4);
    assert_eq!(read(&stores[0]).lines().count(), 1 + 40);
    for host in 0..10 {
        assert_eq!(counted(&budget(&stores[1], 0), host, 0), 4);
    }
}

#[test]
fn many_are_synced_together() {
    let home = Home::new();
    home.open();
    let disk = Arc::new(Crashing::slow(Duration::from_millis(10)));
    let store = Store::at(home.layout(), disk.clone());
    let work = |thread: usize| {
        (0..63).for_each(|n| {
            let host = thread * 63 + n;
            let enter = |_: &Budget| ((), vec![ordering_at("unlimited", host, 0)]);
            store.account_for("unlimited", Limits::UNKNOWN, at(0), enter).unwrap();
        });
    };
    let work = &work;
    std::thread::scope(|scope| {
        (0..16).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
    assert_eq!(read(&store).lines().count(), 1 + 16 * 63);
    assert!(disk.syncs() < 16 * 63 / 4, "{} syncs", disk.syncs());
}

#[test]
fn a_ledger_written_anew_judges_as_before() {
    let home = Home::new();
    let stores = [home.open(), home.open()];
    assert!(order(&stores[1], 1, 0).unwrap(), "the other handle has its books open");
    let page = "https://ca.test/unpause".to_owned();
    let paused = Identifier::parse("www.host3.com").unwrap();
    let mut entries = vec![
        entry(CA, 0, What::Paused { identifier: paused.clone(), page: page.clone() }),
        entry(
            CA,
            0,
            What::Refused { scope: Scope::Domain("host2.com".to_owned()), until: at(9000) },
        ),
        ordering_at("other", 1, -9 * 86_400),
        ordering_at("other", 2, -7 * 86_400),
    ];
    entries.extend((0..3).map(|_| ordering(1, 0)));
    let settled = || What::Settled { name: CertName::parse("host5").unwrap(), issued: false };
    let mut exempt = ordering(5, 10);
    if let What::Ordering { relief, .. } = &mut exempt.what {
        *relief = Relief::Ari;
    }
    entries.extend((0..2100).flat_map(|_| [exempt.clone(), entry(CA, 10, settled())]));
    stores[0].enter(CA, LE, &entries).unwrap();
    let before = budget(&stores[0], 20);
    assert!(read(&stores[0]).lines().count() > 4200);
    assert!(!order(&stores[0], 1, 20).unwrap());
    assert!(read(&stores[0]).lines().count() < 20, "{}", read(&stores[0]));
    for store in stores.iter().chain([&home.open()]) {
        let after = budget(store, 20);
        for host in 0..6 {
            for seconds in [20, 8999, 9000, TOKEN, WEEK] {
                let judge = |budget: &Budget| budget.judge(&request(host), at(seconds));
                assert_eq!(judge(&before), judge(&after), "{host} {seconds}");
            }
        }
        assert_eq!(after.pages().collect::<Vec<_>>(), [(&paused, page.as_str())]);
        let other = store.budget("other", LE, at(0), Budget::clone).unwrap();
        assert_eq!([counted(&other, 1, -7 * 86_400), counted(&other, 2, -7 * 86_400)], [0, 1]);
    }
    assert!(order(&stores[1], 4, 20).unwrap(), "and goes on");
    assert_eq!(counted(&budget(&stores[0], 20), 4, 20), 1);
}

#[test]
fn limits_may_change_while_the_books_are_open() {
    let home = Home::new();
    let store = home.open();
    (0..4).for_each(|_| assert!(order(&store, 1, 0).unwrap()));
    let staging = store.budget(CA, Limits::LETS_ENCRYPT_STAGING, at(0), Budget::clone).unwrap();
    assert_eq!(counted(&staging, 1, 0), 4);
    staging.judge(&request(1), at(0)).unwrap();
    assert!(!order(&store, 1, 0).unwrap());
}

#[test]
fn going_back_to_a_snapshot_gives_nothing_back() {
    let home = Home::new();
    let store = home.open();
    let lock = store.lock(&name()).unwrap();
    deploy(&store, &lock, "a").unwrap();
    let id = store.take_snapshot(&[&lock], "test", at(0)).unwrap();
    order(&store, 1, 0).unwrap();
    let before = read(&store);
    let back = store.restore(&id, &lock).unwrap();
    store.switch(&lock, back, &id, Rollout::default()).unwrap();
    store.confirm(&lock).unwrap();
    store.recover(&lock).unwrap();
    store.forget(lock).unwrap();
    assert_eq!(read(&store), before);
    assert!(
        home.tree().iter().all(
            |path| !path.starts_with("snapshots") || !path.to_string_lossy().contains("ledger")
        )
    );
    assert_eq!(store.names().unwrap(), [].into());
}
