//! Where servers listen, and how that is met from this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::model::host_port::HostPort;
use crate::model::name::Identifier;

/// The addresses of a socket that listens.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Address {
    EveryV4,
    EveryV6,
    /// One socket for both families.
    Every,
    Of(Identifier),
}

/// A socket that a server listens on.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Socket {
    pub(super) address: Address,
    pub(super) port: u16,
}

impl Address {
    /// Reads a host of a configuration, brackets allowed; `None` for what is none.
    pub(super) fn parse(host: &str) -> Option<Self> {
        if host == "*" {
            return Some(Self::EveryV4);
        }
        Some(match Identifier::parse(host).ok().filter(|host| !host.is_wildcard())? {
            Identifier::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Self::EveryV4,
            Identifier::Ip(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Self::EveryV6,
            host => Self::Of(host),
        })
    }
}

impl Socket {
    /// Where a client on this machine meets it; `all` are the sockets of the server.
    ///
    /// What listens everywhere is met on loopback of the same family, unless there another socket
    /// with that very address answers.
    pub(super) fn met_at<'a>(&self, all: impl Iterator<Item = &'a Self> + Clone) -> Vec<HostPort> {
        const V4: [IpAddr; 2] = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            // The whole of 127.0.0.0/8 is this machine.
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
        ];
        const V6: [IpAddr; 1] = [IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let families: &[&[IpAddr]] = match &self.address {
            Address::Of(host) => return self.on(host).into_iter().collect(),
            Address::EveryV4 => &[&V4],
            Address::EveryV6 => &[&V6],
            Address::Every => &[&V4, &V6],
        };
        let is_free = |ip: &IpAddr| {
            let taken = Self { address: Address::Of(Identifier::Ip(*ip)), port: self.port };
            !all.clone().any(|socket| *socket == taken)
        };
        let free = families.iter().filter_map(|family| family.iter().find(|ip| is_free(ip)));
        free.filter_map(|ip| self.on(&Identifier::Ip(*ip))).collect()
    }

    fn on(&self, host: &Identifier) -> Option<HostPort> {
        let text = match host {
            Identifier::Ip(ip) => SocketAddr::new(*ip, self.port).to_string(),
            Identifier::Dns(name) => format!("{}:{}", name.as_str(), self.port),
        };
        HostPort::parse(&text).ok()
    }
}

/// Reads a port or a range of ports, of which only the first few are looked at.
pub(super) fn ports(text: &str) -> Vec<u16> {
    const MOST: usize = 16;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
        return Vec::new();
    };
    (first..=last).filter(|port| *port > 0).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(host: &str, port: u16) -> Socket {
        Socket { address: Address::parse(host).unwrap(), port }
    }

    #[test]
    fn sockets_are_met_on_loopback() {
        let taken = [socket("127.0.0.1", 443), socket("::1", 8443)];
        let table: &[(Socket, &[&str])] = &[
            (socket("*", 8443), &["127.0.0.1:8443"]),
            (socket("0.0.0.0", 443), &["127.0.0.2:443"]),
            (socket("[::]", 443), &["[::1]:443"]),
            (socket("::", 8443), &[]),
            (Socket { address: Address::Every, port: 1 }, &["127.0.0.1:1", "[::1]:1"]),
            (socket("192.0.2.1", 443), &["192.0.2.1:443"]),
            (socket("[2001:db8::1]", 443), &["[2001:db8::1]:443"]),
            (socket("localhost", 443), &["localhost:443"]),
        ];
        for (socket, expected) in table {
            let met: Vec<_> = socket.met_at(taken.iter()).iter().map(HostPort::to_string).collect();
            assert_eq!(met, *expected, "{socket:?}");
        }
        assert_eq!(Address::parse("a b"), None);
        assert_eq!(Address::parse("*.example"), None);
    }

    #[test]
    fn ranges_of_ports() {
        assert_eq!(ports("443"), [443]);
        assert_eq!(ports("1-3"), [1, 2, 3]);
        assert_eq!(ports("1-65535").len(), 16);
        assert_eq!(ports("65530-65535").len(), 6);
        for bad in ["", "0", "x", "3-1", "65536", "-1", "1-"] {
            assert_eq!(ports(bad), [0; 0], "{bad}");
        }
    }
}
