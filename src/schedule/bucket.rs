//! One token bucket (GCRA), whose newest charges may still be taken back. Pure.

use super::limits::Rate;
use crate::model::name::CertName;
use crate::model::time::Timestamp;

#[derive(Clone, Debug)]
struct Charge {
    at: Timestamp,
    /// The order it is for, while that order's end is not known.
    open: Option<CertName>,
}

/// A bucket in milliseconds: `full_at` comes of what is final, `charges` of what may be taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    pub(super) full_at: i64,
    charges: Vec<Charge>,
}

impl Bucket {
    pub(super) fn level(&self, rate: Rate) -> i64 {
        self.charges.iter().fold(self.full_at, |full_at, charge| spend(full_at, charge.at, rate))
    }

    pub(super) fn left(&self, rate: Rate, now: Timestamp) -> u32 {
        let missing = self.level(rate).saturating_sub(millis(now)).max(0);
        let used = missing.div_euclid(rate.interval()) + i64::from(missing % rate.interval() != 0);
        rate.tokens.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// When `tokens` of them will be there, rounded up to a second.
    pub(super) fn has_at(&self, rate: Rate, tokens: u32) -> Timestamp {
        let spare = i64::from(rate.tokens.saturating_sub(tokens)).saturating_mul(rate.interval());
        let at = self.level(rate).saturating_sub(spare);
        Timestamp::from_unix(at.div_euclid(1000) + i64::from(at.rem_euclid(1000) != 0))
    }

    pub(super) fn charge(&mut self, rate: Rate, at: Timestamp, open: Option<CertName>) {
        self.charges.push(Charge { at, open });
        self.fold(rate);
    }

    /// Makes what an order was charged final, as spent at `spent`, or takes it back where that is none.
    pub(super) fn close(&mut self, rate: Rate, name: &CertName, spent: Option<Timestamp>) {
        let before = self.charges.len();
        self.charges.retain(|charge| charge.open.as_ref() != Some(name));
        let mine = before - self.charges.len();
        for at in spent.into_iter().cycle().take(mine) {
            // Charges stand in the order of time: what is spent later may not refill earlier.
            let place = self.charges.partition_point(|charge| charge.at <= at);
            self.charges.insert(place, Charge { at, open: None });
        }
        self.fold(rate);
    }

    /// Takes what is final out of the list, as far as nothing before it may be taken back.
    fn fold(&mut self, rate: Rate) {
        let open = self.charges.iter().position(|charge| charge.open.is_some());
        for charge in self.charges.drain(..open.unwrap_or(self.charges.len())) {
            self.full_at = spend(self.full_at, charge.at, rate);
        }
    }
}

pub(super) fn millis(at: Timestamp) -> i64 {
    at.unix().saturating_mul(1000)
}

fn spend(full_at: i64, at: Timestamp, rate: Rate) -> i64 {
    full_at.max(millis(at)).saturating_add(rate.interval())
}
