//! Does an answer of our own come back when it is asked for as a CA asks? Every address apart.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::Subject;
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::challenge::Http01;
use crate::model::challenge::ChallengeKind;
use crate::model::finding::Severity;
use crate::pipeline::Looker;
use crate::probe::visit::{FOLDER, Miss, Seen, Why, escaped, is_global, random_challenge, visit};

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
    let settings = subject.settings();
    let wanted = agent.wanted(&subject.patient.name, settings, &settings.identifiers).await;
    let Ok(wanted) = wanted else {
        return Vec::new();
    };
    let solver = agent.hands.solvers.choose(&wanted, kind, &Looker::default());
    let Ok(Some(chosen)) = solver else { return Vec::new() };
    let Some(challenge) = random_challenge(subject.identifier, kind) else { return Vec::new() };
    let seen = match timeout(PATIENCE, chosen.solver.present(&challenge)).await {
        Ok(Ok(())) => visit(&challenge, addresses).await,
        _ => Vec::new(),
    };
    // A leftover is removed by the next run that uses the folder.
    let _ = chosen.solver.clean_up(&challenge).await;
    seen
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
    for Seen { address, is_local, came, .. } in seen {
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
                "port {port} of the IPv6 address of {id}, {address}, is dead: {why}; CAs prefer IPv6"
            ),
            format!("have port {port} answered at {address}, or remove the AAAA record of {id}"),
        ),
        Miss::Nothing { at: None, why } => (
            format!("port {port} of {address} cannot be reached for {id}: {why}"),
            format!("let port {port} of {address} through to the server that answers for {id}"),
        ),
        Miss::Nothing { at: Some(at), why } => (
            format!("{id} at {address} redirects to {}: {why}", escaped(at.as_str())),
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

/// The first words of a body, for whoever knows the application.
fn beginning(body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { String::new() } else { format!(" ({})", escaped(&line)) }
}
