//! `check`: what a monitoring system asks.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::args::Check;
use super::context::Context;
use super::findings;
use super::report::Failure;
use crate::agent::Trouble;
use crate::agent::audit::Findings;
use crate::certificate::{Chain, Key, Roots, pair_matches, wrong_way_round};
use crate::model::finding::{Finding, Severity};
use crate::model::name::Identifier;
use crate::probe::handshake::handshake;
use crate::probe::host_port::HostPort;

/// How long an endpoint may take to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context, args: &Check) -> ExitCode {
    findings::show(context, "check", args.format, gather(context, args))
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
    let mut findings = Vec::new();
    let names = context.named_or_all(&args.names)?;
    for name in &names {
        findings.extend(agent.audit(name, roots.as_ref())?);
    }
    if !names.is_empty() {
        findings.extend(agent.audit_runs(&names)?);
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
    let address = HostPort::parse(endpoint).map_err(|error| config(&error))?;
    let asked = servername.map(Identifier::parse).transpose().map_err(|error| config(&error))?;
    let wanted = asked.clone().unwrap_or_else(|| address.host().clone());
    let mut findings = Findings::about(address.to_string());
    let served = context.block_on(handshake(&address, asked.as_ref(), PATIENCE))?;
    let mut served = match served {
        Ok(served) => served,
        Err(error) => {
            findings.add(Severity::Critical, "handshake", error.to_string());
            return Ok(findings.found);
        }
    };
    match Chain::from_ders(std::mem::take(&mut served.chain)) {
        Ok(chain) => {
            let group = served.group.as_deref().unwrap_or("unknown group");
            let alpn = served.alpn.map(|alpn| format!(", {alpn}")).unwrap_or_default();
            let text = format!(
                "{} serves {} over {} ({group}{alpn}) in {} ms",
                served.peer,
                chain.fingerprint(),
                served.protocol,
                served.took.as_millis()
            );
            findings.add(Severity::Ok, "handshake", text);
            findings.judge_chain(&chain, &BTreeSet::from([wanted]), Some(roots), context.now());
            findings.judge_life(chain.validity(), None, context.now());
        }
        Err(error) => findings.add(Severity::Critical, "certificate", error.to_string()),
    }
    Ok(findings.found)
}
