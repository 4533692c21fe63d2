//! `issue`: the first certificate, and every change of what is wanted.

use super::args::{CaFlags, ChallengeFlags, DeployFlags, Issue, KeyFlags, OrderFlags};
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, Report};
use super::{aftermath, doctor, rehearsal, renew};
use crate::acme::{Endpoint, Profile};
use crate::agent::aftermath::Ran;
use crate::agent::{Insistence, Trouble, Wish};
use crate::certificate::KeyType;
use crate::challenge::Http01;
use crate::config::cert::CertSettings;
use crate::config::choice::{AbsolutePath, CaChoice, CaName, Eab, Email};
use crate::config::dns::{DnsChoice, DnsSettings};
use crate::config::main_settings::MainSettings;
use crate::config::secret::Secret;
use crate::config::secret::SecretSource;
use crate::config::target::TargetChoice;
use crate::hook::command::Command;
use crate::model::challenge::ChallengeKind;
use crate::model::endpoint;
use crate::model::name::{CertName, Identifier};

pub(super) fn run(context: &Context, args: &Issue) -> Result<Report, Failure> {
    let identifiers = parse_all(&args.domains, Identifier::parse)?;
    let name = match &args.cert_name {
        Some(name) => CertName::parse(name),
        None => CertName::from_identifier(&identifiers[0]),
    }
    .map_err(config)?;
    let main = context.main_settings()?;
    let path = context.layout.settings(&name);
    let held = CertSettings::load(&path).map_err(Trouble::from)?;
    let mut settings = match &held {
        Some((settings, _)) => CertSettings { identifiers, ..settings.clone() },
        None => main.new_certificate(identifiers),
    };
    apply(context, &mut settings, args)?;
    settings.check().map_err(Trouble::from)?;
    find_targets(&main, &settings)?;
    find_providers(&main, &settings)?;
    if args.dry_run {
        return rehearsal::of_issue(context, name, settings, &args.ca);
    }
    let text = settings.write_over(&path, held.as_ref().map(|(_, text)| text.as_str()));
    let text = text.map_err(Trouble::from)?;
    let changed = held.as_ref().is_some_and(|(before, _)| wants_another(before, &settings));
    let retargeted = held.as_ref().is_some_and(|(before, _)| before.targets != settings.targets);
    let new_settings = held.as_ref().is_none_or(|(_, before)| *before != text).then_some(text);
    let insistence =
        Insistence { force: args.force, by_hand: true, changed, retargeted, approved: false };
    let agree_terms = args.ca.agree_tos;
    let wish = Wish { name, settings, new_settings, insistence, agree_terms, may_register: true };
    let agent = context.agent()?;
    if held.is_some_and(|(before, _)| before.dns != wish.settings.dns) {
        // Perhaps nothing is ordered now, and what renewals need would first be tried at night.
        context.block_on(agent.dns(&wish.name, &wish.settings))??;
    }
    let (name, settings) = (wish.name.clone(), wish.settings.clone());
    let done = context.block_on(async {
        doctor::before_issue(context, &agent, &wish).await;
        let done = agent.work_alone(wish).await;
        if done.trouble.is_none() {
            agent.enroll(&name, &settings, agree_terms).await;
        }
        done
    })?;
    agent.notice_cadence(&done);
    aftermath::of_run(context, &agent, Ran::ByHand);
    Ok(renew::report(context, agent.store().layout(), &[done], false))
}

fn config(error: impl std::error::Error + 'static) -> Failure {
    Failure::of(Exit::Config, &error)
}

fn parse_all<T, E: std::error::Error + 'static>(
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Failure> {
    texts.iter().map(|text| parse(text)).collect::<Result<_, _>>().map_err(config)
}

/// Whether the change is one that only another certificate satisfies.
fn wants_another(before: &CertSettings, now: &CertSettings) -> bool {
    (&before.cas, &before.profile, &before.preferred_chain)
        != (&now.cas, &now.profile, &now.preferred_chain)
}

/// Lays the flags that were given over the settings.
fn apply(context: &Context, settings: &mut CertSettings, args: &Issue) -> Result<(), Failure> {
    apply_ca(context, settings, &args.ca)?;
    apply_order(settings, &args.order);
    apply_challenge(context, settings, &args.challenge)?;
    apply_key(settings, &args.key)?;
    apply_deploy(context, settings, &args.deploy)?;
    for (hooks, given) in [
        (&mut settings.hooks.pre, &args.hooks.pre_hook),
        (&mut settings.hooks.deploy, &args.hooks.deploy_hook),
        (&mut settings.hooks.post, &args.hooks.post_hook),
    ] {
        if !given.is_empty() {
            *hooks = parse_all(given, Command::split)?;
        }
    }
    Ok(())
}

pub(super) fn apply_ca(
    context: &Context,
    settings: &mut CertSettings,
    flags: &CaFlags,
) -> Result<(), Failure> {
    let named = if flags.ca.is_empty() { flags.server.as_slice() } else { &flags.ca };
    if !named.is_empty() {
        settings.cas = parse_all(named, CaChoice::parse)?;
        settings.ca_root = settings.ca_root.take().filter(|_| named.len() == 1);
    }
    if flags.staging {
        let staging = settings.cas.iter().map(|choice| staging_of(Some(choice)));
        settings.cas = staging.collect::<Result<_, _>>()?;
    }
    if let Some(root) = &flags.ca_root {
        settings.ca_root = Some(AbsolutePath::resolve(&context.around.cwd, root).map_err(config)?);
    }
    if let Some(email) = &flags.email {
        settings.email = Some(Email::parse(email).map_err(config)?);
    }
    if let Some(kid) = flags.eab_kid.clone() {
        let hmac_key = match (&flags.eab_hmac_key_file, &flags.eab_hmac_key) {
            (Some(file), _) => SecretSource::File(
                AbsolutePath::resolve(&context.around.cwd, file).map_err(config)?,
            ),
            (None, Some(key)) => SecretSource::Literal(
                Secret::new(key.clone())
                    .ok_or_else(|| Failure::config("the HMAC key is not one line of text"))?,
            ),
            (None, None) => {
                return Err(Failure::config(
                    "--eab-kid needs --eab-hmac-key-file or --eab-hmac-key",
                ));
            }
        };
        let alg = settings.eab.as_ref().map(|eab| eab.alg).unwrap_or_default();
        settings.eab = Some(Eab { kid, hmac_key, alg });
    }
    Ok(())
}

/// The staging environment of a CA: the built-in one of its name with `-staging`.
pub(super) fn staging_of(choice: Option<&CaChoice>) -> Result<CaChoice, Failure> {
    let ca = choice.map_or_else(|| CaChoice::default().to_string(), ToString::to_string);
    if ca.ends_with("-staging") || choice == Some(&CaChoice::Embedded) {
        return Ok(choice.cloned().unwrap_or_default());
    }
    let staging = format!("{ca}-staging");
    match CaName::parse(&staging) {
        Ok(name) if Endpoint::builtin(&staging).is_some() => Ok(CaChoice::Named(name)),
        _ => Err(Trouble::NoStaging { ca }.into()),
    }
}

fn apply_order(settings: &mut CertSettings, flags: &OrderFlags) {
    let preferred = flags.profile.clone().map(Profile::Preferred);
    let required = flags.required_profile.clone().map(Profile::Required);
    settings.profile = required.or(preferred).or(settings.profile.take());
    settings.preferred_chain = flags.preferred_chain.clone().or(settings.preferred_chain.take());
}

fn apply_challenge(
    context: &Context,
    settings: &mut CertSettings,
    flags: &ChallengeFlags,
) -> Result<(), Failure> {
    if !flags.challenge.is_empty() {
        let kinds = flags.challenge.iter().map(|kind| challenge_kind(kind));
        settings.challenges = kinds.collect::<Result<_, _>>()?;
    }
    if let Some(webroot) = &flags.webroot {
        let root = AbsolutePath::resolve(&context.around.cwd, webroot).map_err(config)?;
        settings.http01 = Http01::Webroot(root.as_path().to_owned());
    }
    let listens = flags.standalone
        || flags.http_01_address.or(flags.http_01_port.map(|_| [0; 4].into())).is_some();
    if listens && flags.webroot.is_none() {
        let (address, port) = match &settings.http01 {
            Http01::Standalone { address, port } => (*address, *port),
            Http01::Webroot(_) => (None, None),
        };
        settings.http01 = Http01::Standalone {
            address: flags.http_01_address.or(address),
            port: flags.http_01_port.or(port),
        };
    }
    settings.tls_alpn01_port = flags.tls_alpn_01_port.or(settings.tls_alpn01_port);
    apply_dns(context, settings, flags)
}

fn apply_dns(
    context: &Context,
    settings: &mut CertSettings,
    flags: &ChallengeFlags,
) -> Result<(), Failure> {
    let (cwd, dns) = (&context.around.cwd, &mut settings.dns);
    let auth = flags.manual_auth_hook.as_deref().map(Command::split).transpose();
    let cleanup = flags.manual_cleanup_hook.as_deref().map(Command::split).transpose();
    let (auth, cleanup) = (auth.map_err(config)?, cleanup.map_err(config)?);
    let hooked = auth.is_some() || cleanup.is_some();
    if !flags.dns.is_empty() {
        dns.providers = parse_all(&flags.dns, |typed| DnsChoice::resolve(cwd, typed))?;
        if !dns.providers.contains(&DnsChoice::Manual) && !hooked {
            (dns.manual_auth, dns.manual_cleanup) = (None, None);
        }
    }
    dns.manual_auth = auth.or(dns.manual_auth.take());
    dns.manual_cleanup = cleanup.or(dns.manual_cleanup.take());
    dns.imply_manual();
    if let Some(path) = &flags.dns_credentials {
        dns.credentials = Some(AbsolutePath::resolve(cwd, path).map_err(config)?);
    }
    if let Some(timeout) = flags.dns_propagation_timeout {
        if timeout > DnsSettings::LONGEST_PROPAGATION {
            let longest = humantime::format_duration(DnsSettings::LONGEST_PROPAGATION);
            let text = format!("--dns-propagation-timeout may be at most {longest}");
            return Err(Failure::config(text));
        }
        dns.propagation_timeout = Some(timeout);
    }
    let chosen = !flags.dns.is_empty() || hooked;
    let by_dns = settings.challenges.iter().any(|kind| kind.is_dns());
    if flags.dns_credentials.is_some() && dns.providers.is_empty() {
        return Err(Failure::config("--dns-credentials is given, but no DNS provider")
            .hint("add --dns PROVIDER; acmeagent-dns(7) lists those there are"));
    }
    if chosen && !flags.challenge.is_empty() && !by_dns {
        let kinds = flags.challenge.join(" and ");
        return Err(Failure::config(format!("{kinds} needs no DNS provider, and one is given"))
            .hint("add --challenge dns-01, or leave it to --dns"));
    }
    if chosen && flags.challenge.is_empty() && !by_dns {
        settings.challenges = vec![ChallengeKind::Dns01];
    }
    Ok(())
}

fn challenge_kind(text: &str) -> Result<ChallengeKind, Failure> {
    let known = ChallengeKind::ALL.map(ChallengeKind::as_str).join(", ");
    ChallengeKind::parse(text).ok_or_else(|| {
        Failure::config(format!("{text:?} is no challenge type")).hint(format!("known are {known}"))
    })
}

fn apply_key(settings: &mut CertSettings, flags: &KeyFlags) -> Result<(), Failure> {
    if let Some(kind) = &flags.key_type {
        let known = KeyType::ALL.map(KeyType::as_str).join(", ");
        settings.key_type = KeyType::parse(kind).ok_or_else(|| {
            Failure::config(format!("{kind:?} is no key type")).hint(format!("known are {known}"))
        })?;
    }
    settings.reuse_key = (settings.reuse_key || flags.reuse_key) && !flags.new_key;
    Ok(())
}

fn apply_deploy(
    context: &Context,
    settings: &mut CertSettings,
    flags: &DeployFlags,
) -> Result<(), Failure> {
    if !flags.target.is_empty() {
        let resolve = |typed: &str| TargetChoice::resolve(&context.around.cwd, typed);
        settings.targets = parse_all(&flags.target, resolve)?;
    }
    if !flags.verify.is_empty() {
        settings.verify.endpoints = parse_all(&flags.verify, endpoint::Endpoint::parse)?;
    }
    Ok(())
}

/// Finds out whether the DNS providers that are named are there, before anything is asked of a CA.
fn find_providers(main: &MainSettings, settings: &CertSettings) -> Result<(), Failure> {
    for choice in &settings.dns.providers {
        if let DnsChoice::Named(name) = choice {
            main.dns(name).map_err(Trouble::from)?;
        }
    }
    Ok(())
}

/// Finds out whether the targets that are named are there, before anything is asked of a CA.
fn find_targets(main: &MainSettings, settings: &CertSettings) -> Result<(), Failure> {
    for choice in &settings.targets {
        if let TargetChoice::Named(name) = choice {
            main.target(name)
                .map_err(|error| Failure::config(error.to_string()).hint(error.hint()))?;
        }
    }
    Ok(())
}
