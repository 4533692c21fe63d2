//! From a name to the zone a record at it has to stand in, aliases and delegations followed.
//!
//! A resolver is asked only for the zone above: what it remembers of the name itself may be older
//! than what the operator just wrote there, and that the name does not exist it would remember for
//! a while once it was asked. Everything else comes from the servers of the zones, which is also how
//! a CA sees it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::proto::rr::Name;
use tokio::sync::OnceCell;

use super::answer::{Answer, Data, Kind, Record};
use super::ask::{Manner, ask};
use super::delegation::{
    Delegation, DelegationError, Heard, Server, addresses, apex_above, heard, located, servers,
};
use super::resolvers::Resolvers;
use super::shown;

/// Longer chains of aliases are followed by nobody.
const MOST_ALIASES: usize = 16;
/// So many delegations may lie between the zone a resolver knows and the name.
const MOST_CUTS: usize = 8;
/// After so many failures in a row it is the resolver that fails.
const MOST_FAILURES: usize = 3;

/// The zones of one run, each looked up once.
#[derive(Default)]
pub(crate) struct Zones(Mutex<HashMap<Name, Arc<OnceCell<Arc<Zone>>>>>);

/// A zone and its servers.
struct Zone {
    apex: Name,
    servers: Vec<Server>,
    /// What its servers said where none of them answered for it: they are not asked again.
    useless: OnceLock<Vec<String>>,
}

enum Step {
    Here(Arc<Zone>),
    Alias(Name),
}

impl Zones {
    /// Finds the zone of `name` or, if that is an alias, of what it leads to.
    ///
    /// The name need not exist. Where no server of a zone can be asked, what a resolver says counts.
    pub(crate) async fn find(
        &self,
        name: &Name,
        resolvers: &Resolvers,
    ) -> Result<Delegation, DelegationError> {
        let mut chain = vec![name.clone()];
        loop {
            let target = chain.last().expect("it is never empty");
            match self.step(target, resolvers).await? {
                Step::Here(zone) if zone.apex.is_root() => {
                    return Err(DelegationError::NoTopLevel { name: target.clone() });
                }
                Step::Here(zone) => {
                    let (apex, target) = (zone.apex.clone(), target.clone());
                    return Ok(Delegation { apex, target, servers: zone.servers.clone() });
                }
                Step::Alias(next) => {
                    let is_endless = chain.contains(&next) || chain.len() > MOST_ALIASES;
                    chain.push(next);
                    if is_endless {
                        return Err(DelegationError::Endless { chain });
                    }
                }
            }
        }
    }

    /// Goes down from the zone above to the one `name` is in, or to where it is an alias.
    async fn step(&self, name: &Name, resolvers: &Resolvers) -> Result<Step, DelegationError> {
        let mut zone = self.above(name, resolvers).await?;
        for _ in 0..MOST_CUTS {
            let Some(answer) = zone.ask(name).await else {
                return self.step_by_resolver(name, &zone, resolvers).await;
            };
            if let Some(alias) = answer.aliases(name).into_iter().next() {
                return Ok(Step::Alias(alias));
            }
            let Some(cut) = cut(&answer, name, &zone.apex) else {
                return Ok(Step::Here(zone));
            };
            zone = self.zone(&cut.apex, cut.servers, resolvers).await?;
        }
        Err(DelegationError::Failed { name: name.clone() })
    }

    async fn step_by_resolver(
        &self,
        name: &Name,
        zone: &Arc<Zone>,
        resolvers: &Resolvers,
    ) -> Result<Step, DelegationError> {
        let answer = heard(resolvers, name, Kind::Cname).await?;
        if !answer.knows() {
            let said = zone.useless.get().cloned().unwrap_or_default();
            return Err(DelegationError::Lame { apex: zone.apex.clone(), said });
        }
        if let Some(alias) = answer.aliases(name).into_iter().next() {
            return Ok(Step::Alias(alias));
        }
        match apex_above(&answer, name) {
            Some(apex) => Ok(Step::Here(self.zone(&apex, Vec::new(), resolvers).await?)),
            None => Ok(Step::Here(Arc::clone(zone))),
        }
    }

    /// A zone `name` lies in, as a resolver knows it; there may be others in between.
    async fn above(
        &self,
        name: &Name,
        resolvers: &Resolvers,
    ) -> Result<Arc<Zone>, DelegationError> {
        let mut here = start(name);
        let mut failures = 0;
        loop {
            let answer = heard(resolvers, &here, Kind::Soa).await?;
            if !answer.knows() {
                failures += 1;
                let unchecked = resolvers.ask(&here, Kind::Soa, Manner::Unchecked).await;
                if unchecked.is_ok_and(|answer| answer.knows()) {
                    return Err(DelegationError::Bogus { name: here });
                }
            } else if answer.aliases(&here).is_empty()
                && let Some(apex) = apex_above(&answer, &here)
            {
                return self.zone(&apex, Vec::new(), resolvers).await;
            }
            if failures == MOST_FAILURES || here.is_root() {
                return Err(DelegationError::Failed { name: name.clone() });
            }
            here = here.base_name();
        }
    }

    /// `listed` are its servers as the zone above names them, for where it cannot be asked itself.
    async fn zone(
        &self,
        apex: &Name,
        listed: Vec<Server>,
        resolvers: &Resolvers,
    ) -> Result<Arc<Zone>, DelegationError> {
        let cell = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(apex.clone()).or_default())
        };
        let look = async || {
            let own = servers(&heard(resolvers, apex, Kind::Ns).await?, apex);
            let is_silent = own.is_empty();
            let names = if is_silent { names_of(&listed) } else { own };
            let mut servers = located(names, resolvers).await;
            if is_silent {
                // A server within a zone that nobody serves is found by the zone above alone.
                take_glue(&mut servers, listed);
            }
            Ok(Arc::new(Zone { apex: apex.clone(), servers, useless: OnceLock::new() }))
        };
        cell.get_or_try_init(look).await.cloned()
    }
}

impl Zone {
    /// What the first of its servers says that answers for it: all are asked at once.
    ///
    /// Asked for the alias itself a server follows none, fails at no loop, and names the zone where
    /// there is no alias.
    async fn ask(&self, name: &Name) -> Option<Answer> {
        if self.useless.get().is_some() {
            return None;
        }
        let mut asked: FuturesUnordered<_> = addresses(&self.servers)
            .map(async |(server, address)| Heard {
                server: server.clone(),
                address,
                said: ask(address, name, Kind::Cname, Manner::Iterative).await,
            })
            .collect();
        let mut useless: Vec<String> = Vec::new();
        while let Some(heard) = asked.next().await {
            match heard.said {
                Ok(answer) if speaks(&answer, name, &self.apex) => return Some(answer),
                said => useless.push(excuse(&heard.server, heard.address, &said)),
            }
        }
        let unlocated = self.servers.iter().filter(|server| server.addresses.is_empty());
        useless.extend(unlocated.map(|server| format!("{} has no address", shown(&server.name))));
        if self.servers.is_empty() {
            useless.push("it names none".to_owned());
        }
        useless.sort();
        let _ = self.useless.set(useless);
        None
    }
}

fn excuse(server: &Name, address: IpAddr, said: &Result<Answer, super::ask::AskError>) -> String {
    let who = format!("{} ({address})", shown(server));
    match said {
        Ok(answer) if answer.knows() => format!("{who} knows it only from others"),
        Ok(answer) => format!("{who} says {}", answer.code),
        Err(error) => format!("{who}: {error}"),
    }
}

/// Where to begin: above the name, and above labels that no zone is named by.
fn start(name: &Name) -> Name {
    let has_parent = name.num_labels() > 2;
    let mut start = if has_parent { name.base_name() } else { name.clone() };
    while start.iter().next().is_some_and(|label| label.starts_with(b"_")) {
        start = start.base_name();
    }
    start
}

/// Whether this is the word of a server of the zone: an answer of its own, or where to go on.
fn speaks(answer: &Answer, name: &Name, apex: &Name) -> bool {
    answer.knows() && (answer.authoritative || cut(answer, name, apex).is_some())
}

fn names_of(servers: &[Server]) -> Vec<Name> {
    servers.iter().map(|server| server.name.clone()).collect()
}

/// Gives servers that no resolver finds the addresses they have in `listed`.
fn take_glue(servers: &mut [Server], listed: Vec<Server>) {
    let mut glue: HashMap<Name, Vec<IpAddr>> =
        listed.into_iter().map(|server| (server.name, server.addresses)).collect();
    for server in servers.iter_mut().filter(|server| server.addresses.is_empty()) {
        server.addresses = glue.remove(&server.name).unwrap_or_default();
    }
}

/// A delegation below the zone that was asked.
struct Cut {
    apex: Name,
    /// Its servers, with the addresses the answer has beside their names (RFC 9471).
    servers: Vec<Server>,
}

/// The zone below `apex` that `name` lies in, and its servers as far as the answer says them.
fn cut(answer: &Answer, name: &Name, apex: &Name) -> Option<Cut> {
    let is_between = |owner: &Name| *owner != *apex && apex.zone_of(owner) && owner.zone_of(name);
    if answer.authoritative {
        // A server that has both zones goes down by itself.
        let owner = apex_above(answer, name).filter(is_between);
        return owner.map(|apex| Cut { apex, servers: Vec::new() });
    }
    let servers = answer.authority.iter().filter_map(|record| match &record.data {
        Data::Server(server) if is_between(&record.owner) => Some((&record.owner, server)),
        _ => None,
    });
    let servers: Vec<_> = servers.collect();
    let owner = servers.first()?.0.clone();
    let of_owner = servers.iter().filter(|(other, _)| **other == owner);
    let servers = of_owner
        .map(|(_, name)| Server { name: (*name).clone(), addresses: glue(answer, name, apex) });
    let servers = servers.take(Delegation::MOST_SERVERS).collect();
    Some(Cut { apex: owner, servers })
}

/// Where the zone above says a server is: of names beyond that zone it has nothing to say.
fn glue(answer: &Answer, server: &Name, apex: &Name) -> Vec<IpAddr> {
    let address = |record: &Record| match record.data {
        Data::Address(ip) if record.owner == *server && apex.zone_of(server) => Some(ip),
        _ => None,
    };
    answer.additional.iter().filter_map(address).take(Delegation::MOST_ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Code, name};

    fn answer(authoritative: bool, authority: &[(&str, Data)]) -> Answer {
        let record = |(owner, data): &(&str, Data)| Record {
            owner: name(owner).unwrap(),
            data: data.clone(),
        };
        let authority = authority.iter().map(record).collect();
        let (records, additional) = (Vec::new(), Vec::new());
        Answer { code: Code::Success, authoritative, records, authority, additional }
    }

    #[test]
    fn the_way_begins_above_the_name() {
        let table = [
            ("_acme-challenge.a.example.com", "a.example.com"),
            ("_rhuccyogo34zlvsj._acme-challenge.example.com", "example.com"),
            ("x.auth.example.net", "auth.example.net"),
            ("example.com", "example.com"),
            ("_acme-challenge.local", "local"),
        ];
        for (asked, begins) in table {
            assert_eq!(shown(&start(&name(asked).unwrap())), begins, "{asked}");
        }
    }

    #[test]
    fn a_cut_is_only_where_the_name_lies() {
        let soa = || Data::Soa { primary: name("ns.example").unwrap(), serial: 1 };
        let server = || Data::Server(name("ns.example").unwrap());
        let asked = name("_acme-challenge.a.example.com").unwrap();
        let apex = name("example.com").unwrap();
        let table = [
            // A referral, and the SOA of a server that has both zones.
            (answer(false, &[("a.example.com", server())]), Some("a.example.com")),
            (answer(true, &[("a.example.com", soa())]), Some("a.example.com")),
            (answer(true, &[("example.com", soa())]), None),
            // Elsewhere, upwards and sideways: nobody goes there.
            (answer(false, &[("com", server())]), None),
            (answer(false, &[("example.com", server())]), None),
            (answer(false, &[("b.example.com", server())]), None),
            (answer(false, &[("example.net", server())]), None),
            (answer(false, &[]), None),
        ];
        for (answer, expected) in table {
            let found = cut(&answer, &asked, &apex).map(|cut| shown(&cut.apex));
            assert_eq!(found.as_deref(), expected, "{answer:?}");
            let speaks = answer.authoritative || expected.is_some();
            assert_eq!(super::speaks(&answer, &asked, &apex), speaks, "{answer:?}");
        }
    }

    #[test]
    fn glue_is_that_of_the_servers_alone() {
        let server = |text: &str| Data::Server(name(text).unwrap());
        let [asked, apex] = ["_acme-challenge.a.example", "example"].map(|one| name(one).unwrap());
        let inside = "ns1.a.example";
        let outside = "ns.elsewhere.test";
        let authority = [("a.example", server(inside)), ("a.example", server(outside))];
        let address = |owner: &str, last: u8| Record {
            owner: name(owner).unwrap(),
            data: Data::Address([198, 51, 100, last].into()),
        };
        let mut referral = answer(false, &authority);
        referral.additional.extend((0..100).map(|last| address(inside, last)));
        referral.additional.extend([address(outside, 1), address("b.example", 2)]);
        let cut = cut(&referral, &asked, &apex).unwrap();
        let found: Vec<_> =
            cut.servers.iter().map(|one| (shown(&one.name), one.addresses.len())).collect();
        assert_eq!(found, [(inside.to_owned(), 4), (outside.to_owned(), 0)]);
    }
}
