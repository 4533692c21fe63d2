//! Where HAProxy serves a certificate, and for which names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::deploy::socket::{Address, Socket, ports};
use crate::model::endpoint::{Endpoint, Protocol};
use crate::model::name::{DnsName, Identifier};

/// A `bind` line that speaks TLS over TCP to whoever connects.
#[derive(Debug)]
pub(super) struct Bind {
    sockets: Vec<Socket>,
    /// Each with the names it is limited to, if to any; the first is the default.
    bundles: Vec<(PathBuf, Vec<String>)>,
}

impl Bind {
    pub(super) fn read(
        addresses: &str,
        parameters: &[&str],
        bundles: Vec<(PathBuf, Vec<String>)>,
    ) -> Option<Self> {
        let has = |word| parameters.contains(&word);
        // What comes before TLS there no client sends, and another namespace is not met from here.
        if !has("ssl") || has("accept-proxy") || has("accept-netscaler-cip") || has("namespace") {
            return None;
        }
        let sockets = addresses.split(',').flat_map(|one| sockets(one, has("v4v6"))).collect();
        Some(Self { sockets, bundles })
    }

    /// What is asked for here; nothing where none of the bundles is ours.
    fn names(
        &self,
        identifiers: &[Identifier],
        is_ours: &impl Fn(&Path) -> bool,
    ) -> Vec<Identifier> {
        let ours: Vec<_> = self.bundles.iter().filter(|(path, _)| is_ours(path)).collect();
        if ours.is_empty() {
            return Vec::new();
        }
        let default_is_ours = self.bundles.first().is_some_and(|(path, _)| is_ours(path));
        let is_asked = |identifier: &&Identifier| match identifier {
            // Nobody asks for an address by name (RFC 6066 §3).
            Identifier::Ip(_) => default_is_ours,
            Identifier::Dns(name) => {
                let unlimited = ours.iter().any(|(_, limits)| limits.is_empty());
                unlimited || self.bundles.iter().any(|(_, limits)| claims(limits, name))
            }
        };
        identifiers.iter().filter(is_asked).cloned().collect()
    }
}

/// Whether limits of a list let this name through: one of them fits, or there are but exceptions.
fn claims(limits: &[String], name: &DnsName) -> bool {
    let fits = |limit: &str| DnsName::parse(limit).is_ok_and(|limit| limit.covers(name));
    let (not, wanted): (Vec<&str>, Vec<&str>) =
        limits.iter().map(String::as_str).partition(|limit| limit.starts_with('!'));
    !not.iter().any(|limit| fits(&limit[1..]))
        && (wanted.iter().any(|limit| fits(limit)) || wanted.is_empty() && !not.is_empty())
}

/// The sockets of one address: `:443`, `ipv4@*:443`, `[::1]:443`, `:::443`, `1.2.3.4:1-3`.
fn sockets(text: &str, takes_both: bool) -> Vec<Socket> {
    let (kind, text) = text.split_once('@').unwrap_or(("", text));
    let any = match kind {
        "" | "tcp" | "ipv4" | "tcp4" => Address::EveryV4,
        "ipv6" | "tcp6" => Address::EveryV6,
        _ => return Vec::new(),
    };
    let Some((host, port)) = text.rsplit_once(':').filter(|_| !text.contains(['/', '$'])) else {
        return Vec::new();
    };
    let address = match host {
        "" | "*" => Some(any),
        host => Address::parse(host),
    };
    let address = match address {
        Some(Address::EveryV6) if takes_both => Address::Every,
        Some(address) => address,
        None => return Vec::new(),
    };
    ports(port).into_iter().map(|port| Socket { address: address.clone(), port }).collect()
}

/// Every TLS socket with a bundle that `is_ours`, and the names that are asked for there.
pub(super) fn endpoints(
    binds: &[Bind],
    identifiers: &[Identifier],
    is_ours: impl Fn(&Path) -> bool,
) -> Vec<Endpoint> {
    let all: BTreeSet<&Socket> = binds.iter().flat_map(|bind| &bind.sockets).collect();
    let mut found = Vec::new();
    for bind in binds {
        let names = bind.names(identifiers, &is_ours);
        if names.is_empty() {
            continue;
        }
        for at in bind.sockets.iter().flat_map(|socket| socket.met_at(all.iter().copied())) {
            found.push(Endpoint { protocol: Protocol::Tls, at, names: names.clone() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths, and the names each is limited to.
    type Bundles<'a> = &'a [(&'a str, &'a str)];

    fn asked(lines: &[(&str, &str, Bundles<'_>)], identifiers: &[&str]) -> Vec<String> {
        let owned = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let read = |(addresses, parameters, bundles): &(&str, &str, Bundles<'_>)| {
            let parameters: Vec<_> = parameters.split_whitespace().collect();
            let bundles = bundles.iter().map(|(path, names)| (path.into(), owned(names)));
            Bind::read(addresses, &parameters, bundles.collect())
        };
        let binds: Vec<_> = lines.iter().filter_map(read).collect();
        let identifiers: Vec<_> =
            identifiers.iter().map(|one| Identifier::parse(one).unwrap()).collect();
        let found = endpoints(&binds, &identifiers, |path| path == Path::new("/ours"));
        let text = |endpoint: &Endpoint| {
            let names: Vec<_> = endpoint.names.iter().map(Identifier::to_string).collect();
            format!("{endpoint} {}", names.join(","))
        };
        found.iter().map(text).collect()
    }

    #[test]
    fn addresses() {
        let table: &[(&str, &str, &[&str])] = &[
            (":443", "ssl", &["127.0.0.1:443"]),
            ("*:443", "ssl alpn h2", &["127.0.0.1:443"]),
            (":443,:::8443", "ssl", &["127.0.0.1:443", "[::1]:8443"]),
            (":::443", "ssl v4v6", &["127.0.0.1:443", "[::1]:443"]),
            ("[::]:443", "ssl v6only", &["[::1]:443"]),
            ("ipv4@:443", "ssl", &["127.0.0.1:443"]),
            ("ipv6@:443", "ssl", &["[::1]:443"]),
            ("ipv4@192.0.2.1:443", "ssl", &["192.0.2.1:443"]),
            ("::1:443", "ssl", &["[::1]:443"]),
            ("127.0.0.1:1-2", "ssl", &["127.0.0.1:1", "127.0.0.1:2"]),
            ("localhost:443", "ssl", &["localhost:443"]),
            (":443", "", &[]),
            (":443", "ssl accept-proxy", &[]),
            ("/run/x.sock", "ssl", &[]),
            ("unix@/run/x:1", "ssl", &[]),
            ("abns@x", "ssl", &[]),
            ("quic4@:443", "ssl", &[]),
            ("${HOST}:443", "ssl", &[]),
            ("443", "ssl", &[]),
        ];
        for (addresses, parameters, expected) in table {
            let found = asked(&[(addresses, parameters, &[("/ours", "")])], &["a.example"]);
            let expected: Vec<_> = expected.iter().map(|at| format!("{at} a.example")).collect();
            assert_eq!(found, expected, "{addresses} {parameters}");
        }
    }

    #[test]
    fn names() {
        let identifiers = ["a.example", "b.a.example", "*.c.example", "192.0.2.1"];
        let table: &[(&str, Bundles<'_>, &str)] = &[
            ("alone", &[("/ours", "")], "a.example,b.a.example,*.c.example,192.0.2.1"),
            (
                "behind the default",
                &[("/x", ""), ("/ours", "")],
                "a.example,b.a.example,*.c.example",
            ),
            ("limited", &[("/x", ""), ("/ours", "*.a.example")], "b.a.example"),
            ("limited, and the default", &[("/ours", "a.example")], "a.example,192.0.2.1"),
            ("excepted", &[("/x", ""), ("/ours", "!a.example")], "b.a.example,*.c.example"),
            ("both", &[("/x", ""), ("/ours", "*.c.example a.example !a.example")], "*.c.example"),
            (
                "claimed by another",
                &[("/x", "a.example"), ("/ours", "b.a.example")],
                "a.example,b.a.example",
            ),
            ("others only", &[("/x", "")], "-"),
            ("none", &[], "-"),
        ];
        for (what, bundles, expected) in table {
            let found = asked(&[(":443", "ssl", bundles)], &identifiers);
            let expected: &[String] = match *expected {
                "-" => &[],
                names => &[format!("127.0.0.1:443 {names}")],
            };
            assert_eq!(found, expected, "{what}");
        }
    }
}
