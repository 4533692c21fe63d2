use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::certificate::KeyType;
use crate::model::generation::SnapshotId;
use crate::model::name::Identifier;
use crate::model::proof::Proof;
use crate::model::time::{Validity, Window};
use crate::store::journal::{
    AriFacts, Intent, LastFailure, OrderJournal, Pin, QueuedDeploy, Rollout,
};

const HOUR: u64 = 3600;
/// The certificates here live this long.
const LIFE: u64 = 160;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000).plus(Duration::from_secs(hours * HOUR))
}

fn generation(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

fn names(names: &[&str]) -> Vec<Identifier> {
    names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

fn settings() -> CertSettings {
    CertSettings { identifiers: names(&["a.example", "b.example"]), ..CertSettings::default() }
}

/// A generation issued `issued` hours after the beginning.
fn held(number: u32, issued: u64) -> (Generation, Meta) {
    let validity = Validity { not_before: at(issued), not_after: at(issued + LIFE) };
    let meta = Meta {
        identifiers: names(&["b.example", "a.example"]),
        ca: "x".to_owned(),
        profile: None,
        account_url: "https://ca.example/1".to_owned(),
        order_url: format!("https://ca.example/order/{number}"),
        issued_at: at(issued),
        validity,
        fingerprint: format!("{number:064}"),
        ari_id: Some(format!("id.{number}")),
        serial: "01".to_owned(),
        key_type: KeyType::default().as_str().to_owned(),
        proof: Proof::default(),
    };
    (generation(number), meta)
}

/// Generation `live` in service, `newest` the newest; the n-th is issued n hours after the beginning.
fn standing(live: Option<u32>, newest: Option<u32>) -> Standing {
    let held = |number: Option<u32>| number.map(|number| held(number, number.into()));
    Standing { live: held(live), newest: held(newest), ..Standing::default() }
}

fn with(live: u32, newest: u32, change: impl FnOnce(&mut Facts)) -> Standing {
    let mut standing = standing(Some(live), Some(newest));
    change(&mut standing.facts);
    standing
}

fn queued(number: u32, next_at: u64) -> QueuedDeploy {
    let target = "hooks".to_owned();
    QueuedDeploy { target, generation: generation(number), attempts: 3, next_at: at(next_at) }
}

fn failed(failed_at: u64, retry_at: u64) -> Option<LastFailure> {
    Some(LastFailure { at: at(failed_at), message: String::new(), retry_at: at(retry_at) })
}

fn pinned(number: u32) -> Option<Pin> {
    let until = held(number, number.into()).1.validity.not_after;
    Some(Pin { generation: generation(number), until })
}

fn advised(number: u32, fetched: u64, window: (u64, u64)) -> Option<AriFacts> {
    Some(AriFacts {
        window: Window::new(at(window.0), at(window.1)).unwrap(),
        cert_id: format!("id.{number}"),
        explanation_url: None,
        fetched_at: at(fetched),
        poll_at: at(fetched + 6),
    })
}

fn seed() -> Seed {
    Seed::new(b"certificate", b"host")
}

fn planned(standing: &Standing, insistence: Insistence, now: u64) -> Plan {
    plan(standing, &settings(), &seed(), insistence, at(now))
}

/// The plan in a word, for tables.
fn word(plan: &Plan) -> String {
    match plan {
        Plan::Do(Task::Order, why) => format!("order: {why}"),
        Plan::Do(Task::Stock, why) => format!("stock: {why}"),
        Plan::Do(Task::Deploy(generation) | Task::DeployExpired(generation), why) => {
            format!("deploy {generation}: {why}")
        }
        Plan::Wait(Due::At(..)) => "wait".to_owned(),
        Plan::Wait(Due::Blocked(..)) => "blocked".to_owned(),
        Plan::Wait(Due::Now(_)) => "waits for what is due".to_owned(),
    }
}

const UNASKED: Insistence =
    Insistence { force: false, by_hand: false, changed: false, retargeted: false, approved: false };
const BY_HAND: Insistence = Insistence { by_hand: true, ..UNASKED };
const FORCED: Insistence = Insistence { force: true, ..UNASKED };
const CHANGED: Insistence = Insistence { by_hand: true, changed: true, ..UNASKED };

const MISSING: &str = "order: there was none yet";
const LIFETIME: &str = "order: the lifetime rule (the CA gave no renewal window)";
const INTERRUPTED: &str = "deploy 2: an earlier run was interrupted";

#[test]
fn nothing_held() {
    let mut none = standing(None, None);
    assert_eq!(word(&planned(&none, UNASKED, 5)), MISSING);
    none.facts.last_failure = failed(4, 6);
    none.facts.failures = 2;
    let blocked = Due::Blocked(at(6), Reason::Retry { failures: 2 });
    assert_eq!(planned(&none, UNASKED, 5), Plan::Wait(blocked));
    for insistence in [BY_HAND, FORCED] {
        assert_eq!(word(&planned(&none, insistence, 5)), MISSING, "{insistence:?}");
    }
    assert_eq!(word(&planned(&none, UNASKED, 6)), MISSING);
}

#[test]
fn an_open_order_is_taken_up_although_nothing_is_due() {
    let mut ordered = with(2, 2, |facts| {
        facts.order = Some(OrderJournal {
            url: "https://ca.example/order/3".to_owned(),
            ca: "x".to_owned(),
            account_url: "https://ca.example/1".to_owned(),
            replaces: None,
            identifiers: settings().identifiers,
            profile: None,
            opened_at: at(4),
        });
    });
    assert_eq!(word(&planned(&ordered, UNASKED, 5)), "order: an earlier run was interrupted");
    assert_eq!(word(&planned(&ordered, FORCED, 5)), "order: it was asked for");
    ordered.facts.last_failure = failed(4, 6);
    assert_eq!(word(&planned(&ordered, UNASKED, 5)), "blocked");
}

#[test]
fn a_failure_from_the_future_blocks_nothing() {
    let mut none = standing(None, None);
    none.facts.last_failure = failed(100_000, 100_001);
    assert_eq!(word(&planned(&none, UNASKED, 5)), MISSING);
}

#[test]
fn something_held() {
    let fresh = with(2, 2, |_| {});
    let failing = with(2, 2, |facts| facts.last_failure = failed(99, 101));
    let missed = with(1, 2, |_| {});
    let waiting = with(1, 2, |facts| facts.deploy_queue = vec![queued(2, 10)]);
    let first = with(1, 1, |facts| facts.deploy_queue = vec![queued(1, 10)]);
    let superseded = with(2, 2, |facts| facts.deploy_queue = vec![queued(1, 4)]);
    let turned_back = with(1, 2, |facts| {
        facts.deploy_queue = vec![queued(2, 100_000)];
        facts.last_run = Some(at(99_999));
    });
    let revoked = with(2, 1, |facts| facts.bad = BTreeSet::from([generation(2)]));
    let stocked = with(1, 2, |facts| facts.bad = BTreeSet::from([generation(1)]));
    let cut_off = with(2, 2, |facts| {
        let snapshot = SnapshotId::parse("20261122T000000Z-k3f9").unwrap();
        facts.intent =
            Some(Intent { to: generation(2), from: None, snapshot, rollout: Rollout::default() });
        facts.last_failure = failed(4, 100);
    });
    let table = [
        (&fresh, UNASKED, 5, "wait"),
        (&fresh, BY_HAND, 5, "wait"),
        (&fresh, FORCED, 5, "order: it was asked for"),
        (&fresh, CHANGED, 5, "order: what is wanted has changed"),
        (&fresh, UNASKED, 100, LIFETIME),
        (&failing, UNASKED, 100, "blocked"),
        (&failing, BY_HAND, 100, LIFETIME),
        (&failing, UNASKED, 101, LIFETIME),
        (&missed, UNASKED, 5, "deploy 2: it was waiting to be put to use"),
        (&missed, UNASKED, 100, LIFETIME),
        (&waiting, UNASKED, 9, "wait"),
        (&waiting, BY_HAND, 9, "deploy 2: it was waiting to be put to use"),
        (&waiting, UNASKED, 10, "deploy 2: it was waiting to be put to use"),
        (&first, UNASKED, 9, "wait"),
        (&first, UNASKED, 10, "deploy 1: it was waiting to be put to use"),
        (&superseded, UNASKED, 5, "wait"),
        (&turned_back, UNASKED, 5, "deploy 2: it was waiting to be put to use"),
        (&revoked, UNASKED, 5, "order: what was live is revoked"),
        (&stocked, UNASKED, 5, "deploy 2: it was waiting to be put to use"),
        (&cut_off, UNASKED, 5, INTERRUPTED),
        (&cut_off, FORCED, 100, INTERRUPTED),
    ];
    for (standing, insistence, now, expected) in table {
        let plan = planned(standing, insistence, now);
        assert_eq!(word(&plan), expected, "{insistence:?} at {now}: {standing:?}");
    }
}

#[test]
fn other_names_or_another_key_take_effect_at_once() {
    let standing = with(1, 1, |_| {});
    let names = CertSettings { identifiers: names(&["a.example"]), ..settings() };
    let key = CertSettings { key_type: KeyType::Rsa2048, ..settings() };
    let port = CertSettings { tls_alpn01_port: Some(8443), ..settings() };
    for (settings, expected) in [
        (&names, "order: what is wanted has changed"),
        (&key, "order: what is wanted has changed"),
        (&port, "wait"),
    ] {
        let plan = plan(&standing, settings, &seed(), UNASKED, at(5));
        assert_eq!(word(&plan), expected, "{settings:?}");
    }
}

#[test]
fn what_cannot_be_ordered_yet_holds_up_no_deploy() {
    let standing = with(1, 2, |facts| facts.last_failure = failed(4, 100));
    let wanted = CertSettings { identifiers: names(&["a.example"]), ..settings() };
    let plan = plan(&standing, &wanted, &seed(), UNASKED, at(5));
    assert_eq!(word(&plan), "deploy 2: it was waiting to be put to use");
}

#[test]
fn a_pin_holds_until_the_end_is_near() {
    let pinned_to = |number| with(1, 2, |facts| facts.pin = pinned(number));
    let revoked = with(1, 2, |facts| {
        facts.pin = pinned(1);
        facts.bad = BTreeSet::from([generation(1)]);
    });
    let only = with(1, 1, |facts| facts.pin = pinned(1));
    let table = [
        (&pinned_to(1), 5, "wait"),
        (&pinned_to(1), 100, "stock: the lifetime rule (the CA gave no renewal window)"),
        (&pinned_to(2), 5, "deploy 2: it was waiting to be put to use"),
        (&revoked, 5, "deploy 2: it was waiting to be put to use"),
        (&only, 152, "stock: the lifetime rule (the CA gave no renewal window)"),
        (&only, 153, "order: the lifetime rule (the CA gave no renewal window)"),
    ];
    for (standing, now, expected) in table {
        assert_eq!(word(&planned(standing, UNASKED, now)), expected, "at {now}: {standing:?}");
    }
}

#[test]
fn advice_counts_for_its_own_certificate_and_not_from_the_future() {
    let asked = |ari: Option<AriFacts>| with(2, 2, |facts| facts.ari = ari);
    let table = [
        (None, Some(at(5))),
        (advised(2, 4, (80, 83)), Some(at(10))),
        (advised(1, 4, (80, 83)), Some(at(5))),
        (advised(2, 100_000, (80, 83)), Some(at(5))),
    ];
    for (ari, asks) in table {
        assert_eq!(ask_at(&asked(ari.clone()), at(5)), asks, "{ari:?}");
    }
    assert_eq!(ask_at(&standing(None, None), at(5)), None);
}

fn wakes(standing: &Standing, ask_at: Option<u64>, now: u64) -> Timestamp {
    wake(standing, &settings(), &seed(), ask_at.map(at), at(now)).at.unwrap()
}

#[test]
fn it_wakes_for_whatever_comes_first() {
    let fresh = with(2, 2, |_| {});
    let Plan::Wait(Due::At(renewal, _)) = planned(&fresh, UNASKED, 5) else { panic!("not fresh") };
    assert_eq!(wakes(&fresh, None, 5), renewal);
    assert_eq!(wakes(&fresh, Some(11), 5), at(11), "to ask for advice");
    assert_eq!(wakes(&fresh, Some(500), 5), renewal, "never to ask after expiry");
    let waiting = with(1, 2, |facts| facts.deploy_queue = vec![queued(2, 10)]);
    assert_eq!(wakes(&waiting, None, 5), at(10), "to put it to use");
    let superseded = with(2, 2, |facts| facts.deploy_queue = vec![queued(1, 4)]);
    assert_eq!(wakes(&superseded, None, 5), renewal, "not for what nobody will deploy");
    let mut pinned_long_ago = with(1, 2, |facts| facts.pin = pinned(1));
    pinned_long_ago.newest = Some(held(2, 150));
    assert_eq!(wakes(&pinned_long_ago, None, 151), at(153), "before what is pinned expires");
}

#[test]
fn the_index_knows_the_runway_and_what_failed() {
    let known = |standing: &Standing, now| {
        let Wake { expires, failing, .. } = wake(standing, &settings(), &seed(), None, at(now));
        (expires, failing)
    };
    let failing = with(1, 2, |facts| facts.last_failure = failed(99, 101));
    let expires = Some(at(LIFE + 1));
    assert_eq!(known(&with(1, 2, |_| {}), 5), (expires, false));
    assert_eq!(known(&failing, 50), (expires, false), "nothing is wanted of it yet");
    let expires = Some(at(LIFE + 2));
    let failing = with(2, 2, |facts| facts.last_failure = failed(99, 101));
    assert_eq!(known(&failing, 100), (expires, true));
    assert_eq!(known(&failing, 101), (expires, false), "its time has come");
    let mut never = standing(None, None);
    never.facts.last_failure = failed(4, 6);
    assert_eq!(known(&never, 5), (None, true));
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let failure = proptest::option::of((0u64..400, 0u64..400));
    let queue = proptest::option::of((1u32..4, 0u64..400));
    let pin = proptest::option::of(1u32..4);
    let ari = proptest::option::of((1u32..4, 0u64..400, 0u64..400, 1u64..50));
    let held = (proptest::option::of(1u32..4), proptest::option::of(1u32..4));
    (held, failure, queue, pin, ari, any::<bool>()).prop_map(
        |((live, newest), failure, queue, pin, ari, revoked)| {
            // What is live and not bad is held.
            let newest = newest.max(live.filter(|_| !revoked));
            let mut standing = standing(live, newest);
            let facts = &mut standing.facts;
            facts.bad =
                live.filter(|_| revoked && live != newest).map(generation).into_iter().collect();
            facts.last_failure = failure.and_then(|(at, wait)| failed(at, at + wait));
            facts.deploy_queue = queue.map(|(number, at)| queued(number, at)).into_iter().collect();
            facts.pin = pin.and_then(pinned);
            facts.ari = ari.and_then(|(number, fetched, start, width)| {
                advised(number, fetched, (start, start + width))
            });
            standing
        },
    )
}

fn orders(plan: &Plan) -> bool {
    matches!(plan, Plan::Do(Task::Order | Task::Stock, _))
}

proptest! {
    #[test]
    fn never_orders_while_a_valid_undue_generation_is_held(
        standing in any_standing(), by_hand in any::<bool>(), now in 0u64..500,
    ) {
        let plan = planned(&standing, Insistence { by_hand, ..UNASKED }, now);
        // One that was revoked is replaced by a new one, not by its predecessor.
        let newest = standing.newest.as_ref().filter(|(newest, _)| !live_is_bad(&standing, *newest));
        if let Some((_, meta)) = newest {
            let advice = advice(&standing.facts, meta, at(now));
            let due = schedule::due(meta.validity, advice, History::default(), &seed(), at(now));
            let revoked = matches!(plan, Plan::Do(_, Why::Revoked));
            prop_assert!(!orders(&plan) || matches!(due, Due::Now(_)) || revoked, "{plan:?}");
        }
    }

    #[test]
    fn never_puts_off_what_is_due(standing in any_standing(), asks in any::<bool>(), now in 0u64..500) {
        let now = at(now);
        let ask_at = ask_at(&standing, now).filter(|_| asks);
        let wake = wake(&standing, &settings(), &seed(), ask_at, now).at.unwrap();
        match plan(&standing, &settings(), &seed(), UNASKED, now) {
            Plan::Do(..) => prop_assert!(wake <= now),
            Plan::Wait(Due::At(at, _) | Due::Blocked(at, _)) => prop_assert!(wake <= at),
            Plan::Wait(due) => prop_assert!(false, "waits for {due:?}"),
        }
        if let Some((_, meta)) = standing.live.as_ref().filter(|_| hold(&standing, &settings(), Insistence::default(), now).is_some()) {
            prop_assert!(wake <= schedule::window::last_twentieth(meta.validity));
        }
    }

    #[test]
    fn nothing_happens_between_now_and_the_wake(
        standing in any_standing(), now in 0u64..400, share in 0.0..1.0,
    ) {
        let now = at(now);
        let wake = wake(&standing, &settings(), &seed(), ask_at(&standing, now), now).at.unwrap();
        let span = wake.since(now);
        if span > Duration::from_secs(1) {
            let between = now.plus(span.mul_f64(share)).min(wake.minus(Duration::from_secs(1)));
            let plan = plan(&standing, &settings(), &seed(), UNASKED, between);
            prop_assert!(matches!(plan, Plan::Wait(_)), "{plan:?} at {between}, wakes at {wake}");
        }
    }

    #[test]
    fn a_pinned_certificate_is_not_switched_before_its_last_twentieth(
        standing in any_standing(), by_hand in any::<bool>(), force in any::<bool>(), now in 0u64..500,
    ) {
        let now = at(now);
        let Some((live, meta)) = &standing.live else { return Ok(()) };
        let pinned = standing.facts.pin.is_some_and(|pin| pin.generation == *live);
        let good = !standing.facts.bad.contains(live);
        if pinned && good && now < schedule::window::last_twentieth(meta.validity) {
            let insistence = Insistence { by_hand, force, ..UNASKED };
            let plan = plan(&standing, &settings(), &seed(), insistence, now);
            prop_assert!(matches!(plan, Plan::Do(Task::Stock, _) | Plan::Wait(_)), "{plan:?}");
        }
    }

    #[test]
    fn a_failure_holds_orders_back(standing in any_standing(), now in 0u64..500) {
        let failure = standing.facts.last_failure.clone();
        if let Some(failure) = failure.filter(|failure| failure.at <= at(now)) {
            let plan = planned(&standing, UNASKED, now);
            prop_assert!(!orders(&plan) || failure.retry_at <= at(now), "{plan:?}");
        }
    }
}
