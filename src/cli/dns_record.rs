//! `account dns-record`: what has to stand in the DNS for dns-persist-01.

use serde_json::{Value, json};

use super::args::Account;
use super::context::Context;
use super::exit::Exit;
use super::issue::apply_ca;
use super::report::{Failure, Report};
use crate::agent::Agent;
use crate::config::cert::CertSettings;
use crate::model::name::{CertName, DnsName, Identifier};
use crate::model::persist::{Standing, merged};
use crate::model::time::Timestamp;
use crate::pipeline::{Application, Authority};

pub(super) fn run(context: &Context, args: &Account) -> Result<Report, Failure> {
    let until = args.until.as_deref().map(|text| read_date(text, context.now())).transpose()?;
    let agent = context.agent()?;
    let mut wishes = Vec::new();
    for name in &args.names {
        wishes.push(wish(context, &agent, args, name)?);
    }
    let mut told = Told { until, ..Told::default() };
    context.block_on(async {
        for wish in &wishes {
            told.add(&agent, wish).await?;
        }
        Ok::<_, Failure>(())
    })??;
    Ok(Report { more: Some(("records", told.rows.into())), text: told.text, ..Report::default() })
}

/// The names of a certificate at its CAs, or a DNS name at the CA of the flags.
fn wish(
    context: &Context,
    agent: &Agent,
    args: &Account,
    name: &str,
) -> Result<CertSettings, Failure> {
    let known = CertName::parse(name).ok().map(|name| agent.settings(&name)).transpose()?;
    let mut settings = match known.flatten() {
        Some((settings, _)) => settings,
        None => {
            let name =
                Identifier::parse(name).map_err(|error| Failure::of(Exit::Config, &error))?;
            context.main_settings()?.new_certificate(vec![name])
        }
    };
    apply_ca(context, &mut settings, &args.ca)?;
    if dns_names(&settings).next().is_none() {
        let text = format!(
            "{name} is no DNS name, and no certificate has it: dns-persist-01 proves nothing else"
        );
        return Err(Failure::config(text));
    }
    Ok(settings)
}

fn dns_names(settings: &CertSettings) -> impl Iterator<Item = &DnsName> {
    settings.identifiers.iter().filter_map(|identifier| match identifier {
        Identifier::Dns(name) => Some(name),
        Identifier::Ip(_) => None,
    })
}

/// Reads an RFC 3339 time, or a date, which begins in UTC.
fn read_date(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let at = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    match at {
        Some(at) if at > now => Ok(at),
        Some(at) => Err(Failure::config(format!("--until {at} is over"))),
        None => Err(Failure::config(format!("{text:?} is no date"))
            .hint("as in --until 2027-12-31 or --until 2027-12-31T12:00:00Z")),
    }
}

/// The records, for people as a piece of a zone file.
#[derive(Default)]
struct Told {
    until: Option<Timestamp>,
    text: String,
    rows: Vec<Value>,
}

impl Told {
    async fn add(&mut self, agent: &Agent, settings: &CertSettings) -> Result<(), Failure> {
        for choice in &settings.cas {
            let authority = agent.authorities.of(settings, choice).await?;
            let account = authority.account(agent.store(), &Application::default()).await?;
            let foreseen = dns_names(settings).map(|name| account.foreseen_standing(name));
            let standings: Option<Vec<Standing>> = foreseen.collect();
            let standings = merged(standings.ok_or_else(|| untold(&authority))?);
            self.text += &format!("; {}, account {}\n", authority.name(), account.url());
            for standing in &standings {
                self.add_one(&authority, standing);
            }
        }
        Ok(())
    }

    fn add_one(&mut self, authority: &Authority, standing: &Standing) {
        let line = standing.zone_line(self.until);
        self.rows.push(json!({
            "ca": authority.name(), "identifier": Identifier::Dns(standing.name().clone()),
            "name": standing.record_name(), "value": standing.record(self.until), "line": line,
        }));
        self.text += &line;
        self.text.push('\n');
    }
}

/// A CA whose directory is silent may offer it all the same.
fn untold(authority: &Authority) -> Failure {
    let text =
        format!("the CA {} does not tell by which name such a record means it", authority.name());
    Failure::config(text).hint(
        "`acmeagent issue --challenge dns-persist-01` asks its challenge, tells the record, and does not use it up",
    )
}
