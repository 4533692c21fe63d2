//! Who answers for a name: its zone, and the servers of that.

use std::net::IpAddr;

use futures_util::future::{join, join_all};
use hickory_resolver::proto::rr::Name;
use thiserror::Error;

use super::answer::{Answer, Code, Data, Kind};
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
pub(crate) struct Zone {
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
pub(crate) enum ZoneError {
    #[error("the resolver of this host gives no answer about {}: {error}", shown(name))]
    Unheard { name: Name, error: AskError },
    #[error("the resolver of this host does not find the zone of {}", shown(name))]
    Failed { name: Name },
}

impl Zone {
    const MOST_SERVERS: usize = 13;
    const MOST_ADDRESSES: usize = 4;

    /// Finds the zone of `name` or, if that is an alias, of what it leads to.
    ///
    /// The name itself need not exist.
    pub(crate) async fn of(name: &Name, resolvers: &Resolvers) -> Result<Self, ZoneError> {
        let answer = soa(resolvers, name).await?;
        let target = answer.aliases(name).pop().unwrap_or_else(|| name.clone());
        let mut apex = apex_above(&answer, &target);
        let mut above = target.clone();
        while apex.is_none() {
            // A resolver that keeps the authority to itself: the zone is here or further up.
            let answer = soa(resolvers, &above).await?;
            apex = apex_above(&answer, &above);
            if apex.is_none() && above.is_root() {
                return Err(ZoneError::Failed { name: name.clone() });
            }
            above = above.base_name();
        }
        let apex = apex.expect("the loop ends with one");
        let servers = servers(&apex, resolvers).await?;
        Ok(Self { apex, target, servers })
    }

    /// Asks every server at every address at once, each without recursion.
    pub(crate) async fn ask_all(&self, name: &Name, kind: Kind) -> Vec<Heard> {
        let places = self.servers.iter().flat_map(|server| {
            server.addresses.iter().map(move |address| (&server.name, *address))
        });
        join_all(places.map(async |(server, address)| Heard {
            server: server.clone(),
            address,
            said: ask(address, name, kind, Manner::Iterative).await,
        }))
        .await
    }
}

async fn soa(resolvers: &Resolvers, name: &Name) -> Result<Answer, ZoneError> {
    let answer = heard(resolvers, name, Kind::Soa).await?;
    match answer.code {
        Code::Success | Code::NoSuchName => Ok(answer),
        _ => Err(ZoneError::Failed { name: name.clone() }),
    }
}

async fn heard(resolvers: &Resolvers, name: &Name, kind: Kind) -> Result<Answer, ZoneError> {
    let said = resolvers.ask(name, kind, Manner::Recursive).await;
    said.map_err(|error| ZoneError::Unheard { name: name.clone(), error })
}

/// The owner of the SOA that speaks for `name`.
fn apex_above(answer: &Answer, name: &Name) -> Option<Name> {
    let all = answer.records.iter().chain(&answer.authority);
    let mut apexes = all.filter(|record| matches!(record.data, Data::Serial(_)));
    apexes.find(|record| record.owner.zone_of(name)).map(|record| record.owner.clone())
}

async fn servers(apex: &Name, resolvers: &Resolvers) -> Result<Vec<Server>, ZoneError> {
    let answer = heard(resolvers, apex, Kind::Ns).await?;
    let names = answer.about(apex).into_iter().filter_map(|data| match data {
        Data::Server(name) => Some(name),
        _ => None,
    });
    Ok(join_all(names.take(Zone::MOST_SERVERS).map(async |name| {
        let addresses = addresses(&name, resolvers).await;
        Server { name, addresses }
    }))
    .await)
}

async fn addresses(server: &Name, resolvers: &Resolvers) -> Vec<IpAddr> {
    let of = |kind| resolvers.ask(server, kind, Manner::Recursive);
    let (v4, v6) = join(of(Kind::A), of(Kind::Aaaa)).await;
    let found = [v4, v6].into_iter().flatten();
    let found = found.flat_map(|answer| answer.addresses(server));
    found.take(Zone::MOST_ADDRESSES).collect()
}
