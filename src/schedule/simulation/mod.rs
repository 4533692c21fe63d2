//! Two years of one certificate in a moment: the real rules, a simulated clock and simulated CAs.
//!
//! Nothing waits and nothing is random: the clock is a number, and what real life would throw dice
//! for comes from a seed. [`world`] holds the CAs and what becomes of the certificate, [`ca`] is a CA
//! as Boulder is written (apart from our own budgets, which it is to judge), [`ours`] drives the real
//! functions of this floor as the agent does, [`peers`] the published rules of other clients.

mod ca;
mod ours;
mod peers;
mod table;
mod tests;
mod world;

use std::time::Duration;

use crate::model::time::Timestamp;
use ca::Ca;
use world::{Script, World, Year};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// 2026-11-22; two years from here both changes of the classic lifetime have come.
const START: i64 = 1_795_305_600;
const SPAN: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

fn start() -> Timestamp {
    Timestamp::from_unix(START)
}

/// A client that keeps one certificate.
trait Client {
    /// Looks after the certificate, and says when it would look again if it were resident.
    fn look(&mut self, world: &mut World, now: Timestamp) -> Timestamp;

    /// When it would renew what it holds if nothing came between; `now` where that is over.
    fn planned(&self, world: &World, now: Timestamp) -> Timestamp;
}

/// When a client is run.
#[derive(Clone, Copy, Debug)]
enum Cadence {
    /// It stays, and wakes when it wants to, up to a minute late.
    Resident,
    /// At every turn of `every`, up to `delay` late. Idle turns before the certificate wants
    /// anything are left out where `idles`: the run would only read its index.
    Timer { every: Duration, delay: Duration, idles: bool },
}

impl Cadence {
    const fn timer(every: Duration) -> Self {
        Self::Timer { every, delay: MINUTE, idles: true }
    }
}

/// A client, what it meets, and when it is run next.
struct Life<C> {
    client: C,
    world: World,
    cadence: Cadence,
    script: Script,
    turn: Timestamp,
    now: Timestamp,
}

impl<C: Client> Life<C> {
    fn new(client: C, mut world: World, cadence: Cadence, script: Script) -> Self {
        let phase = match cadence {
            Cadence::Resident => Duration::ZERO,
            Cadence::Timer { every, .. } => world.dice.below(every),
        };
        if matches!(cadence, Cadence::Resident) {
            let _ = world.suffices.get_or_insert(HOUR);
        }
        let now = start().plus(phase);
        Self { client, world, cadence, script, turn: now, now }
    }

    /// Runs the client once.
    fn step(&mut self) {
        let now = self.now;
        let planned = self.client.planned(&self.world, now);
        self.world.note_run(planned, now);
        let wake = self.client.look(&mut self.world, now);
        let planned = self.client.planned(&self.world, now);
        self.world.play(self.script, planned, now);
        self.now = match self.cadence {
            Cadence::Resident => {
                wake.max(now.plus(Duration::from_secs(1))).plus(self.world.dice.below(MINUTE))
            }
            Cadence::Timer { every, delay, idles } => {
                let next = self.turn.plus(every);
                let idle = if idles { wake.min(planned).since(next) } else { Duration::ZERO };
                let skipped = u32::try_from(idle.as_secs() / every.as_secs()).unwrap_or(u32::MAX);
                self.turn = next.plus(every.saturating_mul(skipped));
                self.turn.plus(self.world.dice.below(delay))
            }
        };
    }

    fn is_over(&self) -> bool {
        self.now >= start().plus(SPAN) || self.world.is_told(self.script, self.now)
    }

    /// Lives it all.
    fn live(mut self) -> Year {
        while !self.is_over() {
            self.step();
        }
        self.world.end(self.now)
    }
}

/// Several hosts with certificates of their own for the same names, at the same CAs.
fn live_together<C: Client>(mut lives: Vec<Life<C>>, mut cas: Vec<Ca>) -> Year {
    loop {
        let next = lives.iter_mut().min_by_key(|life| life.now).expect("somebody lives");
        if next.is_over() {
            break;
        }
        std::mem::swap(&mut cas, &mut next.world.cas);
        next.step();
        std::mem::swap(&mut cas, &mut next.world.cas);
    }
    let (orders, refused) = (cas[0].requests, cas[0].refused);
    let years = lives.into_iter().map(|mut life| {
        // What became of the last one needs a CA to look at.
        life.world.cas.push(Ca::boulder(cas[0].lifetimes));
        life.world.end(life.now)
    });
    Year { orders, refused, ..years.reduce(Year::and).expect("somebody lives") }
}
