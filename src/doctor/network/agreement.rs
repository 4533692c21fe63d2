//! Do all name servers of a zone say the same? A CA asks any of them, from several places.

use std::net::IpAddr;

use futures_util::future::{join, join_all};

use crate::agent::audit::Findings;
use crate::dns::{
    AskError, Code, Data, Delegation, DelegationError, Heard, Kind, Name, Resolvers, is_older,
    shown,
};
use crate::model::finding::Severity;

/// Why a server is no help.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Useless {
    /// It answers, but not for this zone.
    Lame(Code),
    Mute(AskError),
}

/// What one server says of the zone and of one name in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Opinion {
    pub(super) server: Name,
    pub(super) address: IpAddr,
    pub(super) serial: Result<u32, Useless>,
    /// `None` where it did not say.
    pub(super) data: Option<Vec<Data>>,
}

impl Opinion {
    fn differs_from(&self, other: &Self) -> bool {
        matches!((&self.data, &other.data), (Some(ours), Some(theirs)) if ours != theirs)
    }
}

/// A zone, and what each of its servers says.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    pub(super) apex: Name,
    pub(super) target: Name,
    /// Servers whose names lead to no address.
    pub(super) nowhere: Vec<Name>,
    pub(super) opinions: Vec<Opinion>,
}

/// Asks every server of the zone about the zone and about `name`.
pub(super) async fn gather(
    name: &Name,
    kinds: &[Kind],
    resolvers: &Resolvers,
) -> Result<Survey, DelegationError> {
    let zone = Delegation::of(name, resolvers).await?;
    let about = kinds.iter().map(|kind| zone.ask_all(&zone.target, *kind));
    let (serials, data) = join(zone.ask_all(&zone.apex, Kind::Soa), join_all(about)).await;
    let opinion = |(index, heard): (usize, Heard)| {
        let said = data.iter().map(|kind| said(kind.get(index)?, &zone.target));
        let data = said.collect::<Option<Vec<_>>>().map(|kinds| kinds.concat());
        let serial = serial(&heard, &zone.apex);
        Opinion { server: heard.server, address: heard.address, serial, data }
    };
    let opinions = serials.into_iter().enumerate().map(opinion).collect();
    let nowhere = zone.servers.iter().filter(|server| server.addresses.is_empty());
    let nowhere = nowhere.map(|server| server.name.clone()).collect();
    Ok(Survey { nowhere, opinions, apex: zone.apex, target: zone.target })
}

fn said(heard: &Heard, name: &Name) -> Option<Vec<Data>> {
    let answer = heard.said.as_ref().ok()?;
    answer.knows().then(|| answer.about(name))
}

fn serial(heard: &Heard, apex: &Name) -> Result<u32, Useless> {
    let answer = heard.said.as_ref().map_err(|error| Useless::Mute(*error))?;
    let serial = answer.serial(apex).filter(|_| answer.authoritative);
    serial.ok_or(Useless::Lame(answer.code))
}

/// Names the servers that lag, are lame or mute; `what` says which data were compared.
pub(super) fn judge(survey: &Survey, what: &str, findings: &mut Findings) {
    let zone = shown(&survey.apex);
    for server in &survey.nowhere {
        let text = format!("{}, a name server of {zone}, has no address", shown(server));
        findings.add(Severity::Warning, "lame", text);
        findings.hint(format!("give it one, or take it out of the NS records of {zone}"));
    }
    let heard = survey.opinions.iter().filter_map(|one| Some((one, *one.serial.as_ref().ok()?)));
    let heard: Vec<(&Opinion, u32)> = heard.collect();
    if heard.is_empty() && survey.opinions.iter().all(is_mute) {
        let text = format!("none of the name servers of {zone} answers this host");
        findings.add(Severity::Warning, "mute", text);
        findings.hint("let this host ask port 53 by UDP and TCP, or what lags cannot be seen");
        return;
    }
    for opinion in &survey.opinions {
        if let Err(useless) = &opinion.serial {
            judge_useless(&zone, opinion, useless, findings);
        }
    }
    let newest = heard.iter().copied().reduce(|a, b| if is_older(a.1, b.1) { b } else { a });
    let Some((model, newest)) = newest else { return };
    let mut agreed = true;
    for (opinion, serial) in heard.iter().filter(|(one, _)| one.address != model.address) {
        let differs = opinion.differs_from(model);
        agreed &= !differs && !is_older(*serial, newest);
        judge_other(survey, &zone, what, (opinion, *serial), (model, newest), findings);
    }
    if agreed && heard.len() > 1 {
        let (count, target) = (heard.len(), shown(&survey.target));
        let text = format!("{count} name servers of {zone} agree on {what} of {target}");
        findings.add(Severity::Ok, "agreement", text);
    }
}

/// What this host cannot reach by the other protocol says nothing.
fn is_mute(opinion: &Opinion) -> bool {
    matches!(opinion.serial, Err(Useless::Mute(_)))
}

fn judge_useless(zone: &str, opinion: &Opinion, useless: &Useless, findings: &mut Findings) {
    let who = who(opinion);
    match useless {
        Useless::Lame(code) => {
            let text = format!("name server {who} does not answer for {zone}: {code}");
            findings.add(Severity::Warning, "lame", text);
            findings
                .hint(format!("serve the zone there, or take it out of the NS records of {zone}"));
        }
        Useless::Mute(AskError::NoRoute) => {}
        Useless::Mute(error) => {
            let text = format!("name server {who} of {zone}: {error}");
            findings.add(Severity::Warning, "mute", text);
            findings.hint(format!("start it, or take it out of the NS records of {zone}"));
        }
    }
}

fn judge_other(
    survey: &Survey,
    zone: &str,
    what: &str,
    (opinion, serial): (&Opinion, u32),
    (model, newest): (&Opinion, u32),
    findings: &mut Findings,
) {
    let (who, target) = (who(opinion), shown(&survey.target));
    let differs = opinion.differs_from(model);
    if is_older(serial, newest) {
        let says =
            if differs { format!(", and differs in {what} of {target}") } else { String::new() };
        let text =
            format!("name server {who} lags behind: serial {serial} of {zone}, not {newest}{says}");
        let severity = if differs { Severity::Critical } else { Severity::Warning };
        findings.add(severity, "lagging", text);
        findings.hint(format!("have {} transfer the zone {zone} again", shown(&opinion.server)));
    } else if differs {
        let text =
            format!("name servers {who} and {} differ in {what} of {target}", self::who(model));
        findings.add(Severity::Warning, "disagreement", text);
        findings.hint(format!("put the same zone {zone} on both, unless this is meant"));
    }
}

fn who(opinion: &Opinion) -> String {
    format!("{} ({})", shown(&opinion.server), opinion.address)
}
