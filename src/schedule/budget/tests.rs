use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + seconds)
}

fn set(names: &[&str]) -> BTreeSet<Identifier> {
    names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

fn name() -> CertName {
    CertName::parse("a.example").unwrap()
}

fn entry(seconds: i64, what: What) -> Entry {
    Entry { at: at(seconds), ca: "x".to_owned(), what }
}

fn ordering(seconds: i64, relief: Relief) -> Entry {
    let identifiers = set(&["a.example"]);
    entry(seconds, What::Ordering { name: name(), identifiers, relief })
}

fn settled(seconds: i64, issued: bool) -> Entry {
    entry(seconds, What::Settled { name: name(), issued })
}

fn request(relief: Relief, is_emergency: bool) -> Request {
    Request { identifiers: set(&["a.example"]), relief, is_emergency, by_hand: false }
}

const PLAIN: fn() -> Request = || request(Relief::None, false);

fn le() -> Budget {
    Budget::new(Limits::LETS_ENCRYPT)
}

/// 5 a week, one each 33.6 hours.
const TOKEN: i64 = 120_960;

#[test]
fn a_crash_loop_ends_at_the_budget_and_an_emergency_still_has_one() {
    let mut budget = le();
    let mut sent = 0;
    for second in 0..200 {
        if budget.judge(&PLAIN(), at(second)).is_ok() {
            budget.enter(&ordering(second, Relief::None));
            sent += 1;
        }
    }
    assert_eq!(sent, 4);
    let shortage = budget.judge(&PLAIN(), at(200)).unwrap_err();
    assert!(matches!(shortage.why, Lack::HeldBack(_)), "{shortage}");
    assert_eq!(shortage.until, at(TOKEN));
    budget.judge(&request(Relief::None, true), at(200)).unwrap();
    budget.judge(&PLAIN(), at(TOKEN)).unwrap();
}

#[test]
fn what_an_order_did_not_cost_is_given_back() {
    let left = |budget: &Budget, scope: &str| {
        let holdings = budget.holdings(&PLAIN(), at(100));
        holdings.into_iter().find(|h| h.scope.as_str() == scope).unwrap().left
    };
    // relief, issued -> left of the exact set, of the domain, of the account's orders
    let table = [
        (Relief::None, true, 4, 49, 299),
        (Relief::None, false, 5, 50, 299),
        (Relief::Renewal, true, 4, 50, 300),
        (Relief::Ari, true, 4, 50, 300),
        (Relief::Ari, false, 5, 50, 300),
    ];
    for (relief, issued, exact_set, domain, orders) in table {
        let mut budget = le();
        budget.enter(&ordering(99, relief));
        assert_eq!(left(&budget, "exact_set"), 4, "held while it is open");
        budget.enter(&settled(100, issued));
        let found = ["exact_set", "domain", "orders"].map(|scope| left(&budget, scope));
        assert_eq!(found, [exact_set, domain, orders], "{relief:?} {issued}");
    }
}

#[test]
fn the_ledger_written_anew_says_the_same() {
    let mut budget = le();
    budget.enter(&ordering(0, Relief::None));
    budget.enter(&settled(1, true));
    budget.enter(&ordering(2, Relief::None));
    budget.enter(&entry(3, What::Refused { scope: Scope::Orders, until: at(4000) }));
    let page = "https://ca.example/unpause".to_owned();
    let identifier = Identifier::parse("b.example").unwrap();
    budget.enter(&entry(4, What::Paused { identifier: identifier.clone(), page: page.clone() }));
    let mut anew = le();
    for entry in budget.entries("x", at(10)) {
        let line = serde_json::to_string(&entry).unwrap();
        anew.enter(&serde_json::from_str(&line).unwrap());
    }
    assert_eq!(anew.judge(&PLAIN(), at(20)), budget.judge(&PLAIN(), at(20)));
    assert_eq!(anew.holdings(&PLAIN(), at(20)), budget.holdings(&PLAIN(), at(20)));
    assert_eq!(anew.pages().collect::<Vec<_>>(), [(&identifier, page.as_str())]);
}

#[test]
fn a_token_comes_back_to_the_second() {
    // (limit, seconds for one token of it)
    let (le, staging) = (Limits::LETS_ENCRYPT, Limits::LETS_ENCRYPT_STAGING);
    let table = [
        (le.registrations, 18 * 60),
        (le.orders, 36),
        (le.domain, 12_096),
        (le.exact_set, TOKEN),
        (le.failures, 12 * 60),
        (staging.registrations, 216),
    ];
    for (rate, seconds) in table {
        let (rate, mut bucket) = (rate.unwrap(), Bucket::default());
        for _ in 0..rate.tokens {
            bucket.charge(rate, at(0), None);
        }
        for back in 0..=rate.tokens {
            let when = i64::from(back) * seconds;
            assert_eq!(bucket.left(rate, at(when)), back, "{rate:?}");
            assert_eq!(bucket.has_at(rate, back.max(1)), at(i64::from(back.max(1)) * seconds));
            if back > 0 {
                assert_eq!(bucket.left(rate, at(when - 1)), back - 1, "{rate:?}");
            }
        }
        assert_eq!(bucket.left(rate, at(1_000_000_000)), rate.tokens, "never more than full");
    }
}

#[test]
fn a_certificate_counts_from_when_it_was_issued() {
    let mut budget = le();
    for _ in 0..4 {
        budget.enter(&ordering(0, Relief::Renewal));
        budget.enter(&settled(500, true));
    }
    let shortage = budget.judge(&request(Relief::Renewal, false), at(500)).unwrap_err();
    assert_eq!(shortage.until, at(500 + TOKEN));
}

#[test]
fn a_429_holds_up_what_it_speaks_of() {
    let www = || set(&["www.one.test"]);
    let one = || Identifier::parse("www.one.test").unwrap();
    let domain = || Scope::Domain("one.test".to_owned());
    // scope, the names asked for -> holds up one that is new, a renewal, an exempt one, an account
    let table: Vec<(Scope, &[&str], [bool; 4])> = vec![
        (Scope::Ca, &["else.test"], [true, true, true, true]),
        (Scope::Orders, &["else.test"], [true, false, false, false]),
        (domain(), &["api.one.test"], [true, false, false, false]),
        (domain(), &["else.test"], [false; 4]),
        (Scope::ExactSet(www()), &["www.one.test"], [true, true, false, false]),
        (Scope::ExactSet(www()), &["www.one.test", "one.test"], [false; 4]),
        (Scope::Failures(one()), &["www.one.test", "one.test"], [true, true, true, false]),
        (Scope::Failures(one()), &["one.test"], [false; 4]),
        (Scope::Registrations, &["www.one.test"], [false, false, false, true]),
    ];
    for (scope, names, held) in table {
        let mut budget = le();
        budget.enter(&entry(0, What::Refused { scope: scope.clone(), until: at(900) }));
        let orders = [Relief::None, Relief::Renewal, Relief::Ari].map(|relief| {
            let request =
                Request { identifiers: set(names), relief, is_emergency: false, by_hand: false };
            assert_eq!(budget.judge(&request, at(900)), Ok(()));
            budget.judge(&request, at(899)).is_err()
        });
        let account = budget.judge_registration(at(899)).is_err();
        let found = [orders[0], orders[1], orders[2], account];
        assert_eq!(found, held, "{scope:?} {names:?}");
    }
    // Where nobody knows what spares an order, nothing is spared.
    let mut unknown = Budget::new(Limits::UNKNOWN);
    unknown.enter(&entry(0, What::Refused { scope: Scope::Orders, until: at(900) }));
    assert!(unknown.judge(&request(Relief::Ari, false), at(899)).is_err());
}

#[test]
fn what_a_ca_asks_for_is_believed_within_bounds() {
    let day = 24 * 3600;
    // asked for, the longest anybody waits, the longest in an emergency
    let table = [
        (-5, 60, 60),
        (0, 60, 60),
        (600, 600, 600),
        (7200, 7200, 3600),
        (34 * 3600, day, 3600),
        (10 * 365 * day, day, 3600),
    ];
    for (asked, waits, hurries) in table {
        let mut budget = le();
        budget.enter(&entry(0, What::Refused { scope: Scope::Ca, until: at(asked) }));
        for (is_emergency, longest) in [(false, waits), (true, hurries)] {
            let request = request(Relief::None, is_emergency);
            let shortage = budget.judge(&request, at(0)).unwrap_err();
            assert_eq!((shortage.until, shortage.why), (at(longest), Lack::Told), "{asked}");
        }
    }
}

#[test]
fn a_pause_stops_its_identifier_until_somebody_was_there() {
    let (paused, other) = (set(&["a.example", "b.example"]), set(&["b.example"]));
    let of = |identifiers: &BTreeSet<Identifier>, relief| Request {
        identifiers: identifiers.clone(),
        relief,
        is_emergency: true,
        by_hand: false,
    };
    let identifier = Identifier::parse("a.example").unwrap();
    let page = "https://ca.example/unpause".to_owned();
    let mut budget = le();
    budget.enter(&entry(0, What::Paused { identifier: identifier.clone(), page }));
    for relief in [Relief::None, Relief::Renewal, Relief::Ari] {
        let shortage = budget.judge(&of(&paused, relief), at(10)).unwrap_err();
        assert_eq!(shortage.until, at(24 * 3600), "asked again once a day");
        assert!(matches!(shortage.why, Lack::Paused { .. }), "{shortage}");
        assert!(!shortage.to_string().contains("https"), "the page is no matter for a log");
        budget.judge(&of(&other, relief), at(10)).unwrap();
    }
    budget.judge(&of(&paused, Relief::None), at(24 * 3600)).unwrap();
    assert_eq!(budget.paused(&paused).collect::<Vec<_>>(), [&identifier]);
    budget.enter(&entry(20, What::Resumed { identifier }));
    budget.judge(&of(&paused, Relief::None), at(21)).unwrap();
    assert_eq!(budget.paused(&paused).count(), 0);
}

#[test]
fn failed_authorizations_hold_up_their_identifier() {
    let mut budget = le();
    let identifier = Identifier::parse("a.example").unwrap();
    for second in 0..5 {
        budget.judge(&PLAIN(), at(second)).unwrap();
        budget.enter(&entry(second, What::Unproven { identifier: identifier.clone() }));
    }
    let shortage = budget.judge(&PLAIN(), at(5)).unwrap_err();
    assert_eq!((shortage.until, shortage.scope), (at(720), Scope::Failures(identifier)));
}

#[test]
fn a_ca_that_publishes_nothing_bounds_only_what_came_to_no_end() {
    let mut budget = Budget::new(Limits::UNKNOWN);
    for second in 0..100 {
        budget.judge(&PLAIN(), at(second)).unwrap();
        budget.enter(&ordering(second, Relief::None));
        budget.enter(&settled(second, second % 2 == 0));
    }
    for _ in 0..20 {
        budget.judge(&PLAIN(), at(200)).unwrap();
        budget.enter(&ordering(200, Relief::None));
    }
    assert!(budget.judge(&PLAIN(), at(200)).is_err());
}
