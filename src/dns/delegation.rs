//! Who answers for a name: its zone, and the servers of that.

use std::net::IpAddr;

use futures_util::future::{join, join_all};
use hickory_resolver::proto::rr::Name;
use thiserror::Error;

use super::answer::{Answer, Data, Kind};
use super::ask::{AskError, Manner, ask};
use super::resolvers::Resolvers;
use super::shown;

/// A name server of a zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Server {
    pub(crate) name: Name,
    /// Empty where the name leads nowhere.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The zone a name lies in.
#[derive(Clone, Debug)]
pub(crate) struct Delegation {
    /// The name of the zone itself.
    pub(crate) apex: Name,
    /// The name that was looked for, or the one its aliases lead to.
    pub(crate) target: Name,
    /// The servers the zone is delegated to, as it says itself.
    pub(crate) servers: Vec<Server>,
}

/// What one address of one server said.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) server: Name,
    pub(crate) address: IpAddr,
    pub(crate) said: Result<Answer, AskError>,
}

/// Why the zone of a name was not found.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum DelegationError {
    #[error("the resolver of this host gives no answer about {}: {error}", shown(name))]
    Unheard { name: Name, error: AskError },
    #[error("the resolver of this host does not find the zone of {}", shown(name))]
    Failed { name: Name },
    /// From a name to itself, or on without end.
    #[error("its aliases (CNAME) lead nowhere: {}", .chain.iter().map(shown).collect::<Vec<_>>().join(" -> "))]
    Endless { chain: Vec<Name> },
    #[error("no name server of the zone {} answers for it: {}", shown(apex), said.join(", "))]
    Lame { apex: Name, said: Vec<String> },
    #[error("resolvers that check signatures (DNSSEC) reject {}", shown(name))]
    Bogus { name: Name },
    #[error("the top-level domain of {} does not exist", shown(name))]
    NoTopLevel { name: Name },
}

impl DelegationError {
    /// Whether it stays so until somebody corrects a zone.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Endless { .. } | Self::NoTopLevel { .. } => true,
            // Servers are started again, keys rolled to the end.
            Self::Unheard { .. } | Self::Failed { .. } | Self::Lame { .. } | Self::Bogus { .. } => {
                false
            }
        }
    }

    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Endless { chain } => {
                let last = chain.last().map(shown).unwrap_or_default();
                Some(format!("correct the CNAME of {last}"))
            }
            Self::Lame { apex, .. } => {
                let apex = shown(apex);
                Some(format!(
                    "serve the zone {apex} there, or correct the NS records that name them"
                ))
            }
            Self::Bogus { name } => {
                Some(format!("`delv {} SOA` shows what is wrong with the signatures", shown(name)))
            }
            Self::Unheard { .. } => Some(
                "let this host ask its resolver, or name another as `dns-resolvers`".to_owned(),
            ),
            Self::Failed { name } => {
                Some(format!("`dig {} SOA` shows what the resolver answers", shown(name)))
            }
            Self::NoTopLevel { .. } => None,
        }
    }
}

impl Delegation {
    pub(super) const MOST_SERVERS: usize = 13;
    pub(super) const MOST_ADDRESSES: usize = 4;

    /// Finds the zone of `name` or, if that is an alias, of what it leads to.
    ///
    /// The name itself need not exist.
    pub(crate) async fn of(name: &Name, resolvers: &Resolvers) -> Result<Self, DelegationError> {
        let answer = soa(resolvers, name).await?;
        let target = answer.aliases(name).pop().unwrap_or_else(|| name.clone());
        let mut apex = apex_above(&answer, &target);
        let mut above = target.clone();
        while apex.is_none() {
            // A resolver that keeps the authority to itself: the zone is here or further up.
            let answer = soa(resolvers, &above).await?;
            apex = apex_above(&answer, &above);
            if apex.is_none() && above.is_root() {
                return Err(DelegationError::Failed { name: name.clone() });
            }
            above = above.base_name();
        }
        let apex = apex.expect("the loop ends with one");
        let names = servers(&heard(resolvers, &apex, Kind::Ns).await?, &apex);
        let servers = located(names, resolvers).await;
        Ok(Self { apex, target, servers })
    }

    /// Every server at every address.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&Name, IpAddr)> {
        addresses(&self.servers)
    }

    /// Asks every server at every address at once, each without recursion.
    pub(crate) async fn ask_all(&self, name: &Name, kind: Kind) -> Vec<Heard> {
        join_all(self.addresses().map(async |(server, address)| Heard {
            server: server.clone(),
            address,
            said: ask(address, name, kind, Manner::Iterative).await,
        }))
        .await
    }
}

/// Every one of these servers at every address.
pub(super) fn addresses(servers: &[Server]) -> impl Iterator<Item = (&Name, IpAddr)> {
    servers
        .iter()
        .flat_map(|server| server.addresses.iter().map(move |address| (&server.name, *address)))
}

async fn soa(resolvers: &Resolvers, name: &Name) -> Result<Answer, DelegationError> {
    let answer = heard(resolvers, name, Kind::Soa).await?;
    match answer.knows() {
        true => Ok(answer),
        false => Err(DelegationError::Failed { name: name.clone() }),
    }
}

pub(super) async fn heard(
    resolvers: &Resolvers,
    name: &Name,
    kind: Kind,
) -> Result<Answer, DelegationError> {
    let said = resolvers.ask(name, kind, Manner::Recursive).await;
    said.map_err(|error| DelegationError::Unheard { name: name.clone(), error })
}

/// The owner of the SOA that speaks for `name`.
pub(super) fn apex_above(answer: &Answer, name: &Name) -> Option<Name> {
    let all = answer.records.iter().chain(&answer.authority);
    let mut apexes = all.filter(|record| matches!(record.data, Data::Soa { .. }));
    apexes.find(|record| record.owner.zone_of(name)).map(|record| record.owner.clone())
}

/// The servers a zone says it has.
pub(super) fn servers(answer: &Answer, apex: &Name) -> Vec<Name> {
    let server = |data| if let Data::Server(name) = data { Some(name) } else { None };
    answer.about(apex).into_iter().filter_map(server).collect()
}

/// These servers, as many as are of use, with their addresses.
pub(super) async fn located(names: Vec<Name>, resolvers: &Resolvers) -> Vec<Server> {
    join_all(names.into_iter().take(Delegation::MOST_SERVERS).map(async |name| {
        let addresses = addresses_of(&name, resolvers).await;
        Server { name, addresses }
    }))
    .await
}

async fn addresses_of(server: &Name, resolvers: &Resolvers) -> Vec<IpAddr> {
    let of = |kind| resolvers.ask(server, kind, Manner::Recursive);
    let (v4, v6) = join(of(Kind::A), of(Kind::Aaaa)).await;
    let found = [v4, v6].into_iter().flatten();
    let found = found.flat_map(|answer| answer.addresses(server));
    found.take(Delegation::MOST_ADDRESSES).collect()
}
