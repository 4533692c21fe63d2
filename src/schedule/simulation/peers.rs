//! Other clients, as the rules they publish: when they renew, and what they do after a failure.
//!
//! Rules only, read in their sources (certbot 5.6.0, acme.sh 3.1.4, lego 5.3.1, cert-manager 1.21.1),
//! with their default settings; not their code, and nothing of what else they do well.

use std::time::Duration;

use super::ca::Answer;
use super::world::{Held, World};
use super::{Cadence, Client, DAY, HOUR, MINUTE};
use crate::model::time::{Timestamp, Window};

/// What a client's rule says of the certificate it holds.
type IsDue = fn(&Facts, &mut World) -> bool;

/// What a rule may look at.
pub(super) struct Facts {
    held: Held,
    /// What the CA just said, where the client asks and it answered.
    window: Option<Window>,
    /// The instant in the window drawn when the certificate was issued.
    drawn: Option<Timestamp>,
    now: Timestamp,
}

impl Facts {
    /// Whether less than the share `nth` of the life is left.
    fn left_below(&self, nth: u32) -> bool {
        let left = self.held.validity.not_after.since(self.now);
        left < self.held.validity.lifetime() / nth
    }

    fn lives_below(&self, days: u32) -> bool {
        self.held.validity.lifetime() < DAY * days
    }
}

/// A client's rules.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) cadence: Cadence,
    pub(super) asks_ari: bool,
    sends_replaces: bool,
    is_due: IsDue,
    /// When `is_due` first holds, without advice of the CA.
    first: fn(&Held) -> Timestamp,
    /// The wait after so many failures in a row; none where only its timer spaces the attempts.
    wait: fn(u32) -> Duration,
}

const fn every(every: Duration, delay: Duration) -> Cadence {
    Cadence::Timer { every, delay, idles: false }
}

fn after(held: &Held, share: fn(Duration) -> Duration) -> Timestamp {
    held.validity.not_before.plus(share(held.validity.lifetime()))
}

/// Half of a life under ten days, two thirds of others.
fn usual_share(life: Duration) -> Duration {
    if life < DAY * 10 { life / 2 } else { life / 3 * 2 }
}

fn usual(facts: &Facts) -> bool {
    if facts.lives_below(10) { facts.left_below(2) } else { facts.left_below(3) }
}

/// The timer its packages ship: twice a day, up to 12 hours late. An instant in the window is drawn
/// anew in each run; no `replaces`; nothing is remembered of a failure.
pub(super) const CERTBOT: Rules = Rules {
    name: "certbot 5.6",
    cadence: every(HOUR.saturating_mul(12), HOUR.saturating_mul(12)),
    asks_ari: true,
    sends_replaces: false,
    is_due: |facts, world| match facts.window {
        Some(window) => world.dice.within(window) <= facts.now,
        None => usual(facts),
    },
    first: |held| after(held, usual_share),
    wait: |_| Duration::ZERO,
};

/// Its daily cron entry. From where the CA's window begins; where the CA cannot be asked, at the
/// instant drawn in it at issue; without ARI, 29 days after it was made.
pub(super) const ACME_SH: Rules = Rules {
    name: "acme.sh 3.1.4",
    cadence: every(DAY, MINUTE),
    asks_ari: true,
    sends_replaces: true,
    is_due: |facts, _| match facts.window {
        Some(window) => window.start() <= facts.now,
        None => {
            facts.drawn.unwrap_or_else(|| facts.held.validity.not_before.plus(DAY * 29))
                <= facts.now
        }
    },
    first: |held| held.validity.not_before.plus(DAY * 29),
    wait: |_| Duration::ZERO,
};

/// The daily run of its manual, up to eight minutes late. An instant in the window is drawn anew in
/// each run.
pub(super) const LEGO: Rules = Rules {
    name: "lego 5.3",
    cadence: every(DAY, MINUTE.saturating_mul(8)),
    asks_ari: true,
    sends_replaces: true,
    is_due: |facts, world| match facts.window {
        Some(window) => world.dice.within(window) <= facts.now,
        None => usual(facts),
    },
    first: |held| after(held, usual_share),
    wait: |_| Duration::ZERO,
};

/// Resident, without ARI (its gate is off): two thirds, then 1, 2, 4 … 32 hours after failures.
pub(super) const CERT_MANAGER: Rules = Rules {
    name: "cert-manager 1.21",
    cadence: Cadence::Resident,
    asks_ari: false,
    sends_replaces: false,
    is_due: |facts, _| facts.left_below(3),
    first: |held| after(held, |life| life / 3 * 2),
    wait: |failures| HOUR * 2u32.saturating_pow(failures.saturating_sub(1)).min(32),
};

/// A client that follows published rules.
pub(super) struct Peer {
    rules: Rules,
    failures: u32,
    retry_at: Timestamp,
    drawn: Option<Timestamp>,
}

impl Peer {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, failures: 0, retry_at: Timestamp::default(), drawn: None }
    }

    fn window(&self, world: &mut World, now: Timestamp) -> Option<Window> {
        let held = world.held.filter(|_| self.rules.asks_ari)?;
        let info = world.cas[held.ca].renewal_info(held.validity, now, &mut world.dice);
        info.map(|(window, _)| window)
    }

    fn is_due(&self, world: &mut World, now: Timestamp) -> bool {
        let Some(held) = world.held else { return true };
        let facts = Facts { held, window: self.window(world, now), drawn: self.drawn, now };
        (self.rules.is_due)(&facts, world)
    }
}

impl Client for Peer {
    fn look(&mut self, world: &mut World, now: Timestamp) -> Timestamp {
        if now < self.retry_at {
            return self.retry_at;
        }
        if !self.is_due(world, now) {
            return self.planned(world, now).max(now.plus(MINUTE));
        }
        let answer = match world.order(0, self.rules.sends_replaces, now) {
            Answer::Conflict => world.order(0, false, now),
            answer => answer,
        };
        match answer {
            Answer::Issued { at, .. } => {
                self.failures = 0;
                self.drawn = self.window(world, at).map(|window| world.dice.within(window));
            }
            _ => self.failures += 1,
        }
        let wait =
            if self.failures == 0 { Duration::ZERO } else { (self.rules.wait)(self.failures) };
        self.retry_at = now.plus(wait);
        self.retry_at.max(now.plus(MINUTE))
    }

    fn planned(&self, world: &World, now: Timestamp) -> Timestamp {
        let Some(held) = world.held else { return now };
        let ca = &world.cas[held.ca];
        let at = match self.rules.asks_ari && ca.has_ari {
            true => ca.window(held.validity, now).start(),
            false => (self.rules.first)(&held),
        };
        at.max(now)
    }
}
