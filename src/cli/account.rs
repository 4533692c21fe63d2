//! `account`.

use serde_json::json;

use super::args::{Account, AccountAction};
use super::context::Context;
use super::dns_record;
use super::issue::apply_ca;
use super::report::{Failure, Report};
use crate::acme::AccountFacts;
use crate::agent::Agent;
use crate::config::cert::CertSettings;
use crate::pipeline::{Authority, Cause};

pub(super) fn run(context: &Context, args: &Account) -> Result<Report, Failure> {
    if args.action == AccountAction::DnsRecord {
        return dns_record::run(context, args);
    }
    if !args.names.is_empty() || args.until.is_some() {
        return Err(Failure::config("only `account dns-record` takes names and --until"));
    }
    let mut settings = context.main_settings()?.new_certificate(Vec::new());
    if args.ca.ca.len() > 1 {
        let hint = "run it once for each CA";
        return Err(Failure::config("an account is that of one CA").hint(hint));
    }
    apply_ca(context, &mut settings, &args.ca)?;
    let agent = context.agent()?;
    context.block_on(act(&agent, &settings, args))?
}

async fn act(agent: &Agent, settings: &CertSettings, args: &Account) -> Result<Report, Failure> {
    let authority = agent.authorities.wanted(settings).await?;
    let registers = args.action == AccountAction::Register;
    let (choice, agree) = (&settings.cas[0], args.ca.agree_tos);
    let application = agent.authorities.application(settings, choice, agree, registers).await?;
    let account = match args.action {
        AccountAction::Show | AccountAction::Register => {
            authority.account(agent.store(), &application).await?.clone()
        }
        AccountAction::RotateKey => authority.rotate_key(agent.store()).await?,
        AccountAction::Deactivate => {
            authority.deactivate(agent.store()).await?;
            let text = format!("the account at {} is closed for good\n", authority.name());
            return Ok(Report { text, ..Report::default() });
        }
        AccountAction::DnsRecord => unreachable!("it changes no account"),
    };
    let mut facts = account.facts().await.map_err(Cause::from)?;
    if registers && !application.contacts.is_empty() && facts.contacts != application.contacts {
        account.update_contacts(&application.contacts).await.map_err(Cause::from)?;
        facts = account.facts().await.map_err(Cause::from)?;
    }
    let rotated = args.action == AccountAction::RotateKey;
    Ok(told(&authority, &facts, rotated))
}

fn told(authority: &Authority, facts: &AccountFacts, rotated: bool) -> Report {
    let AccountFacts { url, status, contacts } = facts;
    let status = status.as_str();
    let more = json!({"ca": authority.name(), "url": url, "status": status, "contacts": contacts});
    let contacts = if contacts.is_empty() { "none".to_owned() } else { contacts.join(", ") };
    let mut text =
        format!("{}: {url}\n  status    {status}\n  contacts  {contacts}\n", authority.name());
    if rotated {
        text += "  key       replaced\n";
    }
    Report { more: Some(("account", more)), text, ..Report::default() }
}
