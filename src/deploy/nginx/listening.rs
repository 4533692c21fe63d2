//! Where nginx serves a certificate, and for which names.

use std::collections::BTreeMap;
use std::path::Path;

use super::configuration::Server;
use crate::deploy::socket::{Address, Socket, ports};
use crate::model::endpoint::{Endpoint, Protocol};
use crate::model::name::{DnsName, Identifier};

/// A `listen` directive for one port over TCP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listen {
    socket: Socket,
    is_ssl: bool,
    is_default: bool,
    /// Whether an IPv6 socket takes IPv4 as well.
    takes_both: bool,
    /// Whether something stands before TLS that a client does not send.
    has_preface: bool,
}

impl Listen {
    /// Reads a directive, which names several ports at most; nothing where it is no matter of TLS
    /// over TCP.
    pub(super) fn read(socket: &str, parameters: &[&str]) -> Vec<Self> {
        let has = |word| parameters.contains(&word);
        if socket.starts_with("unix:") || has("quic") || has("udp") {
            return Vec::new();
        }
        let Some((address, ports)) = split(socket) else { return Vec::new() };
        let listen = |port| Self {
            socket: Socket { address: address.clone(), port },
            is_ssl: has("ssl"),
            is_default: has("default_server") || has("default"),
            takes_both: has("ipv6only=off"),
            has_preface: has("proxy_protocol"),
        };
        ports.into_iter().map(listen).collect()
    }
}

/// Takes address and ports apart: `443`, `*:443`, `[::1]:443`, `localhost`.
fn split(text: &str) -> Option<(Address, Vec<u16>)> {
    const PORT: &str = "80";
    let is_port = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        None if is_port(text) && !text.contains('.') => ("*", text),
        _ => (text, PORT),
    };
    Some((Address::parse(host)?, ports(port)))
}

/// The servers of one socket, in the order in which nginx reads them.
#[derive(Default)]
struct Group<'a> {
    servers: Vec<&'a Server>,
    default: Option<&'a Server>,
    is_ssl: bool,
    takes_both: bool,
    has_preface: bool,
}

/// Every TLS socket with a server whose certificate `is_ours`, and the names that are asked for
/// there: those which nginx is sure to answer with it, and those that another server of the socket
/// claims, so that the handshake shows what came of it.
///
/// A wildcard stands for a name below it that nobody has thought of.
pub(super) fn endpoints(
    servers: &[Server],
    identifiers: &[Identifier],
    is_ours: impl Fn(&Path) -> bool,
) -> Vec<Endpoint> {
    let mut groups: BTreeMap<Socket, Group<'_>> = BTreeMap::new();
    for server in servers {
        for listen in &server.listens {
            let group = groups.entry(listen.socket.clone()).or_default();
            group.servers.push(server);
            if listen.is_default {
                group.default = Some(server);
            }
            // What one directive says of a socket holds for every server on it.
            group.is_ssl |= listen.is_ssl || server.is_ssl;
            group.takes_both |= listen.takes_both;
            group.has_preface |= listen.has_preface;
        }
    }
    let is_ours = |server: &Server| server.certificates.iter().any(|path| is_ours(path));
    let mut found = Vec::new();
    for (socket, group) in &groups {
        let names = group.names(identifiers, &is_ours);
        if !group.is_ssl || group.has_preface || names.is_empty() {
            continue;
        }
        let both = group.takes_both && socket.address == Address::EveryV6;
        let address = if both { Address::Every } else { socket.address.clone() };
        let met_at = Socket { address, port: socket.port }.met_at(groups.keys());
        found.extend(met_at.into_iter().map(|at| Endpoint {
            protocol: Protocol::Tls,
            at,
            names: names.clone(),
        }));
    }
    found
}

impl Group<'_> {
    /// What is asked for here; nothing where none of the servers is ours.
    fn names(
        &self,
        identifiers: &[Identifier],
        is_ours: &impl Fn(&Server) -> bool,
    ) -> Vec<Identifier> {
        let ours: Vec<&&Server> = self.servers.iter().filter(|server| is_ours(server)).collect();
        let default = self.default.or_else(|| self.servers.first().copied());
        // A regular expression may claim any name that nobody else claims.
        let open = self.servers.iter().copied().filter(|server| server.has_regex()).chain(default);
        let rest_is_ours = open.into_iter().all(is_ours);
        let is_asked = |identifier: &&Identifier| match identifier {
            // Nobody asks for an address by name (RFC 6066 §3).
            Identifier::Ip(_) => default.is_some_and(is_ours),
            Identifier::Dns(name) => {
                rest_is_ours || self.servers.iter().any(|server| server.claims(name))
            }
        };
        if ours.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<_> = identifiers.iter().filter(is_asked).cloned().collect();
        // Names we have only by a wildcard.
        for name in ours.iter().flat_map(|server| &server.names) {
            let Ok(name) = DnsName::parse(name) else { continue };
            let covers =
                |one: &Identifier| matches!(one, Identifier::Dns(one) if one.covers(&name));
            let known = Identifier::Dns(name.clone());
            if identifiers.iter().any(covers) && !name.is_wildcard() && !names.contains(&known) {
                names.push(known);
            }
        }
        names
    }
}

impl Server {
    fn has_regex(&self) -> bool {
        self.names.iter().any(|name| name.starts_with('~'))
    }

    /// Whether it names this name, by itself or by a wildcard.
    fn claims(&self, name: &DnsName) -> bool {
        // Any name below a wildcard, which no server names by itself.
        let asked =
            if name.is_wildcard() { format!("?.{}", name.base()) } else { name.as_str().into() };
        self.names.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), &asked))
    }
}

/// Whether a name of `server_name` stands for `name`: `a.b`, `*.b`, `.b` (which is both) or `a.*`.
fn fits(pattern: &str, name: &str) -> bool {
    let below = |base: &str| {
        name.strip_suffix(base).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    };
    if let Some(base) = pattern.strip_prefix("*.") {
        below(base)
    } else if let Some(base) = pattern.strip_prefix('.') {
        name == base || below(base)
    } else if let Some(start) = pattern.strip_suffix(".*") {
        name.strip_prefix(start).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
    } else {
        pattern == name
    }
}

#[cfg(test)]
mod tests;
