//! Waiting until every server of a zone shows what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, join_all, try_join_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use super::DnsError;
use super::place::Place;
use super::sight::{Goal, Instead, Seen, Sight, Verdict, judge};
use crate::dns::{
    Answer, AskError, Code, Data, Delegation, Kind, Manner, Name, Resolvers, ask, shown,
};
use crate::model::txt::Txt;

/// So many questions are open at once.
const AT_ONCE: usize = 64;
/// Between two looks at the same server: what is written shows at once or takes its time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Nobody is told of what takes no longer.
const QUIET: Duration = Duration::from_secs(2);
/// How long servers that do not answer for the zone are waited for once all others show everything.
/// A CA may ask them, but asks others where they fail.
const GRACE: Duration = Duration::from_secs(10);

/// The names of one zone, each with the values it is to show.
type Wanted = BTreeMap<Name, BTreeSet<Vec<u8>>>;

/// What the operator is told on the way.
type Tell<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Who waits, and how.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    pub(super) goal: Goal,
    pub(super) patience: Duration,
    pub(super) resolvers: &'a Resolvers,
    pub(super) tell: Tell<'a>,
}

/// One server at one address, and what it has not shown yet.
struct Watch {
    server: String,
    address: IpAddr,
    manner: Manner,
    pending: Wanted,
    pause: Duration,
    sight: Sight,
    serial: Option<u32>,
}

/// What one look at a server came to.
struct Look {
    index: usize,
    serial: Result<Option<u32>, Sight>,
    answers: Vec<(Name, Result<Answer, AskError>)>,
}

/// The servers of one zone that are asked, and the questions that are open.
struct Vigil<'a> {
    apex: Name,
    watches: Vec<Watch>,
    looks: FuturesUnordered<BoxFuture<'a, Look>>,
    permits: Arc<Semaphore>,
}

impl Wait<'_> {
    /// Waits until these records are shown, each by the servers of its zone.
    ///
    /// It ends within [`LONGEST_PAUSE`] and an answer's time of the last server showing them, and
    /// with an error where the patience is over first.
    pub(super) async fn until_shown(&self, records: &[(Txt, Place)]) -> Result<(), DnsError> {
        let mut zones: BTreeMap<&str, (&Delegation, Wanted)> = BTreeMap::new();
        for (txt, place) in records {
            let Some(delegation) = &place.delegation else { continue };
            let (_, wanted) =
                zones.entry(&place.apex).or_insert_with(|| (delegation, Wanted::new()));
            let values = wanted.entry(delegation.target.clone()).or_default();
            values.insert(txt.value.clone().into_bytes());
        }
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let waits = zones.into_values();
        let waits = waits.map(|(delegation, wanted)| {
            self.zone(delegation, wanted, Arc::clone(&permits)).boxed()
        });
        try_join_all(waits).await.map(|_| ())
    }

    async fn zone(
        &self,
        delegation: &Delegation,
        wanted: Wanted,
        permits: Arc<Semaphore>,
    ) -> Result<(), DnsError> {
        let began = Instant::now();
        let end = began + self.patience;
        let apex = &delegation.apex;
        let servers = delegation.addresses().map(|(name, address)| {
            Watch::new(shown(name), address, Manner::Iterative, wanted.clone())
        });
        let mut vigil = Vigil::new(apex, servers.collect(), &permits);
        let mut agreed: Option<Instant> = None;
        let (mut told, mut by_resolvers) = (Vec::new(), false);
        loop {
            match vigil.judge(self.goal) {
                Verdict::Shown => return Ok(()),
                Verdict::ButFor(useless) => {
                    let until = (*agreed.get_or_insert_with(Instant::now) + GRACE).min(end);
                    if Instant::now() >= until {
                        (self.tell)(format!(
                            "{} shows what was written, but for {}",
                            shown(apex),
                            useless.join(", ")
                        ));
                        return Ok(());
                    }
                    vigil.hear(until).await;
                    continue;
                }
                Verdict::Blind(said) if !by_resolvers => {
                    by_resolvers = true;
                    (self.tell)(blind(apex, &said));
                    let resolvers = self.resolvers.addresses().map(|address| {
                        let name = "the resolver".to_owned();
                        Watch::new(name, address, Manner::Recursive, wanted.clone())
                    });
                    vigil = Vigil::new(apex, resolvers.collect(), &permits);
                }
                Verdict::NotYet(lagging) | Verdict::Blind(lagging) => {
                    agreed = None;
                    if Instant::now() >= end {
                        return Err(vigil.lagging(lagging, self.patience));
                    }
                    if began.elapsed() >= QUIET && !lagging.is_empty() && lagging != told {
                        (self.tell)(format!("waiting for {}", lagging.join(", ")));
                        told = lagging;
                    }
                }
            }
            vigil.hear(end).await;
        }
    }
}

fn blind(apex: &Name, said: &[String]) -> String {
    let why = if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) };
    let apex = shown(apex);
    format!("no name server of {apex} answers for it{why}: asking the resolvers of this host")
}

impl<'a> Vigil<'a> {
    fn new(apex: &Name, watches: Vec<Watch>, permits: &Arc<Semaphore>) -> Self {
        let mut vigil = Self {
            apex: apex.clone(),
            watches,
            looks: FuturesUnordered::new(),
            permits: Arc::clone(permits),
        };
        for index in 0..vigil.watches.len() {
            vigil.look(index, Duration::ZERO);
        }
        vigil
    }

    /// Begins the next look at a server.
    fn look(&mut self, index: usize, pause: Duration) {
        let watch = &self.watches[index];
        let (address, manner) = (watch.address, watch.manner);
        let names: Vec<Name> = watch.pending.keys().cloned().collect();
        let (apex, permits) = (self.apex.clone(), Arc::clone(&self.permits));
        let asked = async move |name: &Name, kind| {
            let _permit = permits.acquire().await.expect("it is never closed");
            ask(address, name, kind, manner).await
        };
        let look = async move {
            sleep(pause).await;
            // Who does not answer for the zone, or not at all, is asked no more than that.
            let serial = asked(&apex, Kind::Soa).await;
            let serial = match serial {
                Ok(answer) if manner == Manner::Recursive || is_its_own(&answer) => {
                    Ok(answer.serial(&apex))
                }
                Ok(answer) => Err(Sight::Lame(answer.code)),
                Err(error) => Err(Sight::Mute(error)),
            };
            let names = if serial.is_ok() { names } else { Vec::new() };
            let answers = names.into_iter().map(async |name| {
                let answer = asked(&name, Kind::Txt).await;
                (name, answer)
            });
            let answers = join_all(answers).await;
            Look { index, serial, answers }
        };
        self.looks.push(look.boxed());
    }

    /// Takes in what the next server says, or nothing more until `end`.
    async fn hear(&mut self, end: Instant) {
        let look = tokio::select! {
            Some(look) = self.looks.next() => look,
            () = sleep_until(end) => return,
        };
        let index = look.index;
        let watch = &mut self.watches[index];
        watch.take(look);
        if watch.sight != Sight::Shows {
            let pause = watch.pause;
            watch.pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            self.look(index, pause);
        }
    }

    fn judge(&self, goal: Goal) -> Verdict {
        let seen: Vec<Seen> = self.watches.iter().map(Watch::seen).collect();
        judge(&seen, goal)
    }

    /// What to say when the patience is over.
    fn lagging(&self, lagging: Vec<String>, after: Duration) -> DnsError {
        let missing: BTreeSet<&Name> = self.watches.iter().flat_map(|w| w.pending.keys()).collect();
        let first = missing.first().map(|name| shown(name)).unwrap_or_default();
        let name = match missing.len() {
            0 | 1 => first,
            count => format!("{first} (and {} more)", count - 1),
        };
        let unheard = || vec![format!("any name server of {}", shown(&self.apex))];
        let lagging = if lagging.is_empty() { unheard() } else { lagging };
        DnsError::Lagging { name, lagging, after }
    }
}

fn is_its_own(answer: &Answer) -> bool {
    answer.authoritative && answer.code == Code::Success
}

impl Watch {
    fn new(server: String, address: IpAddr, manner: Manner, pending: Wanted) -> Self {
        let (pause, sight) = (FIRST_PAUSE, Sight::Unheard);
        Self { server, address, manner, pending, pause, sight, serial: None }
    }

    /// Strikes out what is shown.
    fn take(&mut self, look: Look) {
        self.serial = match look.serial {
            Ok(serial) => serial,
            Err(useless) => {
                self.sight = useless;
                return;
            }
        };
        let mut first = None;
        for (name, answer) in look.answers {
            let Some(values) = self.pending.get_mut(&name) else { continue };
            let (shown, instead) = sort(&name, answer, values);
            values.retain(|value| !shown.contains(value));
            if values.is_empty() {
                self.pending.remove(&name);
            } else {
                first.get_or_insert(instead);
            }
        }
        self.sight = match first {
            Some(instead) => Sight::Lacks { names: self.pending.len(), instead },
            None => Sight::Shows,
        };
    }

    fn seen(&self) -> Seen {
        let (server, sight) = (self.server.clone(), self.sight.clone());
        Seen { server, address: self.address, sight, serial: self.serial }
    }
}

/// Which of these values an answer has, and what it has instead of the others.
///
/// Only the exact value counts: earlier runs leave others, and a wildcard answers everything.
fn sort(
    name: &Name,
    answer: Result<Answer, AskError>,
    values: &BTreeSet<Vec<u8>>,
) -> (BTreeSet<Vec<u8>>, Instead) {
    let answer = match answer {
        Err(error) => return (BTreeSet::new(), Instead::Silence(error)),
        Ok(answer) => answer,
    };
    let text = |data| if let Data::Text(text) = data { Some(text) } else { None };
    let texts: BTreeSet<Vec<u8>> = answer.about(name).into_iter().filter_map(text).collect();
    let others = texts.difference(values).count();
    let instead = match answer.code {
        Code::Success | Code::NoSuchName if others > 0 => Instead::Others(others),
        Code::Success | Code::NoSuchName if !answer.aliases(name).is_empty() => Instead::Alias,
        Code::Success | Code::NoSuchName => Instead::Nothing,
        code => Instead::Code(code),
    };
    (texts.intersection(values).cloned().collect(), instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Record, name};

    fn answer(code: Code, records: Vec<(&str, Data)>) -> Answer {
        let record = |(owner, data)| Record { owner: name(owner).unwrap(), data };
        let records = records.into_iter().map(record).collect();
        Answer { code, authoritative: true, records, authority: Vec::new(), additional: Vec::new() }
    }

    fn values(values: &[&str]) -> BTreeSet<Vec<u8>> {
        values.iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    #[test]
    fn only_exact_values_count() {
        let at = "_acme-challenge.a.example";
        let text = |text: &str| (at, Data::Text(text.as_bytes().to_vec()));
        let wanted = ["one", "two"];
        let table: Vec<(Answer, &[&str], Instead)> = vec![
            (answer(Code::Success, vec![text("two"), text("one")]), &wanted, Instead::Nothing),
            (answer(Code::Success, vec![text("one"), text("old")]), &["one"], Instead::Others(1)),
            (answer(Code::Success, vec![text("ONE"), text("one ")]), &[], Instead::Others(2)),
            (answer(Code::NoSuchName, vec![]), &[], Instead::Nothing),
            (
                answer(Code::Success, vec![(at, Data::Alias(name("b.example").unwrap()))]),
                &[],
                Instead::Alias,
            ),
            (answer(Code::Failure, vec![]), &[], Instead::Code(Code::Failure)),
        ];
        for (answer, shown, instead) in table {
            let found = sort(&name(at).unwrap(), Ok(answer.clone()), &values(&wanted));
            assert_eq!(found, (values(shown), instead), "{answer:?}");
        }
    }

    #[test]
    fn what_was_shown_is_not_asked_again() {
        let at = |label: &str| name(&format!("_acme-challenge.{label}.example")).unwrap();
        let pending = Wanted::from([(at("a"), values(&["one", "two"])), (at("b"), values(&["b"]))]);
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut watch = Watch::new("ns1".to_owned(), address, Manner::Iterative, pending);
        let shows = |label: &str, text: &str| {
            let text = Data::Text(text.as_bytes().to_vec());
            let owner = format!("_acme-challenge.{label}.example");
            (at(label), Ok(answer(Code::Success, vec![(&owner, text)])))
        };
        let mut hear = |answers| {
            watch.take(Look { index: 0, serial: Ok(Some(1)), answers });
            (watch.sight.clone(), watch.pending.len())
        };
        let lacks = |names, instead| Sight::Lacks { names, instead };
        assert_eq!(hear(vec![shows("a", "one"), shows("b", "b")]), (lacks(1, Instead::Nothing), 1));
        assert_eq!(hear(vec![shows("a", "old")]), (lacks(1, Instead::Others(1)), 1));
        assert_eq!(hear(vec![shows("a", "two")]), (Sight::Shows, 0));
    }
}
