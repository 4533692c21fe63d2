//! Would CAA records let the CA issue? Asked as a CA asks, before it is one's turn.

use futures_util::future::join_all;

use super::issuers::{self, Verdict, Wish};
use super::lookup::{self, Standing};
use super::{Ca, Subject};
use crate::agent::audit::Findings;
use crate::dns::{self, Data, Kind, Name, Property, Resolvers, shown};
use crate::model::finding::Severity;
use crate::model::name::DnsName;

/// The records that count for a name, and where they stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Relevant {
    None,
    Set {
        owner: Name,
        set: Vec<Property>,
    },
    /// A CA that cannot find out does not issue (RFC 8659 §3).
    Unknown {
        owner: Name,
        standing: Standing,
    },
}

/// Climbs from the name to its top-level domain until there are records (RFC 8659 §3).
pub(super) async fn gather(name: &DnsName, resolvers: &Resolvers) -> Relevant {
    let Some(mut owner) = dns::name(name.base()) else { return Relevant::None };
    let mut owners = Vec::new();
    while !owner.is_root() {
        owners.push(owner.clone());
        owner = owner.base_name();
    }
    let asked = owners.into_iter().map(async |owner| {
        let standing = lookup::gather(&owner, &[Kind::Caa], resolvers).await;
        (owner, standing)
    });
    relevant(join_all(asked).await)
}

/// The lowest that says anything, or that cannot be asked.
pub(super) fn relevant(climb: Vec<(Name, Standing)>) -> Relevant {
    for (owner, standing) in climb {
        match standing {
            Standing::Found { data, .. } => {
                let property = |data| if let Data::Caa(one) = data { Some(one) } else { None };
                let set: Vec<_> = data.into_iter().filter_map(property).collect();
                if !set.is_empty() {
                    return Relevant::Set { owner, set };
                }
            }
            Standing::Missing { .. } => {}
            standing => return Relevant::Unknown { owner, standing },
        }
    }
    Relevant::None
}

/// Says what would keep each CA from issuing; the first of them is the one that matters most.
pub(super) fn judge(subject: &Subject<'_>, relevant: &Relevant, findings: &mut Findings) {
    let id = subject.identifier;
    match relevant {
        Relevant::None => {}
        Relevant::Unknown { owner, standing } => {
            let what = format!("the CAA records of {}", shown(owner));
            lookup::judge_failure(&what, standing, findings);
        }
        Relevant::Set { owner, set } => {
            for (ca, severity) in subject.cas.iter().zip(subject.severities()) {
                // A CA that does not tell its names cannot be found in a record.
                if ca.identities.is_empty() {
                    continue;
                }
                let wish = Wish {
                    wildcard: id.is_wildcard(),
                    identities: &ca.identities,
                    account: ca.account.as_deref(),
                    kinds: &subject.kinds,
                };
                let verdict = issuers::judge(set, wish);
                let tag = issuers::tag(set, id.is_wildcard());
                tell(subject, ca, &Stand { owner, tag, severity }, &verdict, findings);
            }
        }
    }
}

/// Where the records stand, which tag counts, and how bad a refusal is.
struct Stand<'a> {
    owner: &'a Name,
    tag: &'static str,
    severity: Severity,
}

fn tell(
    subject: &Subject<'_>,
    ca: &Ca,
    stand: &Stand<'_>,
    verdict: &Verdict,
    findings: &mut Findings,
) {
    let (id, owner) = (subject.identifier, shown(stand.owner));
    let identity = &ca.identities[0];
    let record =
        |parameters: &str| format!("{owner}. IN CAA 0 {} \"{identity}{parameters}\"", stand.tag);
    let mut forbid = |why: String, hint: String| {
        let text = format!("CAA of {owner} forbids {} to issue for {id}: {why}", ca.name);
        findings.add(stand.severity, "caa", text);
        findings.hint(hint);
    };
    match verdict {
        Verdict::Allowed(kinds) if kinds.len() == subject.kinds.len() => {
            let text = format!("CAA of {owner} lets {} issue for {id}", ca.name);
            findings.add(Severity::Ok, "caa", text);
        }
        Verdict::Allowed(kinds) => {
            let allowed = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
            let text =
                format!("CAA of {owner} lets {} issue for {id} only after {allowed}", ca.name);
            findings.add(Severity::Warning, "caa", text);
            findings.hint(format!("put {} first with --challenge", kinds[0]));
        }
        Verdict::Unknown { tag } => {
            let tag = tag.escape_debug();
            let hint = format!("remove the record with {tag}, or its critical flag");
            forbid(format!("it demands the unknown property {tag}"), hint);
        }
        Verdict::Others(others) => {
            let why = match others.as_slice() {
                [] => "it allows nobody".to_owned(),
                some => format!("it allows only {}", listed(some)),
            };
            forbid(why, format!("add the record {}", record("")));
        }
        Verdict::Account(theirs) => {
            let why =
                format!("it allows only the account {}", listed(std::slice::from_ref(theirs)));
            let hint = match &ca.account {
                Some(ours) => format!("set the record {}", record(&format!("; accounturi={ours}"))),
                None => format!("there is no account yet: begin with the record {}", record("")),
            };
            forbid(why, hint);
        }
        Verdict::Methods(methods) => {
            let wanted = subject.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
            let parameters = format!("; validationmethods={}", wanted.join(","));
            let why = format!("it allows only validation by {}", listed(methods));
            forbid(why, format!("set the record {}", record(&parameters)));
        }
    }
}

/// A list out of a record, bounded and escaped.
fn listed(texts: &[String]) -> String {
    let all = texts.join(", ");
    let mut shown: String = all.escape_debug().take(200).collect();
    if shown.len() == 200 {
        shown.push('…');
    }
    shown
}
