//! A budget never overspends: it is held against Boulder's own counting, written here anew.

use proptest::prelude::*;

use super::*;

/// A bucket as Boulder keeps it: one theoretical arrival time (ratelimits/gcra.go).
#[derive(Clone, Copy, Debug)]
struct Gcra {
    burst: i64,
    interval: i64,
    tat: i64,
}

impl Gcra {
    fn new(rate: Rate) -> Self {
        let (burst, per) = (i64::from(rate.tokens), i64::try_from(rate.per.as_secs()).unwrap());
        Self { burst, interval: per / burst, tat: 0 }
    }

    fn has_room(self, now: i64) -> bool {
        self.tat.max(now) + self.interval - self.burst * self.interval <= now
    }

    /// What is spent at finalize is spent as far as there is room.
    fn spend(&mut self, now: i64) {
        if self.has_room(now) {
            self.tat = self.tat.max(now) + self.interval;
        }
    }
}

/// What Boulder checks at newOrder and spends there and at finalize.
#[derive(Debug)]
struct Boulder {
    orders: Gcra,
    domain: Gcra,
    sets: Vec<Gcra>,
    failures: Vec<Gcra>,
    issued: Vec<bool>,
}

impl Boulder {
    fn new(limits: Limits) -> Self {
        let bucket = |rate: Option<Rate>| Gcra::new(rate.unwrap());
        Self {
            orders: bucket(limits.orders),
            domain: bucket(limits.domain),
            sets: vec![bucket(limits.exact_set); SETS.len()],
            failures: vec![bucket(limits.failures); SETS.len()],
            issued: vec![false; SETS.len()],
        }
    }

    /// newOrder: an exempt one is asked nothing, a renewal is spared the account's and the domain's.
    fn takes(&mut self, of: usize, relief: Relief, now: i64) -> bool {
        if relief == Relief::Ari {
            return true;
        }
        let mut asked = vec![self.sets[of]];
        let concerns = |other: &usize| set(of).contains(&suspect(*other));
        asked.extend((0..SETS.len()).filter(concerns).map(|other| self.failures[other]));
        if relief == Relief::None {
            asked.extend([self.orders, self.domain]);
        }
        let takes = asked.iter().all(|bucket| bucket.has_room(now));
        if takes && relief == Relief::None {
            self.orders.spend(now);
        }
        takes
    }

    fn issues(&mut self, set: usize, now: i64) {
        self.sets[set].spend(now);
        if !self.issued[set] {
            self.domain.spend(now);
        }
        self.issued[set] = true;
    }
}

const SETS: [&[&str]; 3] =
    [&["www.one.test"], &["api.one.test"], &["mail.one.test", "www.one.test"]];

fn set(of: usize) -> BTreeSet<Identifier> {
    SETS[of].iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

/// The name of a set that is not proven where one is not.
fn suspect(of: usize) -> Identifier {
    Identifier::parse(SETS[of][0]).unwrap()
}

/// How an order goes on.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// With a certificate so many seconds later, of which we hear at once or some seconds later.
    Issued {
        after: i64,
        heard: i64,
    },
    Refused,
    /// An authorization failed.
    Unproven,
    /// We were killed before anything was finalized.
    KilledEarly,
    /// We were killed when it was finalized, and never heard of the certificate.
    KilledLate,
}

fn course() -> impl Strategy<Value = Course> {
    prop_oneof![
        4 => (0i64..300, 0i64..60).prop_map(|(after, heard)| Course::Issued { after, heard }),
        1 => Just(Course::Refused),
        1 => Just(Course::Unproven),
        1 => Just(Course::KilledEarly),
        1 => Just(Course::KilledLate),
    ]
}

/// One attempt: the pause before it, the set, whether it is in its window, its hurry, its course.
type Attempt = (i64, usize, bool, bool, Course);

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let pause = prop_oneof![Just(0), 1i64..100, 1i64..100_000];
    prop::collection::vec(
        (pause, 0..SETS.len(), prop::bool::weighted(0.2), prop::bool::weighted(0.3), course()),
        1..60,
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let rate = || {
        (1u32..6, 1u64..20_000).prop_map(|(tokens, each)| {
            Some(Rate { tokens, per: Duration::from_secs(u64::from(tokens) * each) })
        })
    };
    let drawn =
        (rate(), rate(), rate(), rate()).prop_map(|(orders, domain, exact_set, failures)| Limits {
            registrations: None,
            orders,
            domain,
            exact_set,
            failures,
            counts_issued: true,
        });
    prop_oneof![Just(Limits::LETS_ENCRYPT), drawn]
}

fn enter(budget: &mut Budget, at: i64, what: What) {
    budget.enter(&Entry { at: Timestamp::from_unix(at), ca: "x".to_owned(), what });
}

/// Goes through the attempts; says how many orders were sent, and fails where Boulder refuses one.
fn play(limits: Limits, attempts: &[Attempt]) -> Result<Budget, TestCaseError> {
    let (mut budget, mut boulder, mut now) =
        (Budget::new(limits), Boulder::new(limits), 1_800_000_000);
    for (pause, of, in_window, is_emergency, course) in attempts.iter().copied() {
        now += pause;
        let relief = match (boulder.issued[of], in_window) {
            (true, true) => Relief::Ari,
            (true, false) => Relief::Renewal,
            (false, _) => Relief::None,
        };
        let request = Request { identifiers: set(of), relief, is_emergency, by_hand: false };
        if budget.judge(&request, Timestamp::from_unix(now)).is_err() {
            continue;
        }
        let name = CertName::parse(&format!("set-{of}")).unwrap();
        let ordering = What::Ordering { name: name.clone(), identifiers: set(of), relief };
        enter(&mut budget, now, ordering);
        let taken = boulder.takes(of, relief, now);
        prop_assert!(taken, "refused at {now}: {request:?} {boulder:?}");
        let issued = match course {
            Course::KilledEarly => continue,
            Course::KilledLate => {
                boulder.issues(of, now);
                continue;
            }
            Course::Issued { after, heard } => {
                boulder.issues(of, now + after);
                now += after + heard;
                true
            }
            Course::Refused => false,
            Course::Unproven => {
                boulder.failures[of].spend(now);
                enter(&mut budget, now, What::Unproven { identifier: suspect(of) });
                false
            }
        };
        enter(&mut budget, now, What::Settled { name, issued });
    }
    Ok(budget)
}

fn any_request() -> impl Strategy<Value = Request> {
    let relief = prop_oneof![Just(Relief::None), Just(Relief::Renewal), Just(Relief::Ari)];
    (0..SETS.len(), relief, any::<bool>()).prop_map(|(of, relief, is_emergency)| Request {
        identifiers: set(of),
        relief,
        is_emergency,
        by_hand: false,
    })
}

const LATER: std::ops::Range<i64> = 1_800_000_000..1_808_000_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn boulder_never_refuses_what_the_budget_allows(limits in limits(), attempts in attempts()) {
        play(limits, &attempts)?;
    }

    /// Not a second too early, not a second too late.
    #[test]
    fn a_shortage_ends_when_it_says(
        limits in limits(), attempts in attempts(), request in any_request(), now in LATER,
    ) {
        let budget = play(limits, &attempts)?;
        if let Err(Shortage { until, .. }) = budget.judge(&request, Timestamp::from_unix(now)) {
            prop_assert!(until > Timestamp::from_unix(now));
            prop_assert_eq!(budget.judge(&request, until), Ok(()));
            let before = until.minus(Duration::from_secs(1));
            prop_assert!(budget.judge(&request, before).is_err());
        }
    }

    /// What may be sent now may be sent later, as long as nothing else is.
    #[test]
    fn what_is_allowed_stays_allowed(
        limits in limits(), attempts in attempts(), request in any_request(), now in LATER,
        more in 0u64..10_000_000,
    ) {
        let (budget, now) = (play(limits, &attempts)?, Timestamp::from_unix(now));
        if budget.judge(&request, now).is_ok() {
            prop_assert!(budget.judge(&request, now.plus(Duration::from_secs(more))).is_ok());
        }
    }

    /// Neither a ledger written anew nor an emergency or a relief allows less.
    #[test]
    fn written_anew_it_judges_the_same(
        limits in limits(), attempts in attempts(), request in any_request(), now in LATER,
        more in 0u64..10_000_000,
    ) {
        let (budget, now) = (play(limits, &attempts)?, Timestamp::from_unix(now));
        let mut anew = Budget::new(limits);
        for entry in budget.entries("x", now) {
            anew.enter(&entry);
        }
        let later = now.plus(Duration::from_secs(more));
        prop_assert_eq!(anew.judge(&request, later), budget.judge(&request, later));
        let urgent = Request { is_emergency: true, ..request.clone() };
        let exempt = Request { relief: Relief::Ari, ..request.clone() };
        if budget.judge(&request, later).is_ok() {
            prop_assert!(budget.judge(&urgent, later).is_ok());
            prop_assert!(budget.judge(&exempt, later).is_ok());
        }
    }
}
