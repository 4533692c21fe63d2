use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::super::Wiring;
use super::*;
use crate::config::main_settings::MainSettings;
use crate::model::event::{Event, Sink};
use crate::model::name::Identifier;
use crate::model::proof::Proof;
use crate::model::time::{Clock, Validity, Window};
use crate::schedule::budget::{Entry, Relief, What};
use crate::schedule::limits::Limits;
use crate::store::Store;
use crate::store::archive::GenerationFiles;
use crate::store::disk::{Access, Real};
use crate::store::journal::{AriFacts, Fate, LastFailure, NextRenewal, Pin, QueuedDeploy, Rollout};
use crate::store::layout::Layout;

/// The certificates here live this long.
const LIFE: u64 = 160;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000).plus(Duration::from_secs(hours * 3600))
}

struct Nobody;

impl Sink for Nobody {
    fn note(&self, _: Event) {}
}

struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn name(text: &str) -> CertName {
    CertName::parse(text).unwrap()
}

fn generation(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

/// A store in a home of its own.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Store {
        Store::open(Layout::in_home(self.0.path()), Arc::new(Real)).unwrap()
    }

    /// A certificate with so many generations, each issued ten hours after the one before; the last
    /// is live. What is known of it is changed as said.
    fn holds(&self, host: &str, generations: u32, change: impl FnOnce(&mut Facts)) {
        let (store, name) = (self.store(), name(host));
        let lock = store.lock(&name).unwrap();
        let settings = format!("identifiers = [\"{host}\"]\nca = [\"letsencrypt\"]\n");
        store.write_settings(&lock, settings.as_bytes()).unwrap();
        for number in 1..=generations {
            let not_before = at(u64::from(number - 1) * 10);
            let not_after = not_before.plus(Duration::from_secs(LIFE * 3600 - 1));
            let meta = Meta {
                identifiers: vec![Identifier::parse(host).unwrap()],
                ca: "letsencrypt".to_owned(),
                profile: Some("shortlived".to_owned()),
                account_url: String::new(),
                order_url: String::new(),
                issued_at: not_before,
                validity: Validity { not_before, not_after },
                fingerprint: format!("{number:064x}"),
                ari_id: Some(format!("id.{number}")),
                serial: "01".to_owned(),
                key_type: "p256".to_owned(),
                proof: Proof::default(),
            };
            let files = GenerationFiles {
                cert: b"cert",
                chain: b"chain",
                fullchain: b"fullchain",
                privkey: Zeroizing::new(b"key".to_vec()),
                meta,
                access: Access::default(),
            };
            store.publish(&lock, &files).unwrap();
        }
        let snapshot = store.take_snapshot(&[&lock], "a test", at(0)).ok();
        let snapshot = snapshot.unwrap_or_else(|| {
            crate::model::generation::SnapshotId::parse("20270115T080000Z-1").unwrap()
        });
        store.switch(&lock, generation(generations), &snapshot, Rollout::default()).unwrap();
        store.confirm(&lock).unwrap();
        let mut facts = store.state(&name).unwrap().0;
        change(&mut facts);
        store.save_state(&lock, &facts).unwrap();
    }

    fn agent(&self, now: Timestamp) -> Agent {
        let (_, stop) = watch::channel(false);
        Agent::new(Wiring {
            store: Arc::new(self.store()),
            main: MainSettings::default(),
            clock: Arc::new(Stopped(now)),
            sink: Arc::new(Nobody),
            launch: Box::new(|| Box::pin(async { Err("not wanted".into()) })),
            handed: Arc::default(),
            stop,
        })
    }

    fn seen(&self, now: Timestamp, depth: Depth) -> Outlook {
        let agent = self.agent(now);
        let names = super::super::certificates(agent.store()).unwrap();
        agent.outlook(&names, depth)
    }
}

#[expect(clippy::disallowed_methods, reason = "damages what a test looks at")]
fn overwrite(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn all_that_is_known_of_a_certificate() {
    let home = Home::new();
    let window = Window::new(at(90), at(93)).unwrap();
    home.holds("a.example", 3, |facts| {
        let (source, reason) = ("ari".to_owned(), "so".to_owned());
        facts.next_renewal = Some(NextRenewal { at: at(91), source, reason });
        facts.ari = Some(AriFacts {
            window,
            cert_id: "id.3".to_owned(),
            explanation_url: Some("https://ca.example/why".to_owned()),
            fetched_at: at(30),
            poll_at: at(36),
        });
        facts.rollbacks = vec![at(1), at(31)];
        facts.befell(
            generation(2),
            Fate { at: at(25), kind: FateKind::RolledBack, why: "refused".to_owned() },
        );
    });
    let seen = home.seen(at(32), Depth::Past);
    let [one] = seen.certificates.as_slice() else { panic!("{seen:?}") };
    assert_eq!((one.name.as_str(), one.ca.as_deref()), ("a.example", Some("letsencrypt")));
    assert_eq!(one.identifiers, [Identifier::parse("a.example").unwrap()]);
    assert_eq!(one.profile.as_deref(), Some("shortlived"));
    let numbers =
        |held: &[Held]| held.iter().map(|one| one.generation.number()).collect::<Vec<_>>();
    assert_eq!(numbers(&one.generations), [1, 2, 3]);
    assert_eq!(one.live.as_ref(), one.generations.last());
    let fate = Some(("rolled_back".to_owned(), "refused".to_owned()));
    assert_eq!(one.generations[1].fate, fate);
    assert_eq!(one.next.as_ref().map(|next| next.at), Some(at(91)));
    let advice = one.advice.as_ref().unwrap();
    assert_eq!((advice.window, advice.fetched_at, advice.poll_at), (window, at(30), at(36)));
    let end = one.live.as_ref().unwrap().validity.not_after;
    assert_eq!(one.last_safe_attempt, Some(end.minus(Duration::from_secs(600))));
    assert!(one.attempts_left.unwrap() > 30, "{:?}", one.attempts_left);
    assert_eq!(one.rollbacks, [at(31)]);
    assert!(!one.at_risk && one.unreadable.is_none() && one.queue.is_empty());
    let now = home.seen(at(32), Depth::Now);
    assert_eq!(numbers(&now.certificates[0].generations), [3]);
    assert!(!seen.host.is_empty() && seen.at == at(32) && seen.runs.last_good.is_none());
}

#[test]
fn what_fails_is_at_risk_when_little_is_left() {
    let home = Home::new();
    home.holds("a.example", 1, |facts| {
        facts.failures = 4;
        let message = "no".to_owned();
        facts.last_failure = Some(LastFailure { at: at(100), message, retry_at: at(106) });
        let (source, reason) = ("retry".to_owned(), "so".to_owned());
        facts.next_renewal = Some(NextRenewal { at: at(106), source, reason });
    });
    home.holds("b.example", 2, |facts| {
        facts.pin = Some(Pin { generation: generation(2), until: at(170) });
        let target = "web".to_owned();
        facts.deploy_queue =
            vec![QueuedDeploy { target, generation: generation(2), attempts: 1, next_at: at(99) }];
    });
    home.holds("c.example", 1, |_| {});
    // hours, and of each whether it is at risk and whether attempts are left
    let table = [
        (100, [(false, true), (false, true), (false, true)]),
        (150, [(true, true), (false, true), (false, true)]),
        (160, [(true, false), (true, true), (false, false)]),
    ];
    for (now, expected) in table {
        let seen = home.seen(at(now), Depth::Now);
        let found = seen.certificates.iter().map(|one| (one.at_risk, one.attempts_left != Some(0)));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{now}");
    }
    let seen = home.seen(at(100), Depth::Now);
    let [a, b, _] = seen.certificates.as_slice() else { panic!("{seen:?}") };
    assert_eq!(a.last_failure.as_ref().map(|failed| failed.retry_at), Some(at(106)));
    assert_eq!((b.pinned_until, b.queue.len()), (Some(at(170)), 1));
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let home = Home::new();
    for host in ["a.example", "b.example", "c.example"] {
        home.holds(host, 1, |_| {});
    }
    let layout = Layout::in_home(home.0.path());
    overwrite(&layout.state(&name("a.example")), r#"{"schema": 99, "body": {}}"#);
    overwrite(&layout.settings(&name("b.example")), "identifers = []");
    overwrite(&layout.ledger(), "nonsense");
    let seen = home.seen(at(1), Depth::Past);
    let why = seen.certificates.iter().map(|one| one.unreadable.as_deref().unwrap_or_default());
    let why: Vec<&str> = why.collect();
    assert!(why[0].contains("newer version"), "{why:?}");
    assert!(why[1].contains("identifers"), "{why:?}");
    assert_eq!(why[2], "");
    let live = seen.certificates.iter().map(|one| one.live.is_some()).collect::<Vec<_>>();
    assert_eq!(live, [false, true, true]);
}

#[test]
fn of_limits_those_are_told_that_something_was_taken_of() {
    let home = Home::new();
    home.holds("a.example", 1, |_| {});
    let store = home.store();
    let order = |host: &str| Entry {
        at: at(1),
        ca: "letsencrypt".to_owned(),
        what: What::Ordering {
            name: name(host),
            identifiers: [Identifier::parse(host).unwrap()].into(),
            relief: Relief::None,
        },
    };
    let entries = |hosts: Vec<String>| hosts.iter().map(|host| order(host)).collect::<Vec<_>>();
    let count = |hosts| {
        store.enter("letsencrypt", Limits::LETS_ENCRYPT, &entries(hosts)).unwrap();
        let told = home.seen(at(1), Depth::Now).allowances.into_iter();
        told.map(|one| (one.limit, one.of, one.left, one.tokens)).collect::<Vec<_>>()
    };
    let row = |limit: &str, of: &str, left, tokens| (limit.to_owned(), of.to_owned(), left, tokens);
    let none = [row("registrations", "", 10, 10), row("orders", "", 300, 300)];
    assert_eq!(count(Vec::new()), none);
    let one = [
        row("exact_set", "a.example", 4, 5),
        row("domain", "a.example", 49, 50),
        row("orders", "", 299, 300),
        row("registrations", "", 10, 10),
    ];
    assert_eq!(count(vec!["a.example".to_owned()]), one);
    let many = count((0..200).map(|number| format!("{number}.test")).collect());
    assert_eq!(many.len(), MOST_ALLOWANCES);
    assert!(many.contains(&row("orders", "", 99, 300)), "the least is left of it: {many:?}");
}
