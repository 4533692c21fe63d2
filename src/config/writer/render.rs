//! Settings as a document that says no more than it must.

use std::net::IpAddr;
use std::time::Duration;

use toml_edit::{ArrayOfTables, Datetime, DocumentMut, Item, Table, Value};

use super::is_bare;
use crate::acme::{MacAlgorithm, Profile};
use crate::challenge::Http01;
use crate::config::cert::CertSettings;
use crate::config::choice::{Eab, OnBadName};
use crate::config::keys::CERT_TABLES;
use crate::config::secret::SecretSource;
use crate::config::verify::Verify;
use crate::hook::command::Command;
use crate::schedule::rollout::Settings as Rollout;

/// Writes settings plainly: what shapes the certificate always, the rest where it was chosen.
pub(super) fn render(settings: &CertSettings) -> DocumentMut {
    let mut document = DocumentMut::new();
    let root = document.as_table_mut();
    put(root, "identifiers", list(settings.identifiers.iter().map(ToString::to_string)));
    put(root, "ca", list(settings.cas.iter().map(ToString::to_string)));
    put(root, "ca-root", settings.ca_root.as_ref().map(|path| path.as_str().into()));
    put(root, "email", settings.email.as_ref().map(|email| email.as_str().into()));
    match &settings.profile {
        Some(Profile::Preferred(name)) => put(root, "profile", Some(name.into())),
        Some(Profile::Required(name)) => put(root, "required-profile", Some(name.into())),
        None => {}
    }
    put(root, "preferred-chain", settings.preferred_chain.as_ref().map(Value::from));
    let on_bad_name = Some(settings.on_bad_name).filter(|choice| *choice != OnBadName::default());
    put(root, "on_bad_name", on_bad_name.map(|choice| choice.as_str().into()));
    put(root, "key-type", Some(settings.key_type.as_str().into()));
    put(root, "reuse-key", settings.reuse_key.then(|| true.into()));
    let targets = settings.targets.iter().map(|target| target.label().to_owned());
    put(root, "targets", some(targets));
    render_challenge(settings, below(root, "challenge"));
    render_hooks(settings, below(root, "hooks"));
    render_verify(&settings.verify, below(root, "verify"));
    render_rollout(&settings.rollout, below(root, "rollout"));
    render_permissions(settings, below(root, "permissions"));
    render_eab(settings.eab.as_ref(), below(root, "eab"));
    for table in CERT_TABLES.iter().filter(|table| !table.header.is_empty()) {
        if is_bare(root.get(table.header)) {
            root.remove(table.header);
        }
    }
    document
}

fn render_challenge(settings: &CertSettings, table: &mut Table) {
    put(table, "types", list(settings.challenges.iter().map(ToString::to_string)));
    match &settings.http01 {
        Http01::Webroot(path) => put(table, "webroot", path.to_str().map(Into::into)),
        Http01::Standalone { address, port } => {
            put(table, "http-01-address", address.map(|ip: IpAddr| ip.to_string().into()));
            put(table, "http-01-port", port.map(|port| i64::from(port).into()));
        }
    }
    let port = settings.tls_alpn01_port;
    put(table, "tls-alpn-01-port", port.map(|port| i64::from(port).into()));
    let dns = &settings.dns;
    put(table, "dns", some(dns.providers.iter().map(|one| one.label().to_owned())));
    put(table, "dns-credentials", dns.credentials.as_ref().map(|path| path.as_str().into()));
    put(table, "dns-propagation-timeout", dns.propagation_timeout.map(in_time_units));
    put(table, "dns-resolvers", some(dns.resolvers.iter().map(ToString::to_string)));
    put(table, "manual-auth-hook", dns.manual_auth.as_ref().map(words));
    put(table, "manual-cleanup-hook", dns.manual_cleanup.as_ref().map(words));
}

fn render_hooks(settings: &CertSettings, table: &mut Table) {
    let commands = |commands: &[Command]| {
        let commands = commands.iter().map(words);
        (commands.len() > 0).then(|| commands.collect())
    };
    put(table, "pre", commands(&settings.hooks.pre));
    put(table, "deploy", commands(&settings.hooks.deploy));
    put(table, "post", commands(&settings.hooks.post));
}

fn render_verify(verify: &Verify, table: &mut Table) {
    let built_in = Verify::default();
    let looks = |looks: u16, usual| (looks != usual).then(|| i64::from(looks).into());
    let share = |share: f64, usual: f64| (share != usual).then(|| percent(share));
    let span = |span: Duration, usual| (span != usual).then(|| in_time_units(span));
    put(table, "endpoints", some(verify.endpoints.iter().map(ToString::to_string)));
    put(table, "attempts", looks(verify.attempts, built_in.attempts));
    put(table, "needed", looks(verify.needed, built_in.needed.min(verify.attempts)));
    put(table, "within", span(verify.within, built_in.within));
    let (failures, usual) = (verify.handshake_failures, built_in.handshake_failures);
    put(table, "handshake-failures", share(failures, usual));
    let (errors, usual) = (verify.verification_errors, built_in.verification_errors);
    put(table, "verification-errors", share(errors, usual));
    put(table, "latency", span(verify.latency, built_in.latency));
    put(table, "latency-share", share(verify.latency_share, built_in.latency_share));
    put(table, "ocsp-failures", share(verify.ocsp_failures, built_in.ocsp_failures));
    let sample = Some(verify.sample).filter(|sample| *sample != built_in.sample);
    put(table, "sample", sample.map(|sample| i64::from(sample).into()));
}

/// Writes a fraction as percent, to the millionth to which it is read.
fn percent(share: f64) -> Value {
    ((share * 1e8).round() / 1e6).into()
}

fn in_time_units(span: Duration) -> Value {
    humantime::format_duration(span).to_string().into()
}

fn render_rollout(rollout: &Rollout, table: &mut Table) {
    // With nothing but waves it has no line of its own.
    table.set_implicit(true);
    let freeze = rollout.freeze_until.map(|until| {
        let moment = until.to_string().parse::<Datetime>();
        Value::from(moment.expect("TOML writes times as RFC 3339 does"))
    });
    put(table, "freeze-until", freeze);
    put(table, "deadline", rollout.deadline.map(in_time_units));
    if rollout.waves.is_empty() {
        return;
    }
    let mut waves = ArrayOfTables::new();
    for wave in &rollout.waves {
        let mut table = Table::new();
        put(&mut table, "targets", some(wave.targets.iter().cloned()));
        put(&mut table, "percent", wave.percent.map(|percent| i64::from(percent).into()));
        put(&mut table, "soak", wave.soak.map(in_time_units));
        put(&mut table, "approve", wave.approve.then(|| true.into()));
        waves.push(table);
    }
    table.insert("wave", Item::ArrayOfTables(waves));
}

fn render_permissions(settings: &CertSettings, table: &mut Table) {
    let permissions = &settings.permissions;
    put(table, "owner", permissions.owner.as_ref().map(Value::from));
    put(table, "group", permissions.group.as_ref().map(Value::from));
    put(table, "mode", permissions.mode.map(|mode| format!("{mode:04o}").into()));
}

fn render_eab(eab: Option<&Eab>, table: &mut Table) {
    let Some(eab) = eab else { return };
    put(table, "kid", Some((&eab.kid).into()));
    let (key, value) = match &eab.hmac_key {
        SecretSource::Credential(name) => ("hmac-key-credential", name.as_str().into()),
        SecretSource::File(path) => ("hmac-key-file", path.as_str().into()),
        SecretSource::Command(command) => ("hmac-key-command", words(command)),
        SecretSource::Environment(name) => ("hmac-key-env", name.as_str().into()),
        SecretSource::Literal(secret) => ("hmac-key", secret.expose().into()),
    };
    put(table, key, Some(value));
    let alg = Some(eab.alg).filter(|alg| *alg != MacAlgorithm::default());
    put(table, "alg", alg.map(|alg| alg.as_str().into()));
}

fn put(table: &mut Table, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value));
    }
}

fn below<'a>(table: &'a mut Table, key: &str) -> &'a mut Table {
    let item = table.entry(key).or_insert_with(toml_edit::table);
    item.as_table_mut().expect("it was just made")
}

fn list(words: impl Iterator<Item = String>) -> Option<Value> {
    Some(words.collect())
}

/// A list that is left out if it is empty.
fn some(words: impl Iterator<Item = String>) -> Option<Value> {
    let mut words = words.peekable();
    words.peek().is_some().then(|| words.collect())
}

fn words(command: &Command) -> Value {
    command.argv().iter().collect()
}
