//! Who was told what, and what is news to them. Pure.
//!
//! A condition is told when it begins and when it worsens, again after a while if the receiver
//! wants that, and once more when it is over. What was told and what was not is known by receiver:
//! it is noted only once the message has gone out, so that one that did not is news again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::Judgement;
use super::{Condition, Rule, Severity};
use crate::model::time::Timestamp;

/// A condition that comes back so soon after its end is not told anew.
const FLAPPING: Duration = Duration::from_secs(600);
/// So many conditions one receiver is told of at most; there is more wrong by then than a list of
/// it would help.
const MOST: usize = 500;

/// All that was told.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Ledger {
    /// By the name of the receiver and the key of the condition.
    receivers: BTreeMap<String, BTreeMap<String, Told>>,
}

/// What a receiver was told of one condition.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Told {
    rule: Rule,
    subject: String,
    certificate: Option<String>,
    title: String,
    /// The worst that was told.
    severity: Severity,
    since: Timestamp,
    /// When it was told last.
    told_at: Timestamp,
    /// When its end was told; it is remembered for a while then.
    over_at: Option<Timestamp>,
}

/// What a receiver wants to hear.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    /// What it is called in the settings.
    pub(crate) name: String,
    /// Nothing less than this.
    pub(crate) severity: Severity,
    /// After how long it is reminded of what still holds; `None` for never.
    pub(crate) repeat: Option<Duration>,
}

/// How a condition stands to what a receiver knows of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Begun,
    /// From a warning to critical.
    Worsened,
    /// It was told a while ago, and is still there.
    Reminder,
    /// It was told, and that is enough for most.
    Lasting,
    Resolved,
}

/// One condition as a receiver is to hear of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct News {
    pub(crate) state: State,
    /// Of one that is over, as it was told; its severity is the worst that was told.
    pub(crate) condition: Condition,
    pub(crate) since: Timestamp,
}

impl Ledger {
    /// What a receiver is to hear; what is only [`State::Lasting`] is in it, too.
    pub(crate) fn news(&self, terms: &Terms, judged: &Judgement, now: Timestamp) -> Vec<News> {
        let nothing = BTreeMap::new();
        let known = self.receivers.get(&terms.name).unwrap_or(&nothing);
        let mut room = MOST.saturating_sub(known.len());
        let mut news = Vec::new();
        let mut holding = BTreeSet::new();
        for condition in judged.holding.iter().filter(|one| one.severity >= terms.severity) {
            let key = condition.key();
            let told = known.get(&key);
            let state = match told {
                None if room == 0 => continue,
                None => Some(State::Begun),
                Some(told) => told.state(condition, terms.repeat, now),
            };
            room -= usize::from(told.is_none());
            holding.insert(key);
            let Some(state) = state else { continue };
            let severity = match (told, state) {
                (Some(told), State::Reminder | State::Lasting) => {
                    told.severity.max(condition.severity)
                }
                _ => condition.severity,
            };
            let condition = Condition { severity, ..condition.clone() };
            let since = told.filter(|_| state != State::Begun).map_or(now, |told| told.since);
            news.push(News { state, condition, since });
        }
        let is_unknown = |told: &Told| {
            told.certificate.as_ref().is_some_and(|name| judged.unknown.contains(name))
        };
        let over = known.iter().filter(|(key, told)| {
            told.over_at.is_none() && !holding.contains(*key) && !is_unknown(told)
        });
        news.extend(over.map(|(_, told)| told.resolved()));
        news
    }

    /// Notes that a receiver was told this.
    pub(crate) fn note(&mut self, receiver: &str, news: &[News], now: Timestamp) {
        let known = self.receivers.entry(receiver.to_owned()).or_default();
        for News { state, condition, since } in news {
            let key = condition.key();
            match state {
                State::Lasting => {}
                State::Resolved => {
                    if let Some(told) = known.get_mut(&key) {
                        told.over_at = Some(now);
                    }
                }
                State::Begun | State::Worsened | State::Reminder => {
                    known.insert(key, Told::now(condition, *since, now));
                }
            }
        }
    }

    /// Forgets receivers that are no more, and what has been over for a while.
    pub(crate) fn tidy(&mut self, is_receiver: impl Fn(&str) -> bool, now: Timestamp) {
        self.receivers.retain(|name, _| is_receiver(name));
        for known in self.receivers.values_mut() {
            known.retain(|_, told| told.over_at.is_none() || told.flaps(now));
        }
        self.receivers.retain(|_, known| !known.is_empty());
    }
}

impl Told {
    fn now(condition: &Condition, since: Timestamp, now: Timestamp) -> Self {
        let Condition { rule, subject, certificate, severity, title, .. } = condition.clone();
        Self { rule, subject, certificate, title, severity, since, told_at: now, over_at: None }
    }

    /// What a condition that holds is to a receiver that was told this; `None` for nothing at all.
    fn state(
        &self,
        condition: &Condition,
        repeat: Option<Duration>,
        now: Timestamp,
    ) -> Option<State> {
        let is_worse = condition.severity > self.severity;
        if self.over_at.is_some() {
            return (is_worse || !self.flaps(now)).then_some(State::Begun);
        }
        let is_old = repeat.is_some_and(|repeat| now.since(self.told_at) >= repeat);
        Some(match () {
            () if is_worse => State::Worsened,
            () if is_old => State::Reminder,
            () => State::Lasting,
        })
    }

    /// Whether its end was told a moment ago; a clock that was ahead then is not believed.
    fn flaps(&self, now: Timestamp) -> bool {
        self.over_at.is_some_and(|over| over <= now && now.since(over) < FLAPPING)
    }

    fn resolved(&self) -> News {
        let Self { rule, subject, certificate, title, severity, since, .. } = self.clone();
        let (text, hint, link) = (String::new(), String::new(), None);
        let condition = Condition { rule, subject, certificate, severity, title, text, hint, link };
        News { state: State::Resolved, condition, since }
    }
}

#[cfg(test)]
mod tests;
