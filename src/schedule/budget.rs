//! What a CA still allows us: its published limits as token buckets. Pure.
//!
//! A [`Budget`] is what the ledger's entries of one CA come to. An order is entered *before* it is
//! sent, so that a crash loop spends its own allowance and not the CA's; once its end is known,
//! what it did not cost is given back. Where the CA itself speaks (429, 503, a pause), that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Exemption;
use super::bucket::{Bucket, millis};
use super::limits::{Limits, Rate, Scope, domain_of};
use crate::model::name::{CertName, Identifier};
use crate::model::time::{Timestamp, in_words};

/// Waits a CA asks for are believed between these.
const SHORTEST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// And no longer than this in an emergency: its own spacing makes the attempts rare enough.
const LONGEST_IN_EMERGENCY: Duration = Duration::from_secs(3600);

/// What an order is spared by what it replaces.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Relief {
    #[default]
    None,
    /// The same set of identifiers had a certificate before: only the exact set counts.
    Renewal,
    /// With `replaces`, inside the window: nothing holds the order up (RFC 9773 §5 and the CA's
    /// word), but the certificate counts for the exact set, as Boulder does it.
    Ari,
}

impl Relief {
    /// What an order is spared; `renews` says that the CA certified just these identifiers before.
    pub(crate) fn of(exemption: Exemption, renews: bool) -> Self {
        match exemption {
            Exemption::Exempt => Self::Ari,
            _ if renews => Self::Renewal,
            _ => Self::None,
        }
    }
}

/// Something that happened at a CA and bears on what it allows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    /// The CA's name.
    pub(crate) ca: String,
    #[serde(flatten)]
    pub(crate) what: What,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    /// An order is about to be sent.
    Ordering { name: CertName, identifiers: BTreeSet<Identifier>, relief: Relief },
    /// The order of that name came to its end, with a certificate or for certain without.
    Settled { name: CertName, issued: bool },
    /// An account is about to be created.
    Registering,
    /// The CA could not validate an identifier.
    Unproven { identifier: Identifier },
    /// The CA wants to be asked no more before `until`.
    Refused { scope: Scope, until: Timestamp },
    /// The CA takes no orders for this identifier before a person has visited `page`.
    Paused { identifier: Identifier, page: String },
    /// It took an order for it again.
    Resumed { identifier: Identifier },
    /// Where a bucket stood when the ledger was written anew: it is full again at that millisecond.
    Level { scope: Scope, full_at: i64 },
}

/// An order as far as limits are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) identifiers: BTreeSet<Identifier>,
    pub(crate) relief: Relief,
    /// May use what is held back for emergencies.
    pub(crate) is_emergency: bool,
    /// A person asks, who may just have visited the page a pause speaks of.
    pub(crate) by_hand: bool,
}

/// Why an order is not to be sent now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Shortage {
    pub(crate) until: Timestamp,
    pub(crate) scope: Scope,
    pub(crate) why: Lack,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Lack {
    /// The bucket is empty.
    Empty(Rate),
    /// Only the token is left that is kept for an emergency.
    HeldBack(Rate),
    /// The CA said so.
    Told,
    /// A person must visit this page first.
    Paused { identifier: Identifier, page: String },
}

impl Shortage {
    /// The same for an order that is not to be sent before `at`.
    pub(crate) fn at_earliest(self, at: Timestamp) -> Self {
        Self { until: self.until.max(at), ..self }
    }

    /// Whether only a person can end it.
    pub(crate) fn is_pause(&self) -> bool {
        matches!(self.why, Lack::Paused { .. })
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, scope, why } = self;
        let rule =
            |rate: &Rate| format!("it allows {} {scope} in {}", rate.tokens, in_words(rate.per));
        match why {
            Lack::Empty(rate) => write!(f, "{}, all used: the next at {until}", rule(rate)),
            Lack::HeldBack(rate) => write!(
                f,
                "{}, all used but the one kept for an emergency: the next at {until}",
                rule(rate)
            ),
            Lack::Told => write!(f, "it wants no more {scope} before {until}"),
            Lack::Paused { identifier, .. } => {
                write!(f, "it has paused {identifier} until a person visits a page it gave")
            }
        }
    }
}

/// What one bucket holds, for a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Holding {
    pub(crate) scope: Scope,
    pub(crate) rate: Rate,
    pub(crate) left: u32,
    /// What the order would take.
    pub(crate) takes: u32,
    /// When one more will be there, unless all are.
    pub(crate) next_at: Option<Timestamp>,
}

/// An order whose end is not known, and what it was charged to.
#[derive(Clone, Debug)]
struct Open {
    at: Timestamp,
    scopes: Vec<Scope>,
}

/// Until when a CA wants to be left alone, and when it said so.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Timestamp,
    until: Timestamp,
}

/// What one CA allows, as the ledger knows.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    limits: Limits,
    buckets: BTreeMap<Scope, Bucket>,
    told: BTreeMap<Scope, Told>,
    paused: BTreeMap<Identifier, (Timestamp, String)>,
    open: BTreeMap<CertName, Open>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        let (buckets, told) = (BTreeMap::new(), BTreeMap::new());
        Self { limits, buckets, told, paused: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// Counts what happened; entries come in the order of time.
    pub(crate) fn enter(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.what {
            What::Ordering { name, identifiers, relief } => {
                // An order nobody settled went on to an end nobody saw: it stays charged.
                self.close(name, |open, _| Some(open.at));
                let scopes: Vec<Scope> = self.costs(identifiers, *relief).into_keys().collect();
                for scope in &scopes {
                    self.charge(scope, at, Some(name.clone()));
                }
                self.open.insert(name.clone(), Open { at, scopes });
            }
            What::Settled { name, issued } => {
                let counts = self.limits.counts_issued;
                // The CA counts an order when it comes in, a certificate when it is issued.
                self.close(name, |open, scope| match scope {
                    Scope::Orders => counts.then_some(open.at),
                    _ => (counts && *issued).then_some(at.max(open.at)),
                });
            }
            What::Registering => self.charge(&Scope::Registrations, at, None),
            What::Unproven { identifier } => {
                self.charge(&Scope::Failures(identifier.clone()), at, None);
            }
            What::Refused { scope, until } => {
                let until = (*until).clamp(at.plus(SHORTEST_WAIT), at.plus(LONGEST_WAIT));
                self.told.insert(scope.clone(), Told { at, until });
            }
            What::Paused { identifier, page } => {
                self.paused.insert(identifier.clone(), (at, page.clone()));
            }
            What::Resumed { identifier } => drop(self.paused.remove(identifier)),
            What::Level { scope, full_at } => {
                self.buckets.entry(scope.clone()).or_default().full_at = *full_at;
            }
        }
    }

    /// The entries that say what still matters at `now`: what a ledger written anew begins with.
    pub(crate) fn entries(&self, ca: &str, now: Timestamp) -> Vec<Entry> {
        let entry = |at, what| Entry { at, ca: ca.to_owned(), what };
        let levels = self.buckets.iter().filter_map(|(scope, bucket)| {
            let full_at = bucket.level(self.limits.rate(scope)?);
            (full_at > millis(now))
                .then(|| entry(now, What::Level { scope: scope.clone(), full_at }))
        });
        let told = self.told.iter().filter(|(_, told)| told.until > now).map(|(scope, told)| {
            entry(told.at, What::Refused { scope: scope.clone(), until: told.until })
        });
        let paused = self.paused.iter().map(|(identifier, (at, page))| {
            let (identifier, page) = (identifier.clone(), page.clone());
            entry(*at, What::Paused { identifier, page })
        });
        levels.chain(told).chain(paused).collect()
    }

    /// Says whether an order may be sent now, and if not, what is lacking and until when.
    pub(crate) fn judge(&self, request: &Request, now: Timestamp) -> Result<(), Shortage> {
        let lacking = self.lacking(request, now);
        lacking.into_iter().max_by_key(|shortage| shortage.until).map_or(Ok(()), Err)
    }

    fn lacking(&self, request: &Request, now: Timestamp) -> Vec<Shortage> {
        let costs = self.costs(&request.identifiers, request.relief);
        let empty =
            costs.iter().filter_map(|(scope, takes)| self.shortage(scope, *takes, request, now));
        let unproven = request.identifiers.iter().map(|one| Scope::Failures(one.clone()));
        let failed = unproven.filter_map(|scope| self.shortage(&scope, 1, request, now));
        let told = self.told.keys().filter(|scope| self.concerns(scope, request));
        let told = told.filter_map(|scope| self.wait_told(scope, request.is_emergency, now));
        let paused = request.identifiers.iter().filter_map(|one| self.pause(one));
        let paused = paused.filter(|shortage| !request.by_hand && now < shortage.until);
        empty.chain(failed).chain(told).chain(paused).collect()
    }

    /// A new account may be created when neither its bucket is empty nor the CA said otherwise.
    pub(crate) fn judge_registration(&self, now: Timestamp) -> Result<(), Shortage> {
        let scope = Scope::Registrations;
        let told = [Scope::Ca, scope.clone()]
            .into_iter()
            .find_map(|scope| self.wait_told(&scope, false, now));
        let request = Request {
            identifiers: BTreeSet::new(),
            relief: Relief::None,
            is_emergency: true,
            by_hand: false,
        };
        told.or_else(|| self.shortage(&scope, 1, &request, now)).map_or(Ok(()), Err)
    }

    /// What the order would take of each bucket.
    pub(crate) fn holdings(&self, request: &Request, now: Timestamp) -> Vec<Holding> {
        let costs = self.costs(&request.identifiers, request.relief).into_iter();
        let holdings = costs.filter_map(|(scope, takes)| {
            let rate = self.limits.rate(&scope)?;
            let bucket = self.buckets.get(&scope);
            let left = bucket.map_or(rate.tokens, |bucket| bucket.left(rate, now));
            let next_at = bucket.filter(|_| left < rate.tokens);
            let next_at = next_at.map(|bucket| bucket.has_at(rate, left + 1));
            Some(Holding { scope, rate, left, takes, next_at })
        });
        holdings.collect()
    }

    /// What the buckets hold that are not full, and those there is only one of at this CA.
    pub(crate) fn known(&self, now: Timestamp) -> Vec<Holding> {
        let single = [Scope::Registrations, Scope::Orders];
        let single: BTreeMap<Scope, Bucket> =
            single.map(|scope| (scope, Bucket::default())).into_iter().collect();
        let all = single.iter().filter(|(scope, _)| !self.buckets.contains_key(scope));
        let all = all.chain(&self.buckets).filter_map(|(scope, bucket)| {
            let rate = self.limits.rate(scope)?;
            let left = bucket.left(rate, now);
            let is_full = left >= rate.tokens;
            let next_at = (!is_full).then(|| bucket.has_at(rate, left + 1));
            let is_told = !is_full || single.contains_key(scope);
            is_told.then(|| Holding { scope: scope.clone(), rate, left, takes: 0, next_at })
        });
        all.collect()
    }

    /// The paused identifiers, each with the page a person must visit before the CA takes orders
    /// for it again.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&Identifier, &str)> {
        self.paused.iter().map(|(identifier, (_, page))| (identifier, page.as_str()))
    }

    /// The identifiers of `of` that are paused.
    pub(crate) fn paused<'a>(
        &self,
        of: &'a BTreeSet<Identifier>,
    ) -> impl Iterator<Item = &'a Identifier> {
        of.iter().filter(|one| self.paused.contains_key(one))
    }

    /// Whether what the CA said of `scope` holds up the order.
    ///
    /// Of limits it publishes we know what spares an order; a limit nobody knew of holds up all.
    fn concerns(&self, scope: &Scope, request: &Request) -> bool {
        let Request { identifiers, relief, .. } = request;
        let mut domains = identifiers.iter().map(domain_of);
        let is_ours = match scope {
            Scope::Ca | Scope::Orders => true,
            Scope::Registrations => false,
            Scope::Domain(domain) => domains.any(|one| one == *domain),
            Scope::ExactSet(set) => set == identifiers,
            Scope::Failures(identifier) => identifiers.contains(identifier),
        };
        let is_spared = self.limits.rate(scope).is_some()
            && match scope {
                Scope::Orders | Scope::Domain(_) => *relief != Relief::None,
                Scope::ExactSet(_) => *relief == Relief::Ari,
                Scope::Ca | Scope::Registrations | Scope::Failures(_) => false,
            };
        is_ours && !is_spared
    }

    fn wait_told(&self, scope: &Scope, is_emergency: bool, now: Timestamp) -> Option<Shortage> {
        let Told { at, until } = *self.told.get(scope)?;
        let until = if is_emergency { until.min(at.plus(LONGEST_IN_EMERGENCY)) } else { until };
        let scope = scope.clone();
        (until > now).then_some(Shortage { until, scope, why: Lack::Told })
    }

    /// The pause of one of the identifiers, also where it is due to be asked again.
    pub(crate) fn pause_of(&self, request: &Request) -> Option<Shortage> {
        request.identifiers.iter().find_map(|one| self.pause(one))
    }

    /// Nobody tells us that a person has been there: it is asked once a day.
    fn pause(&self, identifier: &Identifier) -> Option<Shortage> {
        let (at, page) = self.paused.get(identifier)?;
        let until = at.plus(LONGEST_WAIT);
        let (identifier, page) = (identifier.clone(), page.clone());
        let scope = Scope::Failures(identifier.clone());
        Some(Shortage { until, scope, why: Lack::Paused { identifier, page } })
    }

    fn shortage(
        &self,
        scope: &Scope,
        takes: u32,
        request: &Request,
        now: Timestamp,
    ) -> Option<Shortage> {
        let rate = self.limits.rate(scope)?;
        let bucket = self.buckets.get(scope)?;
        let reserves = matches!(scope, Scope::ExactSet(_))
            && request.relief != Relief::Ari
            && !request.is_emergency
            && self.limits.counts_issued;
        let left = bucket.left(rate, now);
        let wanted = takes.min(rate.tokens);
        let needed = (wanted + u32::from(reserves)).min(rate.tokens);
        if left >= needed {
            return None;
        }
        let why = if left >= wanted { Lack::HeldBack(rate) } else { Lack::Empty(rate) };
        Some(Shortage { until: bucket.has_at(rate, needed), scope: scope.clone(), why })
    }

    /// What is charged when an order is sent: all it may come to cost.
    ///
    /// An exempt order counts for the exact set like any other, so that a crash loop of exempt
    /// orders has an end as well; but nothing is held back from it.
    fn costs(&self, identifiers: &BTreeSet<Identifier>, relief: Relief) -> BTreeMap<Scope, u32> {
        let mut costs = BTreeMap::from([(Scope::ExactSet(identifiers.clone()), 1)]);
        if relief == Relief::None {
            costs.insert(Scope::Orders, 1);
            // However many of its names an order has, it is one certificate for a domain.
            costs.extend(identifiers.iter().map(|one| (Scope::Domain(domain_of(one)), 1)));
        }
        costs.retain(|scope, _| self.limits.rate(scope).is_some());
        costs
    }

    fn charge(&mut self, scope: &Scope, at: Timestamp, open: Option<CertName>) {
        if let Some(rate) = self.limits.rate(scope) {
            self.buckets.entry(scope.clone()).or_default().charge(rate, at, open);
        }
    }

    /// Makes the charges of an order final as of when they were `spent`, and takes the others back.
    fn close(&mut self, name: &CertName, spent: impl Fn(&Open, &Scope) -> Option<Timestamp>) {
        let Some(open) = self.open.remove(name) else { return };
        for scope in &open.scopes {
            if let (Some(rate), Some(bucket)) =
                (self.limits.rate(scope), self.buckets.get_mut(scope))
            {
                bucket.close(rate, name, spent(&open, scope));
            }
        }
    }
}

#[cfg(test)]
mod overspend_tests;
#[cfg(test)]
mod tests;
