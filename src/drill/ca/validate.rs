//! Looking at what the client shows, over real sockets but never beyond loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::directory::IDENTITY;
use super::lookup;
use super::problem::{Kind, Problem};
use super::state::Ca;
use super::validate_persist::{self, Until, Wanted};
use super::{validate_dns, validate_http, validate_tls_alpn};
use crate::model::challenge::{Challenge, ChallengeKind};
use crate::model::name::{DnsName, Identifier};

/// A look at the challenge, from the first packet to the verdict.
const PATIENCE: Duration = Duration::from_secs(10);

/// A challenge, and the account that says it is met.
pub(super) struct Claim {
    pub(super) challenge: Challenge,
    pub(super) account_url: String,
    /// Of the account's key (RFC 7638), and of those it had before.
    pub(super) thumbprints: Vec<String>,
}

/// Validates one challenge; the problem is what the client is shown as the challenge's error.
///
/// Looks once, and where that is good again from every other perspective at once: what is shown must
/// stay until the authorization is decided.
pub(super) async fn validate(ca: &Ca, claim: &Claim) -> Result<Until, Problem> {
    let about = claim.challenge.identifier.to_string();
    let until = look(ca, claim).await.map_err(|why| why.during(&about))?;
    let others = ca.behaviour.perspectives() - 1;
    let looks = join_all((0..others).map(|_| look(ca, claim))).await;
    let mut failed: Vec<Problem> = looks.into_iter().filter_map(Result::err).collect();
    if failed.len() <= tolerated(others) {
        return Ok(until);
    }
    let what = format!("{about} :: During secondary validation");
    Err(failed.swap_remove(0).during(&what))
}

/// How many of so many perspectives may see something else (Baseline Requirements §3.2.2.9).
fn tolerated(others: usize) -> usize {
    match others {
        0 | 1 => 0,
        2..=5 => 1,
        _ => 2,
    }
}

async fn look(ca: &Ca, claim: &Claim) -> Result<Until, Problem> {
    let late = || Problem::new(Kind::Connection, "no answer in time");
    timeout(PATIENCE, look_patiently(ca, claim)).await.unwrap_or_else(|_| Err(late()))
}

async fn look_patiently(ca: &Ca, claim: &Claim) -> Result<Until, Problem> {
    let Claim { challenge, account_url, .. } = claim;
    match (challenge.kind, &challenge.identifier) {
        (ChallengeKind::Http01, _) => validate_http::check(&ca.ports, challenge).await?,
        (ChallengeKind::TlsAlpn01, identifier) => {
            let stream = connect(&addresses(identifier)?, ca.ports.tls_alpn_01()).await?;
            validate_tls_alpn::check(stream, challenge).await?;
        }
        (ChallengeKind::Dns01, Identifier::Dns(name)) => {
            find_digest(ca, challenge, validate_dns::record_name(name.base())).await?;
        }
        (ChallengeKind::DnsAccount01, Identifier::Dns(name)) => {
            let record = validate_dns::account_record_name(name.base(), account_url);
            find_digest(ca, challenge, record).await?;
        }
        (ChallengeKind::DnsPersist01, Identifier::Dns(name)) => {
            return find_standing(ca, claim, name).await;
        }
        (kind, identifier) => {
            return Err(Problem::malformed(format!("{kind} cannot prove {identifier}")));
        }
    }
    Ok(None)
}

async fn find_digest(ca: &Ca, challenge: &Challenge, record: String) -> Result<(), Problem> {
    let found = lookup::txt(name_server(ca)?, &record).await?;
    validate_dns::judge(&record, &found, &challenge.key_authorization.txt_value())
}

async fn find_standing(ca: &Ca, claim: &Claim, name: &DnsName) -> Result<Until, Problem> {
    let record = validate_persist::record_name(name.base());
    let found = lookup::txt(name_server(ca)?, &record).await?;
    let wanted = Wanted {
        issuer: IDENTITY,
        base: name.base(),
        wildcard: name.is_wildcard(),
        account_url: &claim.account_url,
        thumbprints: &claim.thumbprints,
        hash_prefix: ca.hash_prefix(),
        now: ca.now(),
    };
    let until = wanted.judge(&found)?;
    // Before draft 02 the authorization lived as long as any other.
    Ok(until.filter(|_| wanted.hash_prefix.is_some()))
}

fn name_server(ca: &Ca) -> Result<SocketAddr, Problem> {
    ca.dns_server.ok_or_else(|| Problem::new(Kind::Dns, "there is no name server to ask"))
}

/// Connects to the first of these addresses that accepts.
pub(super) async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Problem> {
    let mut failures = Vec::new();
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(why) => failures.push(format!("{address}: {why}")),
        }
    }
    let detail = format!("could not connect to {}", failures.join(" nor to "));
    Err(Problem::new(Kind::Connection, detail))
}

/// Every name is this machine; an address is itself, if it is this machine.
pub(super) fn addresses(identifier: &Identifier) -> Result<Vec<IpAddr>, Problem> {
    match identifier {
        Identifier::Dns(_) => Ok(this_machine()),
        Identifier::Ip(ip) => own_address(*ip),
    }
}

pub(super) fn this_machine() -> Vec<IpAddr> {
    vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
}

pub(super) fn own_address(ip: IpAddr) -> Result<Vec<IpAddr>, Problem> {
    if ip.is_loopback() {
        return Ok(vec![ip]);
    }
    let detail = format!("{ip} is not a loopback address and is not dialled");
    Err(Problem::new(Kind::Connection, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_look_the_fewer_may_differ() {
        let table = [(0, 0), (1, 0), (2, 1), (5, 1), (6, 2), (9, 2)];
        for (others, most) in table {
            assert_eq!(tolerated(others), most, "{others}");
        }
    }
}
