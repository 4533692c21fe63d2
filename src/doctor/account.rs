//! The accounts: without its key no CA knows us.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{HOST, Patient, in_full};
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::agent::authorities::ca_name;
use crate::config::choice::CaChoice;
use crate::model::finding::{Finding, Severity};
use crate::pipeline::{Authority, Cause};
use crate::store::StoreError;

/// What this host keeps of an account.
#[derive(Debug)]
enum Kept {
    /// No key, or one that was never registered.
    Nothing,
    Registered,
    /// Not to be read as it lies; `mend` is the command that changes that.
    Refused {
        text: String,
        mend: String,
    },
    Unreadable(String),
}

/// What the CA says of it.
#[derive(Debug)]
enum AtCa {
    NotAsked,
    Known,
    Unknown,
    Refused(String),
}

/// One CA as it is used.
struct Use<'a> {
    choice: &'a CaChoice,
    root: Option<&'a Path>,
    patient: &'a Patient,
    /// Whether only other CAs' failure leads here.
    is_fallback: bool,
    /// Whether it issued what is held.
    has_issued: bool,
}

/// Looks at the account of every CA in use, and asks the CA for it.
pub(super) async fn examine(agent: &Agent, patients: &[Patient], fix: bool) -> Vec<Finding> {
    let mut findings = Findings::about(HOST);
    for one in uses(patients) {
        match agent.authorities.find(one.choice, one.root).await {
            Ok(authority) => examine_one(agent, &authority, &one, fix, &mut findings).await,
            Err(trouble) => findings.add(Severity::Critical, "ca", in_full(&trouble)),
        }
    }
    findings.found
}

/// Looks at the account files only. A CA that cannot be made out is told by whoever needs it.
pub(super) async fn glance(agent: &Agent, patients: &[Patient]) -> Vec<Finding> {
    let mut findings = Findings::about(HOST);
    for one in uses(patients) {
        if let Ok(authority) = agent.authorities.find(one.choice, one.root).await {
            judge(authority.name(), &one, &read(agent, &authority), &AtCa::NotAsked, &mut findings);
        }
    }
    findings.found
}

fn uses(patients: &[Patient]) -> Vec<Use<'_>> {
    let mut found: BTreeMap<(String, Option<PathBuf>), Use<'_>> = BTreeMap::new();
    for patient in patients {
        let root = patient.settings.ca_root.as_ref().map(|root| root.as_path());
        // What is live may be revoked, and nothing newer be there.
        let held = patient.standing.iter().flat_map(|one| [&one.newest, &one.live]);
        let held: Vec<_> = held.flatten().map(|(_, meta)| meta.ca.as_str()).collect();
        for (place, choice) in patient.settings.cas.iter().enumerate() {
            let name = ca_name(choice);
            let has_issued = held.contains(&name.as_str());
            let one = Use { choice, root, patient, is_fallback: place > 0, has_issued };
            let known = found.entry((name, root.map(Path::to_owned))).or_insert(one);
            known.is_fallback &= place > 0;
            known.has_issued |= has_issued;
        }
    }
    found.into_values().collect()
}

async fn examine_one(
    agent: &Agent,
    authority: &Arc<Authority>,
    one: &Use<'_>,
    fix: bool,
    findings: &mut Findings,
) {
    let mut kept = read(agent, authority);
    if fix && matches!(kept, Kept::Refused { .. }) {
        match authority.mend_account_file(agent.store()).await {
            Ok(()) => {
                kept = read(agent, authority);
                let text = format!("the account key for {} is ours alone again", authority.name());
                findings.add(Severity::Ok, "account", text);
                findings.hint("`acmeagent account rotate-key` replaces a key others may have read");
            }
            Err(cause) => findings.add(Severity::Critical, "account", in_full(&cause)),
        }
    }
    let at_ca = ask(agent, authority, &kept).await.unwrap_or_else(|why| {
        let text = format!("{} cannot be asked: {why}", authority.name());
        findings.add(Severity::Warning, "ca", text);
        findings.hint("look at the network, and at the CA's status page");
        AtCa::NotAsked
    });
    if fix && matches!(at_ca, AtCa::Unknown) {
        match register_anew(agent, authority, one).await {
            Ok(text) => findings.add(Severity::Ok, "account", text),
            Err(text) => findings.add(Severity::Critical, "account", text),
        }
        return;
    }
    judge(authority.name(), one, &kept, &at_ca, findings);
}

fn read(agent: &Agent, authority: &Authority) -> Kept {
    match authority.account_file(agent.store()) {
        Ok(Some(file)) if file.url.is_some() => Kept::Registered,
        Ok(_) => Kept::Nothing,
        Err(Cause::Store(StoreError::Refused { path, what, mend })) => {
            Kept::Refused { text: format!("{} {what}", path.display()), mend }
        }
        Err(cause) => Kept::Unreadable(in_full(&cause)),
    }
}

/// Asks the CA; an error is why it gave no answer.
async fn ask(agent: &Agent, authority: &Authority, kept: &Kept) -> Result<AtCa, String> {
    let session = authority.session().await.map_err(|cause| in_full(&cause))?;
    let Ok(Some(file)) = authority.account_file(agent.store()) else { return Ok(AtCa::NotAsked) };
    // Which of two keys is in force is settled by the next order.
    if !matches!(kept, Kept::Registered) || file.is_rolling_over() {
        return Ok(AtCa::NotAsked);
    }
    match session.knows(&file).await {
        Ok(true) => Ok(AtCa::Known),
        Ok(false) => Ok(AtCa::Unknown),
        Err(error) if error.problem().is_some() => Ok(AtCa::Refused(in_full(&error))),
        Err(error) => Err(in_full(&error)),
    }
}

/// Makes a new account where the old one is lost for good; it counts as agreed to what the old one
/// was opened under.
async fn register_anew(
    agent: &Agent,
    authority: &Authority,
    one: &Use<'_>,
) -> Result<String, String> {
    let settings = &one.patient.settings;
    let application = agent.authorities.application(settings, one.choice, true, true).await;
    let application = application.map_err(|trouble| in_full(&trouble))?;
    let kept = authority.register_anew(agent.store(), &application).await;
    let kept = kept.map_err(|cause| in_full(&cause))?;
    let name = authority.name();
    Ok(format!(
        "{name} did not know our account; there is a new one, the old is {}",
        kept.display()
    ))
}

/// Judges one account.
fn judge(ca: &str, one: &Use<'_>, kept: &Kept, at_ca: &AtCa, findings: &mut Findings) {
    let register = || format!("`acmeagent account register --ca {ca}` makes a new one");
    let (severity, text, hint) = match (kept, at_ca) {
        (Kept::Refused { text, mend }, _) => (Severity::Critical, text.clone(), mend.clone()),
        (Kept::Unreadable(text), _) => {
            let hint = format!("restore it from a backup, or move it away: {}", register());
            (Severity::Critical, text.clone(), hint)
        }
        (Kept::Nothing, _) if one.has_issued => {
            let text =
                format!("the account key for {ca} is missing, though {ca} issued what is held");
            (Severity::Critical, text, format!("restore it from a backup; {}", register()))
        }
        (Kept::Nothing, _) if one.is_fallback => {
            let text = format!("there is no account at {ca}, which is to step in when others fail");
            (Severity::Warning, text, register())
        }
        (Kept::Registered, AtCa::Unknown) => {
            let hint = "`acmeagent doctor --fix` registers a new one and keeps the old file";
            (Severity::Critical, format!("{ca} does not know our account"), hint.to_owned())
        }
        (Kept::Registered, AtCa::Refused(why)) => {
            (Severity::Critical, format!("{ca} refuses our account: {why}"), register())
        }
        (Kept::Nothing, _) => {
            let text = format!("no account at {ca} yet; the first order makes one");
            return findings.add(Severity::Ok, "account", text);
        }
        (Kept::Registered, AtCa::Known) => {
            return findings.add(Severity::Ok, "account", format!("{ca} knows our account"));
        }
        (Kept::Registered, AtCa::NotAsked) => {
            return findings.add(Severity::Ok, "account", format!("there is an account for {ca}"));
        }
    };
    findings.add(severity, "account", text);
    findings.hint(hint);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cert::CertSettings;
    use crate::model::name::CertName;

    #[test]
    fn what_an_account_may_be() {
        use Severity::{Critical, Ok, Warning};
        let (name, settings) = (CertName::parse("a").unwrap(), CertSettings::default());
        let patient = Patient { name, settings, standing: None };
        let (choice, root) = (&CaChoice::default(), None);
        let refused = || Kept::Refused { text: "x is open".into(), mend: "chmod".into() };
        let table = [
            (Kept::Nothing, AtCa::NotAsked, false, false, Ok, "the first order makes one"),
            (Kept::Nothing, AtCa::NotAsked, true, false, Warning, "is to step in"),
            (Kept::Nothing, AtCa::NotAsked, false, true, Critical, "is missing, though"),
            (Kept::Nothing, AtCa::NotAsked, true, true, Critical, "is missing, though"),
            (Kept::Registered, AtCa::NotAsked, false, true, Ok, "there is an account"),
            (Kept::Registered, AtCa::Known, false, true, Ok, "knows our account"),
            (Kept::Registered, AtCa::Unknown, true, false, Critical, "does not know"),
            (Kept::Registered, AtCa::Refused("gone".into()), false, true, Critical, "gone"),
            (refused(), AtCa::NotAsked, true, false, Critical, "x is open"),
            (Kept::Unreadable("torn".into()), AtCa::NotAsked, false, false, Critical, "torn"),
        ];
        for (kept, at_ca, is_fallback, has_issued, severity, says) in table {
            let one = Use { choice, root, patient: &patient, is_fallback, has_issued };
            let mut findings = Findings::about(HOST);
            judge("ca", &one, &kept, &at_ca, &mut findings);
            let found = findings.found.pop().unwrap();
            assert_eq!(
                (found.severity, found.message.contains(says)),
                (severity, true),
                "{found:?}"
            );
            assert_eq!(found.hint.is_some(), severity > Ok, "{found:?}");
        }
    }
}
