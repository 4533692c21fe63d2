//! The recursive resolvers this system uses.

use std::net::{IpAddr, Ipv4Addr};

use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use super::answer::{Answer, Kind};
use super::ask::{AskError, Manner, ask};

/// The servers of resolv.conf(5), asked in turn. What `/etc/hosts` says does not count: a CA does
/// not read it.
#[derive(Clone, Debug)]
pub(crate) struct Resolvers(Vec<IpAddr>);

impl Resolvers {
    /// So many does the system's own resolver heed.
    const MOST: usize = 3;

    /// Those of this system; the one on this host where none is named.
    pub(crate) fn of_system() -> Self {
        let config = read_system_conf().map(|(config, _)| config);
        let listed = config.iter().flat_map(|config| config.name_servers());
        let mut servers: Vec<IpAddr> = Vec::new();
        for server in listed.map(|server| server.ip) {
            if servers.len() < Self::MOST && !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.is_empty() {
            servers.push(Ipv4Addr::LOCALHOST.into());
        }
        Self(servers)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied()
    }

    /// These, in turn; `None` where none is given.
    pub(crate) fn at(servers: &[IpAddr]) -> Option<Self> {
        (!servers.is_empty()).then(|| Self(servers.to_owned()))
    }

    /// What the first says that has an answer; else what the first says that speaks at all.
    pub(crate) async fn ask(
        &self,
        name: &Name,
        kind: Kind,
        manner: Manner,
    ) -> Result<Answer, AskError> {
        let mut result = Err(AskError::Silent);
        for server in &self.0 {
            let said = ask(*server, name, kind, manner).await;
            let settled = said.as_ref().is_ok_and(Answer::knows);
            if settled || result.is_err() {
                result = said;
            }
            if settled {
                break;
            }
        }
        result
    }
}
