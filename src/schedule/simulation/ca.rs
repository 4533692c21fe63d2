//! A CA as Boulder is written, as far as a client can tell: limits, renewal windows, outages.
//!
//! Its buckets are written apart from those of [`crate::schedule::budget`] on purpose, in the terms of
//! Boulder's own (theoretical arrival times, check at newOrder, spend at finalize).

use std::time::Duration;

use super::world::Dice;
use super::{DAY, HOUR};
use crate::model::time::{Timestamp, Validity, Window};

/// How long validation and issuance take after newOrder.
const LATENCY: Duration = Duration::from_secs(20);
/// A set of identifiers that had a certificate in this time is renewed, not issued anew.
const RENEWAL: Duration = Duration::from_secs(120 * 24 * 3600);

/// One bucket: the theoretical arrival time, when it would be full again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gcra {
    tat: i64,
}

/// `burst` at once, and one more each `every`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) burst: i64,
    pub(super) every: Duration,
}

impl Gcra {
    /// When one more may come; that is over where one may come now.
    pub(super) fn allows_at(self, limit: Limit) -> i64 {
        self.tat - (limit.burst - 1) * seconds(limit.every)
    }

    pub(super) fn allows(self, limit: Limit, now: Timestamp) -> bool {
        self.allows_at(limit) <= now.unix()
    }

    /// Counts one; at finalize that is done as far as there is room (`spend-only`).
    pub(super) fn spend(&mut self, limit: Limit, now: Timestamp) {
        if self.allows(limit, now) {
            self.tat = self.tat.max(now.unix()) + seconds(limit.every);
        }
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap()
}

/// What it says to an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Issued {
        validity: Validity,
        exempt: bool,
        at: Timestamp,
    },
    /// 429, with the instant from which on it would be accepted.
    Refused {
        until: Timestamp,
    },
    /// 409: there is an open order that replaces the same certificate.
    Conflict,
    Unreachable,
    /// The client was killed when it had the order but no certificate.
    Killed,
}

/// The certificate an order is to replace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Predecessor {
    pub(super) serial: u32,
    pub(super) validity: Validity,
}

pub(super) struct Ca {
    pub(super) has_ari: bool,
    pub(super) is_limited: bool,
    /// From when on certificates live so long; in the order of time.
    pub(super) lifetimes: &'static [(i64, Duration)],
    pub(super) outages: Vec<(Timestamp, Timestamp)>,
    /// Everything issued before is to be replaced at once.
    pub(super) incident: Option<Timestamp>,
    pub(super) requests: u32,
    pub(super) refused: u32,
    /// Orders it took.
    pub(super) taken: u32,
    last_issued: Option<Timestamp>,
    /// The certificate an open order replaces, and until when that order lives.
    open: Option<(u32, Timestamp)>,
    orders: Gcra,
    domain: Gcra,
    exact_set: Gcra,
}

const ORDERS: Limit = Limit { burst: 300, every: Duration::from_secs(36) };
const DOMAIN: Limit = Limit { burst: 50, every: Duration::from_secs(12_096) };
const EXACT_SET: Limit = Limit { burst: 5, every: Duration::from_secs(120_960) };

impl Ca {
    pub(super) fn boulder(lifetimes: &'static [(i64, Duration)]) -> Self {
        Self {
            has_ari: true,
            is_limited: true,
            lifetimes,
            outages: Vec::new(),
            incident: None,
            requests: 0,
            refused: 0,
            taken: 0,
            last_issued: None,
            open: None,
            orders: Gcra::default(),
            domain: Gcra::default(),
            exact_set: Gcra::default(),
        }
    }

    /// A CA without ARI whose limits nobody knows.
    pub(super) fn plain(lifetimes: &'static [(i64, Duration)]) -> Self {
        Self { has_ari: false, is_limited: false, ..Self::boulder(lifetimes) }
    }

    pub(super) fn is_up(&self, now: Timestamp) -> bool {
        !self.outages.iter().any(|(from, to)| *from <= now && now < *to)
    }

    fn lifetime(&self, now: Timestamp) -> Duration {
        let begun = self.lifetimes.iter().rev().find(|(from, _)| *from <= now.unix());
        begun.expect("the first begins with the simulation").1
    }

    /// The window of a certificate by Boulder's formula, and when to ask again.
    pub(super) fn renewal_info(
        &self,
        validity: Validity,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Option<(Window, Timestamp)> {
        let window = (self.has_ari && self.is_up(now)).then(|| self.window(validity, now))?;
        let shortest = HOUR * 6 * 4 / 5;
        Some((window, now.plus(shortest + dice.below(HOUR * 6 * 2 / 5))))
    }

    pub(super) fn window(&self, validity: Validity, now: Timestamp) -> Window {
        if self.incident.is_some_and(|at| at <= now && validity.not_before < at) {
            return Window::new(now.minus(HOUR), now.minus(HOUR / 2)).unwrap();
        }
        let life = validity.lifetime();
        let left = if life < 10 * DAY { life / 2 } else { life / 3 };
        let ideal = validity.not_after.minus(left);
        Window::new(ideal.minus(life / 100), ideal.plus(life / 100)).unwrap()
    }

    /// One order from newOrder to the certificate; `killed` where the client ends in between.
    pub(super) fn order(
        &mut self,
        replaces: Option<Predecessor>,
        killed: bool,
        now: Timestamp,
    ) -> Answer {
        if !self.is_up(now) {
            return Answer::Unreachable;
        }
        self.requests += 1;
        let blocked =
            |old: &Predecessor| self.open.is_some_and(|(s, until)| s == old.serial && now < until);
        if replaces.as_ref().is_some_and(blocked) {
            return Answer::Conflict;
        }
        let exempt = self.has_ari
            && replaces.is_some_and(|old| self.window(old.validity, now).contains(now));
        let renewal = self.last_issued.is_some_and(|at| now.since(at) < RENEWAL);
        if self.is_limited && !exempt {
            if let Some(until) = self.lacks_until(renewal, now) {
                self.refused += 1;
                return Answer::Refused { until };
            }
            if !renewal {
                self.orders.spend(ORDERS, now);
            }
        }
        self.taken += 1;
        let life = self.lifetime(now);
        if killed {
            let keeps = if life < 50 * DAY { HOUR * 8 } else { DAY * 7 };
            self.open = replaces.map(|old| (old.serial, now.plus(keeps))).or(self.open);
            return Answer::Killed;
        }
        let at = now.plus(LATENCY);
        // Boulder counts what was exempt as well; it only does not ask.
        self.exact_set.spend(EXACT_SET, at);
        if !renewal {
            self.domain.spend(DOMAIN, at);
        }
        self.last_issued = Some(at);
        let not_after = at.plus(life).minus(Duration::from_secs(1));
        Answer::Issued { validity: Validity { not_before: at, not_after }, exempt, at }
    }

    fn lacks_until(&self, renewal: bool, now: Timestamp) -> Option<Timestamp> {
        let mut asked = vec![(self.exact_set, EXACT_SET)];
        if !renewal {
            asked.extend([(self.orders, ORDERS), (self.domain, DOMAIN)]);
        }
        let lacking = asked.into_iter().filter(|(bucket, limit)| !bucket.allows(*limit, now));
        lacking.map(|(bucket, limit)| Timestamp::from_unix(bucket.allows_at(limit))).max()
    }
}
