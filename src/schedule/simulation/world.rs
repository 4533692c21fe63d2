//! What one certificate meets, and what became of it.

use std::time::Duration;

use super::ca::{Answer, Ca, Predecessor};
use super::{DAY, HOUR, SPAN, YEAR, start};
use crate::model::time::{Timestamp, Validity, Window};

/// A run that comes later than this before the end comes too late.
const TO_ISSUE: Duration = Duration::from_secs(60);

/// Dice that always fall the same way (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whole seconds, less than `span`.
    pub(super) fn below(&mut self, span: Duration) -> Duration {
        Duration::from_secs(self.throw() % span.as_secs().max(1))
    }

    /// An instant in the window.
    pub(super) fn within(&mut self, window: Window) -> Timestamp {
        window.start().plus(self.below(window.width()))
    }
}

/// What happens to the CAs and to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Script {
    Calm,
    /// From the instants at which the client wants to renew: outages of the first CA for 8 hours,
    /// 2 and 4 days (half of it of all CAs), a day in which every order is cut off; and one
    /// incident that wants everything replaced.
    Rough,
    /// From the first renewal on no CA answers any more.
    Gone,
}

/// What is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) serial: u32,
    /// The place of the CA that issued it.
    pub(super) ca: usize,
    pub(super) validity: Validity,
    /// Since when it is due by the client's own rule; not known before it was looked at.
    due: Option<Timestamp>,
    /// Whether a run came when it was due and a CA of the list answered.
    had_chance: bool,
}

/// What became of the certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Year {
    pub(super) renewals: u32,
    /// Renewals whose order arrived inside the window with `replaces`.
    pub(super) exempt: u32,
    /// newOrder requests the CAs got.
    pub(super) orders: u32,
    pub(super) refused: u32,
    /// Attempts to order, whether a CA was there or not.
    pub(super) attempts: u32,
    pub(super) expired: u32,
    /// Those that expired although a CA of the list answered in time.
    pub(super) needless: u32,
    pub(super) without: Duration,
    /// The least life that was left when a certificate was replaced.
    pub(super) worst: Option<Duration>,
    /// How long one that was to be replaced at once stayed in service.
    pub(super) revoked: Option<Duration>,
    /// The longest a certificate was served.
    pub(super) oldest: Duration,
    /// Certificates by the place of their CA.
    pub(super) by_ca: [u32; 2],
}

impl Year {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            renewals: self.renewals + other.renewals,
            exempt: self.exempt + other.exempt,
            orders: self.orders + other.orders,
            refused: self.refused + other.refused,
            attempts: self.attempts.min(other.attempts),
            expired: self.expired + other.expired,
            needless: self.needless + other.needless,
            without: self.without + other.without,
            worst: self.worst.into_iter().chain(other.worst).min(),
            revoked: self.revoked.max(other.revoked),
            oldest: self.oldest.max(other.oldest),
            by_ca: [self.by_ca[0] + other.by_ca[0], self.by_ca[1] + other.by_ca[1]],
        }
    }
}

pub(super) struct World {
    pub(super) cas: Vec<Ca>,
    pub(super) dice: Dice,
    pub(super) held: Option<Held>,
    /// In this time no order comes to its end.
    pub(super) killing: Option<(Timestamp, Timestamp)>,
    /// A CA that answers for so long is a chance, whenever the runs come; for who is always there.
    pub(super) suffices: Option<Duration>,
    /// Whether a single run at the right moment is a chance as well.
    pub(super) counts_runs: bool,
    pub(super) year: Year,
    /// The certificate whose fate is sealed already.
    played: u32,
    serial: u32,
}

impl World {
    pub(super) fn new(cas: Vec<Ca>, seed: u64) -> Self {
        let (year, dice) = (Year::default(), Dice(seed));
        let (held, killing, suffices) = (None, None, None);
        let (counts_runs, played, serial) = (true, 0, 0);
        Self { cas, dice, held, killing, suffices, counts_runs, year, played, serial }
    }

    /// One whose certificates are told from those of the other hosts.
    pub(super) fn of_host(host: u32) -> Self {
        let serial = host * 1_000_000;
        Self { serial, played: serial, ..Self::new(Vec::new(), host.into()) }
    }

    /// Sends an order to a CA; what is issued is served at once.
    pub(super) fn order(&mut self, ca: usize, replaces: bool, now: Timestamp) -> Answer {
        self.year.attempts += 1;
        let killed = self.is_killing(now);
        let old = self.held.filter(|held| replaces && held.ca == ca);
        let old = old.map(|held| Predecessor { serial: held.serial, validity: held.validity });
        let answer = self.cas[ca].order(old, killed, now);
        if let Answer::Issued { validity, exempt, at } = answer {
            self.replaced(exempt, at);
            self.serial += 1;
            self.year.by_ca[ca] += 1;
            self.held =
                Some(Held { serial: self.serial, ca, validity, due: None, had_chance: false });
        }
        answer
    }

    pub(super) fn is_killing(&self, now: Timestamp) -> bool {
        self.killing.is_some_and(|(from, to)| from <= now && now < to)
    }

    /// Counts how the one that was served came to its end.
    fn replaced(&mut self, exempt: bool, at: Timestamp) {
        let Some(held) = self.held else { return };
        self.year.renewals += 1;
        self.year.exempt += u32::from(exempt);
        self.over(held, at);
    }

    fn over(&mut self, held: Held, at: Timestamp) {
        let had_chance = held.had_chance || self.sufficed(&held);
        let Validity { not_before, not_after } = held.validity;
        let (year, left) = (&mut self.year, not_after.since(at));
        year.worst = year.worst.into_iter().chain([left]).min();
        year.oldest = year.oldest.max(at.since(not_before));
        if at > not_after {
            year.expired += 1;
            year.needless += u32::from(had_chance);
            year.without += at.since(not_after);
        }
        if let Some(incident) = self.cas[held.ca].incident
            && not_before < incident
            && incident <= at
        {
            year.revoked = year.revoked.max(Some(at.since(incident)));
        }
    }

    /// Whether any CA of the list would answer, and the client live to hear it.
    fn answers(&self, now: Timestamp) -> bool {
        self.cas.iter().any(|ca| ca.is_up(now)) && !self.is_killing(now)
    }

    /// Notes that a run at `now` could renew what is held, which is due since `planned`.
    pub(super) fn note_run(&mut self, planned: Timestamp, now: Timestamp) {
        let answers = self.counts_runs && self.answers(now);
        if let Some(held) = &mut self.held
            && planned <= now
            && now.plus(TO_ISSUE) < held.validity.not_after
        {
            held.had_chance |= answers;
        }
    }

    /// Whether a CA answered for long enough between when it was due and its end.
    ///
    /// The others of the list only count from where they come into play: for the last quarter of a
    /// short life.
    fn sufficed(&self, held: &Held) -> bool {
        let (Some(due), Some(span)) = (held.due, self.suffices) else { return false };
        let end = held.validity.not_after;
        let others = due.max(end.minus(held.validity.lifetime() / 4));
        let is_free = |ca: &Ca, at: Timestamp| {
            let mut troubles = ca.outages.iter().chain(&self.killing);
            at.plus(span) < end && !troubles.any(|(from, to)| *from < at.plus(span) && at < *to)
        };
        self.cas.iter().enumerate().any(|(place, ca)| {
            let from = if place == 0 { due } else { others };
            let ends = ca.outages.iter().chain(&self.killing).map(|(_, end)| *end);
            ends.filter(|at| from <= *at).chain([from]).any(|at| is_free(ca, at))
        })
    }

    /// Lets happen what the script has for the certificate just issued, from `planned` on.
    pub(super) fn play(&mut self, script: Script, planned: Timestamp, now: Timestamp) {
        let Some(held) = self.held.filter(|held| held.serial > self.played && planned > now) else {
            return;
        };
        self.played = held.serial;
        self.held = Some(Held { due: Some(planned), ..held });
        let mut out = |place: usize, span: Duration| {
            if let Some(ca) = self.cas.get_mut(place) {
                ca.outages.push((planned, planned.plus(span)));
            }
        };
        match (script, held.serial % 5) {
            (Script::Calm, _) => {}
            (Script::Gone, _) => (0..2).for_each(|place| out(place, SPAN)),
            (Script::Rough, 1) => out(0, HOUR * 8),
            (Script::Rough, 2) => out(0, DAY * 2),
            (Script::Rough, 3) => {
                out(0, DAY * 4);
                out(1, DAY * 2);
            }
            (Script::Rough, 4) => self.killing = Some((planned, planned.plus(DAY))),
            (Script::Rough, _) => {
                // Between two renewals, when nobody expects anything.
                let at = now.plus(planned.since(now) / 2);
                if at > start().plus(YEAR) {
                    let _ = self.cas[0].incident.get_or_insert(at);
                }
            }
        }
    }

    /// Whether there is nothing more to be learned from this life.
    pub(super) fn is_told(&self, script: Script, now: Timestamp) -> bool {
        let expired = self.held.is_some_and(|held| held.validity.not_after < now);
        script == Script::Gone && expired
    }

    /// The account of it all, when the simulation ends at `now`.
    pub(super) fn end(mut self, now: Timestamp) -> Year {
        if let Some(held) = self.held.filter(|held| held.validity.not_after < now) {
            self.over(held, now);
        }
        self.year.orders = self.cas.iter().map(|ca| ca.requests).sum();
        self.year.refused = self.cas.iter().map(|ca| ca.refused).sum();
        self.year
    }
}
