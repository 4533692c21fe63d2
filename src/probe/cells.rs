//! The matrix a deploy is judged by: address × port × name.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::time::Instant;

use super::resolve::{ResolveError, resolve};
use crate::model::endpoint::{Endpoint, Protocol};
use crate::model::name::{Identifier, NameError};

/// One place and one name to ask for there.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Cell {
    pub(crate) protocol: Protocol,
    pub(crate) peer: SocketAddr,
    /// Never a wildcard. An IP address is asked for without SNI (RFC 6066 §3).
    pub(crate) name: Identifier,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol != Protocol::Tls {
            write!(f, "{}://", self.protocol.as_str())?;
        }
        write!(f, "{} {}", self.peer, self.name)
    }
}

impl Cell {
    /// The same with the name first, as in `www.example.com at 192.0.2.1:443`.
    pub(crate) fn place(&self) -> String {
        let scheme = match self.protocol {
            Protocol::Tls => String::new(),
            other => format!("{}://", other.as_str()),
        };
        format!("{} at {scheme}{}", self.name, self.peer)
    }
}

/// Why a part of the matrix cannot be looked at.
#[derive(Debug, Error)]
pub(crate) enum NoCell {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no name under {wildcard} can be asked for")]
    Wildcard { wildcard: Identifier, source: NameError },
    #[error("{left_out} of the places and names to look at are left out: at most {most} are")]
    TooMany { left_out: usize, most: usize },
}

/// More than this is not looked at.
const MOST_CELLS: usize = 256;
/// Nobody has a host of this name, and every wildcard stands for it.
const UNDER_WILDCARD: &str = "acmeagent-check";

/// Every address of every endpoint with every name that is asked for there.
///
/// An endpoint without names of its own is asked for the `identifiers`; for a wildcard, one name
/// under it is. The order is that of the endpoints, then of the addresses, then of the names;
/// nothing is in it twice. What could not be resolved within `limit` is told besides.
pub(crate) async fn cells(
    endpoints: &[Endpoint],
    identifiers: &[Identifier],
    limit: Duration,
) -> (Vec<Cell>, Vec<NoCell>) {
    let deadline = Instant::now() + limit;
    let resolved = join_all(endpoints.iter().map(|endpoint| resolve(&endpoint.at, deadline))).await;
    let (mut all, mut lacking) = (Vec::new(), Vec::new());
    for (endpoint, peers) in endpoints.iter().zip(resolved) {
        let wanted = if endpoint.names.is_empty() { identifiers } else { &endpoint.names };
        let (names, nameless) = askable(wanted);
        lacking.extend(nameless);
        match peers {
            Ok(mut peers) => {
                peers.sort_unstable();
                let pairs = peers.iter().flat_map(|peer| names.iter().map(|name| (*peer, name)));
                all.extend(pairs.map(|(peer, name)| Cell {
                    protocol: endpoint.protocol,
                    peer,
                    name: name.clone(),
                }));
            }
            Err(error) => lacking.push(error.into()),
        }
    }
    let mut seen = HashSet::new();
    all.retain(|cell| seen.insert(cell.clone()));
    if let Some(left_out) = all.len().checked_sub(MOST_CELLS).filter(|count| *count > 0) {
        all.truncate(MOST_CELLS);
        lacking.push(NoCell::TooMany { left_out, most: MOST_CELLS });
    }
    (all, lacking)
}

/// The names somebody can ask for.
fn askable(wanted: &[Identifier]) -> (Vec<Identifier>, Vec<NoCell>) {
    let (mut names, mut lacking) = (Vec::new(), Vec::new());
    for identifier in wanted {
        let Identifier::Dns(wildcard) = identifier else {
            names.push(identifier.clone());
            continue;
        };
        if !wildcard.is_wildcard() {
            names.push(identifier.clone());
            continue;
        }
        match Identifier::parse(&format!("{UNDER_WILDCARD}.{}", wildcard.base())) {
            Ok(name) => names.push(name),
            Err(source) => {
                lacking.push(NoCell::Wildcard { wildcard: identifier.clone(), source });
            }
        }
    }
    (names, lacking)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn endpoint(text: &str, names: &[&str]) -> Endpoint {
        Endpoint { names: identifiers(names), ..Endpoint::parse(text).unwrap() }
    }

    fn identifiers(names: &[&str]) -> Vec<Identifier> {
        names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
    }

    fn shown(cells: &[Cell]) -> Vec<String> {
        cells.iter().map(Cell::to_string).collect()
    }

    #[tokio::test]
    async fn addresses_by_names_in_order_and_once() {
        let endpoints = [
            endpoint("127.0.0.1", &[]),
            endpoint("[::1]:8443", &["only.example"]),
            endpoint("127.0.0.1:443", &["b.example", "c.example"]),
            endpoint("smtp://127.0.0.1:443", &["b.example"]),
        ];
        let held = identifiers(&["b.example", "*.a.example", "192.0.2.1"]);
        let (cells, lacking) = cells(&endpoints, &held, LIMIT).await;
        let wanted = [
            "127.0.0.1:443 b.example",
            "127.0.0.1:443 acmeagent-check.a.example",
            "127.0.0.1:443 192.0.2.1",
            "[::1]:8443 only.example",
            "127.0.0.1:443 c.example",
            "smtp://127.0.0.1:443 b.example",
        ];
        assert_eq!(shown(&cells), wanted);
        assert!(lacking.is_empty(), "{lacking:?}");
    }

    #[tokio::test]
    async fn every_address_of_a_host_is_meant() {
        let (cells, _) = cells(&[endpoint("localhost", &["a.example"])], &[], LIMIT).await;
        let shown = shown(&cells);
        assert!(shown.contains(&"127.0.0.1:443 a.example".to_owned()), "{shown:?}");
        assert!(shown.is_sorted());
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_is_told() {
        let long = format!("*.{}.example", ["a".repeat(60).as_str(); 4].join("."));
        let endpoints = [endpoint("nowhere.invalid", &["a.example"]), endpoint("::1", &[&long])];
        let (none, lacking) = cells(&endpoints, &[], LIMIT).await;
        assert!(none.is_empty());
        let lacking = lacking.iter().map(NoCell::to_string).collect::<Vec<_>>();
        assert!(lacking[0].starts_with("cannot resolve nowhere.invalid"), "{lacking:?}");
        assert_eq!(lacking[1], format!("no name under {long} can be asked for"));

        let many = (0..300).map(|index| format!("n{index}.example")).collect::<Vec<_>>();
        let many = identifiers(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let (some, lacking) = cells(&[endpoint("::1", &[])], &many, LIMIT).await;
        assert_eq!((some.len(), some[255].to_string()), (256, "[::1]:443 n255.example".to_owned()));
        assert!(lacking[0].to_string().starts_with("44 of the places"), "{lacking:?}");
    }
}
