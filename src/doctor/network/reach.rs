//! Does an answer of our own come back when it is asked for as a CA asks? Every address apart.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::Subject;
use super::fetch::{FOLDER, Miss, Why, fetch, greet};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::challenge::Http01;
use crate::model::challenge::{Challenge, ChallengeKind, KeyAuthorization, Token};
use crate::model::finding::Severity;

/// What came of asking an address.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) address: IpAddr,
    /// Whether it is this host's own.
    pub(super) is_local: bool,
    pub(super) came: Result<(), Miss>,
}

/// How long the answer may take to be there; another run of this program may hold the port.
const PATIENCE: Duration = Duration::from_secs(5);

/// Presents an answer as for a challenge, asks every address for it, and takes it back.
///
/// Empty where it cannot be presented: what this host itself lacks is found elsewhere.
pub(super) async fn gather(
    agent: &Agent,
    subject: &Subject<'_>,
    kind: ChallengeKind,
    addresses: &[IpAddr],
) -> Vec<Seen> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let Ok(wanted) = agent.wanted(subject.settings(), &subject.settings().identifiers) else {
        return Vec::new();
    };
    let solver = agent.hands.solvers.choose(&wanted, kind, false);
    let Ok(Some(chosen)) = solver else { return Vec::new() };
    let (Some(token), Some(secret)) = (random(), random()) else { return Vec::new() };
    let challenge = Challenge {
        identifier: subject.identifier.clone(),
        kind,
        key_authorization: KeyAuthorization::new(&token, secret.as_str()),
        token,
    };
    let mut seen = Vec::new();
    if let Ok(Ok(())) = timeout(PATIENCE, chosen.solver.present(&challenge)).await {
        let fetches = addresses.iter().map(async |&address| Seen {
            address,
            is_local: UdpSocket::bind((address, 0)).is_ok(),
            came: match kind {
                ChallengeKind::TlsAlpn01 => greet(&challenge, address).await,
                _ => fetch(&challenge, address).await,
            },
        });
        seen = join_all(fetches).await;
    }
    // A leftover is removed by the next run that uses the folder.
    let _ = chosen.solver.clean_up(&challenge).await;
    seen
}

fn random() -> Option<Token> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Token::parse(&BASE64URL_NOPAD.encode(&bytes))
}

/// Says for each address what a CA that asks there would make of it.
pub(super) fn judge(
    subject: &Subject<'_>,
    kind: ChallengeKind,
    seen: &[Seen],
    findings: &mut Findings,
) {
    let id = subject.identifier;
    let from_outside = subject.cas.iter().any(|ca| ca.is_public);
    let others_do = seen.iter().any(|one| one.came.is_ok());
    for Seen { address, is_local, came } in seen {
        if from_outside && !is_global(*address) {
            let text = format!("{id} leads to {address} here, which no public CA can reach");
            findings.add(Severity::Warning, "split_horizon", text);
            findings.hint(format!("look {id} up from outside: it must lead to a public address"));
            continue;
        }
        match came {
            Ok(()) => {
                let text = format!("{kind} works for {id} at {address}");
                findings.add(Severity::Ok, "reachability", text);
            }
            // What is wrong may be wrong only here.
            Err(Miss::Nothing { at: None, why: Why::NoRoute }) => {
                let text =
                    format!("{address} of {id} cannot be tried: no way leads there from here");
                findings.add(Severity::Warning, "reachability", text);
                findings.hint(format!("look at http://{id}/ from another host"));
            }
            Err(miss) => {
                // A router may hide its own address from those behind it, and only from them.
                let may_be_hidden = matches!(miss, Miss::Nothing { at: None, .. })
                    && address.is_ipv4()
                    && !is_local;
                let (text, hint) = explain(subject, kind, *address, miss, others_do);
                if may_be_hidden {
                    findings.add(Severity::Warning, "reachability", text);
                    findings.hint(format!("look at {address} from outside the router before it"));
                } else {
                    findings.add(subject.severity(kind), "reachability", text);
                    findings.hint(hint);
                }
            }
        }
    }
}

fn explain(
    subject: &Subject<'_>,
    kind: ChallengeKind,
    address: IpAddr,
    miss: &Miss,
    others_do: bool,
) -> (String, String) {
    let id = subject.identifier;
    let port = if kind == ChallengeKind::TlsAlpn01 { 443 } else { 80 };
    let served_here = match &subject.settings().http01 {
        Http01::Webroot(path) => {
            format!("have http://{id}{FOLDER} served from {}{FOLDER}", path.display())
        }
        Http01::Standalone { .. } => format!("point {id} at this host, or use --webroot DIR"),
    };
    match miss {
        Miss::Nothing { at: None, why } if address.is_ipv6() && others_do => (
            format!(
                "port {port} of the IPv6 address of {id}, {address}, is dead: {}; CAs prefer IPv6",
                told(why)
            ),
            format!("have port {port} answered at {address}, or remove the AAAA record of {id}"),
        ),
        Miss::Nothing { at: None, why } => (
            format!("port {port} of {address} cannot be reached for {id}: {}", told(why)),
            format!("let port {port} of {address} through to the server that answers for {id}"),
        ),
        Miss::Nothing { at: Some(at), why } => (
            format!("{id} at {address} redirects to {}: {}", escaped(at.as_str()), told(why)),
            format!("answer below http://{id}{FOLDER} without a redirect"),
        ),
        Miss::Stranger => (
            format!("another server shakes hands for {id} at port 443 of {address}"),
            format!("have port 443 of {address} led to this host, TLS unread, or use http-01"),
        ),
        Miss::Astray { to, why } => (
            format!("{id} at {address} redirects to {:?}: {why}", escaped(to)),
            format!("answer below http://{id}{FOLDER} without a redirect"),
        ),
        Miss::Other { at: Some(at), status, body } => (
            format!(
                "{id} at {address} redirects to {}, which answers {status}{}",
                escaped(at.as_str()),
                beginning(body)
            ),
            format!("answer below http://{id}{FOLDER} without a redirect"),
        ),
        Miss::Other { at: None, status: 404, .. } => (
            format!("another server or folder answers for {id} at {address}: 404 for our file"),
            served_here,
        ),
        Miss::Other { at: None, status, body } => (
            format!(
                "an application answers for {id} at {address} instead of our file: {status}{}",
                beginning(body)
            ),
            served_here,
        ),
    }
}

fn told(why: &Why) -> String {
    match why {
        Why::Refused => "connection refused".to_owned(),
        Why::Silent => "no answer in time".to_owned(),
        Why::NoRoute => "no way leads there from here".to_owned(),
        Why::Other(text) => escaped(text),
    }
}

/// The first words of a body, for whoever knows the application.
fn beginning(body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { String::new() } else { format!(" ({})", escaped(&line)) }
}

/// Text of others: short, and harmless to a terminal.
fn escaped(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

/// Whether an address means the same from everywhere (RFC 6890).
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared || a == 0)
        }
        IpAddr::V6(ip) => {
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            !(local || ip.is_loopback() || ip.is_unspecified())
        }
    }
}
