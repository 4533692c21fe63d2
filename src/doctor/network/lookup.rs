//! What a name leads to, and whether the signatures on the way hold (RFC 4035).

use std::net::IpAddr;

use futures_util::future::join_all;

use super::Subject;
use crate::agent::audit::Findings;
use crate::dns::{Answer, AskError, Code, Data, Kind, Manner, Name, Resolvers, shown};
use crate::model::finding::Severity;

/// How a name stands in the DNS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It exists, with these data of the kinds asked for: perhaps none.
    Found { aliases: Vec<Name>, data: Vec<Data> },
    /// It does not exist, or what it is an alias for does not.
    Missing { aliases: Vec<Name> },
    /// There are answers, but only for those who do not check signatures.
    BrokenSignatures,
    /// The resolver could not find out.
    Failed(Code),
    /// The resolver does not answer.
    Unheard(AskError),
}

/// Looks a name up as a CA does: signatures count where the resolver checks them.
pub(super) async fn gather(name: &Name, kinds: &[Kind], resolvers: &Resolvers) -> Standing {
    let ask_all = |manner| join_all(kinds.iter().map(|kind| resolvers.ask(name, *kind, manner)));
    let standing = combine(name, ask_all(Manner::Recursive).await);
    let Standing::Failed(Code::Failure) = standing else { return standing };
    match combine(name, ask_all(Manner::Unchecked).await) {
        Standing::Found { .. } | Standing::Missing { .. } => Standing::BrokenSignatures,
        _ => standing,
    }
}

fn combine(name: &Name, answers: Vec<Result<Answer, AskError>>) -> Standing {
    let (mut aliases, mut data, mut missing) = (Vec::new(), Vec::new(), false);
    for answer in answers {
        let answer = match answer {
            Err(error) => return Standing::Unheard(error),
            Ok(answer) => answer,
        };
        match answer.code {
            Code::Success => data.extend(answer.about(name)),
            Code::NoSuchName => missing = true,
            code => return Standing::Failed(code),
        }
        aliases = answer.aliases(name);
    }
    if missing { Standing::Missing { aliases } } else { Standing::Found { aliases, data } }
}

/// Judges a name that must lead to an address.
pub(super) fn judge_addresses(subject: &Subject<'_>, standing: &Standing, findings: &mut Findings) {
    let id = subject.identifier;
    let as_alias = |aliases: &[Name]| match aliases.last() {
        Some(end) => format!("{id}, an alias of {},", shown(end)),
        None => id.to_string(),
    };
    match standing {
        Standing::Found { aliases, data } => {
            let addresses: Vec<_> = addresses(data).iter().map(IpAddr::to_string).collect();
            if addresses.is_empty() {
                let text = format!("{} has no address", as_alias(aliases));
                findings.add(Severity::Critical, "dns", text);
                findings.hint("add its A or AAAA record");
            } else {
                let text = format!("{} leads to {}", as_alias(aliases), addresses.join(", "));
                findings.add(Severity::Ok, "dns", text);
            }
        }
        Standing::Missing { aliases } => {
            let text = format!("{} does not exist in the DNS", as_alias(aliases));
            findings.add(Severity::Critical, "dns", text);
            findings.hint(match aliases.last() {
                Some(end) => format!("add A or AAAA records for {}", shown(end)),
                None => format!("add A or AAAA records for {id}"),
            });
        }
        failure => judge_failure(&id.to_string(), failure, findings),
    }
}

/// The addresses among the data, never very many.
pub(super) fn addresses(data: &[Data]) -> Vec<IpAddr> {
    const MOST: usize = 16;
    let address = |data: &Data| if let Data::Address(ip) = data { Some(*ip) } else { None };
    data.iter().filter_map(address).take(MOST).collect()
}

/// Says why nobody can find out about `what`.
pub(super) fn judge_failure(what: &str, standing: &Standing, findings: &mut Findings) {
    match standing {
        Standing::Found { .. } | Standing::Missing { .. } => {}
        Standing::BrokenSignatures => {
            let text = format!("DNSSEC of {what} is broken: who checks signatures gets no answer");
            findings.add(Severity::Critical, "dnssec", text);
            findings.hint("sign the zone anew, or have its DS record removed from the parent zone");
        }
        Standing::Failed(code) => {
            let text = format!("{what} cannot be looked up: the resolver answers {code}");
            findings.add(Severity::Critical, "dns", text);
            findings.hint("see that the name servers of the zone run and are delegated to");
        }
        Standing::Unheard(error) => {
            let text = format!("{what} cannot be looked up: the resolver of this host: {error}");
            findings.add(Severity::Warning, "dns", text);
            findings.hint("name a resolver that answers in /etc/resolv.conf");
        }
    }
}
