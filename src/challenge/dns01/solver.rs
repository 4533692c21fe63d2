//! The solver of dns-01 and dns-account-01 over all providers of a certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use super::place::{Place, Places};
use super::propagation::Wait;
use super::sight::Goal;
use super::{DnsError, Memory, Zone};
use crate::challenge::{Solver, SolverError};
use crate::dns::Resolvers;
use crate::model::challenge::{AccountLabel, Challenge, ChallengeKind};
use crate::model::name::Identifier;
use crate::model::txt::Txt;

/// So many names are looked up, and so many zones written, at once.
const AT_ONCE: usize = 8;
const ZONES_AT_ONCE: usize = 4;
/// How long a zone is looked for that need not be found.
const UNNEEDED: Duration = Duration::from_secs(3);

/// A provider, and the zones it is for; none means all.
pub(crate) struct Provider {
    pub(crate) zone: Arc<dyn Zone>,
    pub(crate) zones: Vec<String>,
}

/// The hands of one certificate in the DNS.
pub(crate) struct Dns {
    /// In the order of the settings; a zone goes to the first that is for it.
    pub(crate) providers: Vec<Provider>,
    pub(crate) resolvers: Resolvers,
    pub(crate) places: Places,
    /// How long the servers may take to show a record; zero asks none.
    pub(crate) patience: Duration,
    pub(crate) memory: Arc<dyn Memory>,
    /// Tells the operator what is waited for.
    pub(crate) tell: Box<dyn Fn(String) + Send + Sync>,
    /// Tells what is done to whom wants to know it all.
    pub(crate) detail: Box<dyn Fn(String) + Send + Sync>,
}

/// Answers challenges of one of the two kinds.
pub(crate) struct Dns01 {
    kind: ChallengeKind,
    account: Option<AccountLabel>,
    dns: Arc<Dns>,
    presented: Mutex<Vec<(Txt, usize)>>,
    /// What a rehearsal wrote and did not take back yet.
    rehearsed: Mutex<Batches>,
}

/// Records by provider and zone: what is written at once.
type Batches = BTreeMap<(usize, String), Vec<Txt>>;

impl Dns {
    /// Where records for each of these names have to stand, in their order.
    async fn places(&self, asked: impl Iterator<Item = String>) -> Result<Vec<Place>, DnsError> {
        let finds: Vec<_> = asked.map(|asked| self.place(asked).boxed()).collect();
        stream::iter(finds).buffered(AT_ONCE).try_collect().await
    }

    /// Where no name server is to be asked, and the provider does not need to know the zone, the
    /// lookup may fail.
    async fn place(&self, asked: String) -> Result<Place, DnsError> {
        let find = self.places.find(&asked, &self.resolvers);
        let gets_by = || {
            let provider = self.provider_for(&asked);
            provider.is_ok_and(|index| !self.providers[index].zone.needs_zone())
        };
        if !self.patience.is_zero() || !gets_by() {
            return find.await;
        }
        let found = timeout(UNNEEDED, find).await;
        Ok(found.ok().and_then(Result::ok).unwrap_or_else(|| Place::unlooked(&asked)))
    }

    /// For each of these names the zone its records have to stand in, and whose it is; an empty one
    /// where nobody needs to know it.
    pub(crate) async fn survey(
        &self,
        asked: impl Iterator<Item = String>,
    ) -> Vec<Result<(usize, String), DnsError>> {
        let finds = asked.map(|asked| {
            async move {
                let place = self.place(asked.clone()).await?;
                Ok((self.provider(&asked, &place.apex)?, place.apex))
            }
            .boxed()
        });
        stream::iter(finds.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await
    }

    fn provider(&self, asked: &str, apex: &str) -> Result<usize, DnsError> {
        self.provider_for(if apex.is_empty() { asked } else { apex })
    }

    /// The provider for a zone, or a name in it: the one that names it or the nearest zone above it,
    /// else the first that names none.
    pub(crate) fn provider_for(&self, apex: &str) -> Result<usize, DnsError> {
        let depth = |zone: &String| {
            let below = apex
                .strip_suffix(zone.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            below.then_some(zone.len())
        };
        let named = self.providers.iter().enumerate().filter_map(|(index, provider)| {
            provider.zones.iter().filter_map(depth).max().map(|depth| (depth, index))
        });
        let any = || self.providers.iter().position(|provider| provider.zones.is_empty());
        let found =
            named.rev().max_by_key(|(depth, _)| *depth).map(|(_, index)| index).or_else(any);
        found.ok_or_else(|| DnsError::NoProvider { apex: apex.to_owned() })
    }

    fn zone(&self, provider: usize) -> &dyn Zone {
        &*self.providers[provider].zone
    }

    fn batches<'a>(&self, records: impl Iterator<Item = &'a Txt>) -> Result<Batches, DnsError> {
        let mut batches = Batches::new();
        for txt in records {
            let provider = self.provider(&txt.asked, &txt.apex)?;
            batches.entry((provider, txt.apex.clone())).or_default().push(txt.clone());
        }
        Ok(batches)
    }

    /// Remembers all of them, before a provider hears of any.
    fn begin(&self, batches: &Batches) -> Result<(), DnsError> {
        batches.iter().try_for_each(|((provider, _), records)| {
            let label = self.zone(*provider).label();
            self.memory.begin(label, records).map_err(DnsError::Memory)
        })
    }

    /// Tells what is asked of providers; they may take their time.
    fn announce(&self, act: &str, batches: &Batches) {
        for ((provider, apex), records) in batches {
            let owners: BTreeSet<&str> = records.iter().map(|txt| txt.owner.as_str()).collect();
            let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
            let zone = if apex.is_empty() { String::new() } else { format!("zone {apex}: ") };
            let label = self.zone(*provider).label();
            (self.detail)(format!("{zone}{label} {act} TXT records at {owners}"));
        }
    }

    /// Writes every zone, whatever becomes of the others; the error is that of the first that failed.
    async fn add(&self, batches: &Batches) -> Result<(), DnsError> {
        self.announce("adds", batches);
        let adds: Vec<_> = batches
            .iter()
            .map(|((provider, _), records)| self.zone(*provider).add(records))
            .collect();
        let added: Vec<_> = stream::iter(adds).buffered(ZONES_AT_ONCE).collect().await;
        added.into_iter().collect()
    }

    /// Removes and forgets; what cannot be removed stays remembered.
    async fn remove(&self, batches: &Batches) -> Result<(), DnsError> {
        self.announce("removes", batches);
        let removals: Vec<_> = batches
            .iter()
            .map(|((provider, _), records)| {
                async move {
                    let zone = self.zone(*provider);
                    zone.remove(records).await?;
                    self.memory.done(zone.label(), records);
                    Ok(())
                }
                .boxed()
            })
            .collect();
        let removed: Vec<_> = stream::iter(removals).buffered(ZONES_AT_ONCE).collect().await;
        removed.into_iter().collect()
    }

    async fn wait(&self, goal: Goal, records: &[(Txt, Place)]) -> Result<(), DnsError> {
        if self.patience.is_zero() {
            return Ok(());
        }
        let (patience, resolvers, tell) = (self.patience, &self.resolvers, &self.tell);
        Wait { goal, patience, resolvers, tell }.until_shown(records).await
    }
}

impl Dns01 {
    /// `kind` is dns-01 or dns-account-01, `account` the one that is to prove it, if there is one.
    pub(crate) fn new(kind: ChallengeKind, account: Option<AccountLabel>, dns: Arc<Dns>) -> Self {
        let (presented, rehearsed) = Default::default();
        Self { kind, account, dns, presented, rehearsed }
    }

    /// The names these are proved at, each once, with what it stands for. Those of dns-account-01
    /// are not known before there is an account.
    fn asked<'a>(&self, identifiers: &'a [Identifier]) -> BTreeMap<String, &'a Identifier> {
        let name = |one| self.kind.record_name(one, self.account.as_ref());
        identifiers.iter().filter_map(|one| Some((name(one)?, one))).collect()
    }

    /// Tries every zone without changing it.
    async fn check(&self, identifiers: &[Identifier]) -> Result<(), DnsError> {
        let dns = &self.dns;
        let asked = self.asked(identifiers);
        let places = dns.places(asked.keys().cloned()).await?;
        let zones = asked
            .keys()
            .zip(&places)
            .map(|(asked, place)| Ok((dns.provider(asked, &place.apex)?, place.apex.as_str())));
        let zones: BTreeSet<(usize, &str)> = zones.collect::<Result<_, DnsError>>()?;
        let checks: Vec<_> =
            zones.into_iter().map(|(provider, apex)| dns.zone(provider).check(apex)).collect();
        let checked: Vec<_> = stream::iter(checks).buffered(ZONES_AT_ONCE).collect().await;
        checked.into_iter().collect()
    }

    /// Writes one record of no meaning into every zone, sees it at a server, and removes it.
    async fn probe(&self, identifiers: &[Identifier]) -> Result<(), DnsError> {
        let dns = &self.dns;
        let asked = self.asked(identifiers);
        let places = dns.places(asked.keys().cloned()).await?;
        let mut probes: BTreeMap<(usize, String), (Txt, Place)> = BTreeMap::new();
        for ((asked, identifier), place) in asked.into_iter().zip(places) {
            let zone = (dns.provider(&asked, &place.apex)?, place.apex.clone());
            probes.entry(zone).or_insert_with(|| {
                let txt = txt((*identifier).clone(), asked, &place, random_value());
                (txt, place)
            });
        }
        let batches: Batches =
            probes.iter().map(|(zone, (txt, _))| (zone.clone(), vec![txt.clone()])).collect();
        dns.begin(&batches)?;
        self.rehearsed().clone_from(&batches);
        let probes: Vec<(Txt, Place)> = probes.into_values().collect();
        let seen = match dns.add(&batches).await {
            Ok(()) => dns.wait(Goal::Somewhere, &probes).await,
            failed => failed,
        };
        seen.and(self.end_probe().await)
    }

    async fn end_probe(&self) -> Result<(), DnsError> {
        let batches = self.rehearsed().clone();
        let removed = self.dns.remove(&batches).await;
        self.rehearsed().clear();
        removed
    }

    fn rehearsed(&self) -> MutexGuard<'_, Batches> {
        self.rehearsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(&self, challenges: &[&Challenge]) -> Result<(), DnsError> {
        let dns = &self.dns;
        let asked = challenges.iter().map(|one| one.record_name().unwrap_or_default());
        let places = dns.places(asked.clone()).await?;
        let records = challenges.iter().zip(asked).zip(places).map(|((one, asked), place)| {
            let (identifier, value) = (one.identifier.clone(), one.key_authorization.txt_value());
            (txt(identifier, asked, &place, value), place)
        });
        let records: Vec<(Txt, Place)> = records.collect();
        let batches = dns.batches(records.iter().map(|(txt, _)| txt))?;
        dns.begin(&batches)?;
        let to_remove = batches.iter().flat_map(|((provider, _), records)| {
            records.iter().map(|txt| (txt.clone(), *provider))
        });
        self.presented.lock().unwrap_or_else(PoisonError::into_inner).extend(to_remove);
        dns.add(&batches).await?;
        dns.wait(Goal::Everywhere, &records).await
    }

    async fn take(&self, challenges: &[&Challenge]) -> Result<(), DnsError> {
        let is_meant = |txt: &Txt| {
            challenges.iter().any(|one| {
                one.identifier == txt.identifier && one.key_authorization.txt_value() == txt.value
            })
        };
        let mut batches = Batches::new();
        {
            let mut presented = self.presented.lock().unwrap_or_else(PoisonError::into_inner);
            for (txt, provider) in presented.extract_if(.., |(txt, _)| is_meant(txt)) {
                batches.entry((provider, txt.apex.clone())).or_default().push(txt);
            }
        }
        self.dns.remove(&batches).await
    }
}

fn txt(identifier: Identifier, asked: String, place: &Place, value: String) -> Txt {
    Txt { identifier, asked, owner: place.owner.clone(), apex: place.apex.clone(), value }
}

/// A value like those CAs ask for, which nobody can have put there before.
fn random_value() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system's generator does not fail once seeded");
    BASE64URL_NOPAD.encode(&bytes)
}

#[async_trait]
impl Solver for Dns01 {
    fn kind(&self) -> ChallengeKind {
        self.kind
    }

    async fn precheck(&self, identifiers: &[Identifier]) -> Result<(), SolverError> {
        Ok(self.check(identifiers).await?)
    }

    async fn rehearse(&self, identifiers: &[Identifier]) -> Result<(), SolverError> {
        Ok(self.probe(identifiers).await?)
    }

    async fn end_rehearsal(&self) -> Result<(), SolverError> {
        Ok(self.end_probe().await?)
    }

    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError> {
        self.present_all(&[challenge]).await
    }

    async fn present_all(&self, challenges: &[&Challenge]) -> Result<(), SolverError> {
        Ok(self.put(challenges).await?)
    }

    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError> {
        self.clean_up_all(&[challenge]).await
    }

    async fn clean_up_all(&self, challenges: &[&Challenge]) -> Result<(), SolverError> {
        Ok(self.take(challenges).await?)
    }
}
