//! `check`: what a monitoring system asks.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::args::{Check, Format};
use super::context::Context;
use super::findings;
use super::report::Failure;
use crate::agent::Trouble;
use crate::agent::audit::Findings;
use crate::agent::outlook::Depth;
use crate::agent::reconcile::revocation_in_words;
use crate::certificate::{Chain, Key, Roots, pair_matches, wrong_way_round};
use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Severity};
use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::observe::prometheus;
use crate::probe::handshake::handshake;
use crate::probe::judge::flaws::{Expected, Flaw, flaws};
use crate::probe::look::Sight;
use crate::probe::revocation::{Revocation, Revocations};

/// How long an endpoint may take to shake hands, and a CA to send its list.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context, args: &Check) -> ExitCode {
    let code = findings::show(context, "check", args.format, gather(context, args));
    let ours = args.connect.is_none() && args.file.is_none();
    if ours && args.format == Format::Prometheus && !context.talk.json {
        show_metrics(context, args);
    }
    code
}

/// Behind the findings, which have told of every failure already.
fn show_metrics(context: &Context, args: &Check) {
    if let (Ok(agent), Ok(names)) = (context.reader(), context.named_or_all(&args.names)) {
        let outlook = agent.outlook(&names, Depth::Now);
        findings::say(&prometheus::text(&outlook));
    }
}

fn gather(context: &Context, args: &Check) -> Result<Vec<Finding>, Failure> {
    let roots = args.ca_root.as_deref().map(read_roots).transpose()?;
    if let Some(endpoint) = &args.connect {
        // Whoever connects from outside trusts what this system trusts.
        let roots = roots
            .unwrap_or_else(|| Roots::from_ders(rustls_native_certs::load_native_certs().certs));
        return endpoint_findings(context, endpoint, args.servername.as_deref(), &roots);
    }
    if let Some(file) = &args.file {
        return file_findings(context, file, args.key.as_deref(), roots.as_ref());
    }
    let agent = context.reader()?;
    let names = context.named_or_all(&args.names)?;
    let mut findings = context.block_on(agent.inspect_all(&names, roots.as_ref()))??;
    if !names.is_empty() {
        findings.extend(agent.audit_runs(&names)?);
        findings.extend(agent.audit_history());
    }
    Ok(findings)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::config(format!("cannot read {}: {error}", path.display())))
}

fn read_roots(path: &Path) -> Result<Roots, Failure> {
    let bytes = read(path)?;
    Roots::parse(&bytes).map_err(|source| Trouble::Roots { path: path.to_owned(), source }.into())
}

fn file_findings(
    context: &Context,
    file: &Path,
    key: Option<&Path>,
    roots: Option<&Roots>,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Findings::about(file.display().to_string());
    let pem = read(file)?;
    let key_pem = key.map(read).transpose()?;
    if key_pem.as_ref().is_some_and(|key_pem| wrong_way_round(&pem, key_pem)) {
        let text = "certificate and key are the wrong way round: this file holds the key";
        findings.add(Severity::Critical, "swapped", text);
        return Ok(findings.found);
    }
    let chain = match Chain::parse(&pem) {
        Ok(chain) => chain,
        Err(error) => {
            findings.add(Severity::Critical, "certificate", error.to_string());
            return Ok(findings.found);
        }
    };
    if let Some(key_pem) = key_pem {
        match Key::parse(&key_pem) {
            Ok(key) if pair_matches(&chain, &key) => {
                findings.add(Severity::Ok, "key", "the key belongs to the certificate");
            }
            Ok(_) => {
                let text = "the key does not belong to the certificate";
                findings.add(Severity::Critical, "key", text);
            }
            Err(error) => findings.add(Severity::Critical, "key", error.to_string()),
        }
    }
    findings.judge_chain(&chain, &chain.identifiers(), roots, context.now());
    findings.judge_life(chain.validity(), None, context.now());
    Ok(findings.found)
}

fn endpoint_findings(
    context: &Context,
    endpoint: &str,
    servername: Option<&str>,
    roots: &Roots,
) -> Result<Vec<Finding>, Failure> {
    let config =
        |error: &(dyn std::error::Error + 'static)| Failure::of(super::exit::Exit::Config, error);
    let at = Endpoint::parse(endpoint).map_err(|error| config(&error))?;
    let asked = servername.map(Identifier::parse).transpose().map_err(|error| config(&error))?;
    let wanted = asked.clone().unwrap_or_else(|| at.at.host().clone());
    let mut findings = Findings::about(at.to_string());
    let sight = match context.block_on(handshake(&at, asked.as_ref(), PATIENCE))? {
        Ok(sight) => sight,
        Err(error) => {
            findings.add(Severity::Critical, "handshake", error.to_string());
            return Ok(findings.found);
        }
    };
    match Chain::from_ders(sight.chain.clone()) {
        Ok(chain) => {
            findings.add(Severity::Ok, "handshake", in_words(&sight));
            judge_staple(&sight, &wanted, roots, context.now(), &mut findings);
            findings.judge_chain(&chain, &BTreeSet::from([wanted]), Some(roots), context.now());
            findings.judge_life(chain.validity(), None, context.now());
            let revocation = context.block_on(revocation(&chain, context.now()))?;
            let (severity, text) = revocation_in_words(&revocation);
            findings.add(severity, "revocation", text);
        }
        Err(error) => findings.add(Severity::Critical, "certificate", error.to_string()),
    }
    Ok(findings.found)
}

/// Who serves what, and how the handshake went.
fn in_words(sight: &Sight) -> String {
    let group = sight.group.as_deref().unwrap_or("unknown group");
    let alpn = sight.alpn.as_deref().map(|alpn| format!(", {alpn}")).unwrap_or_default();
    format!(
        "{} serves {} over {} ({group}{alpn}) in {} ms",
        sight.peer,
        sight.fingerprint,
        sight.protocol,
        sight.took.as_millis()
    )
}

/// Judges the OCSP response that came with the certificate, if one did.
fn judge_staple(
    sight: &Sight,
    wanted: &Identifier,
    roots: &Roots,
    now: Timestamp,
    findings: &mut Findings,
) {
    if sight.ocsp.is_none() {
        return;
    }
    let found = flaws(sight, &Expected { name: wanted, roots: Some(roots), now });
    match found.get(&Flaw::Revoked).or(found.get(&Flaw::Ocsp)) {
        Some(why) => findings.add(Severity::Critical, "ocsp", why),
        None => findings.add(Severity::Ok, "ocsp", "the stapled OCSP response is good"),
    }
}

async fn revocation(chain: &Chain, now: Timestamp) -> Revocation {
    match Revocations::new(PATIENCE) {
        Ok(revocations) => revocations.of(chain, now).await,
        Err(why) => Revocation::Unknown(why),
    }
}
