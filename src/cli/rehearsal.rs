//! `--dry-run`: everything for real, against a staging CA and in a store that is thrown away.

use std::sync::Arc;

use super::args::CaFlags;
use super::context::Context;
use super::exit::Exit;
use super::issue::staging_of;
use super::renew;
use super::report::{Failure, Report};
use crate::acme::Endpoint;
use crate::agent::{Insistence, Trouble, Wish};
use crate::config::cert::CertSettings;
use crate::config::choice::{CaChoice, CaName, Hooks};
use crate::config::main_settings::MainSettings;
use crate::config::verify::Verify;
use crate::model::name::CertName;
use crate::schedule::rollout::Settings as Rollout;
use crate::store::Store;
use crate::store::disk::Real;
use crate::store::layout::Layout;

pub(super) fn of_issue(
    context: &Context,
    name: CertName,
    settings: CertSettings,
    flags: &CaFlags,
) -> Result<Report, Failure> {
    let ca = match (&flags.server, settings.cas.first()) {
        (Some(_), Some(server)) => server.clone(),
        (_, first) => rehearsed_at(&context.main_settings()?, first)?,
    };
    rehearse(context, vec![(name, CertSettings { cas: vec![ca], ..settings })], flags.agree_tos)
}

pub(super) fn of_renewals(context: &Context, names: &[CertName]) -> Result<Report, Failure> {
    let main = context.main_settings()?;
    let mut wanted = Vec::with_capacity(names.len());
    for name in names {
        let path = context.layout.settings(name);
        let held = CertSettings::load(&path).map_err(Trouble::from)?;
        let (settings, _) = held.ok_or(Trouble::NoSettings { path })?;
        let ca = rehearsed_at(&main, settings.cas.first())?;
        wanted.push((name.clone(), CertSettings { cas: vec![ca], ..settings }));
    }
    // Who renews has agreed to the CA's terms before; staging has the same.
    rehearse(context, wanted, true)
}

/// Where to rehearse what is ordered at `choice`: a public CA's staging, a private CA itself.
fn rehearsed_at(main: &MainSettings, choice: Option<&CaChoice>) -> Result<CaChoice, Failure> {
    match choice {
        Some(CaChoice::Named(name)) if main.ca(name).is_some() => Ok(CaChoice::Named(name.clone())),
        Some(CaChoice::Server(url)) => {
            let is_it = |name: &&str| {
                Endpoint::builtin(name).is_some_and(|ca| ca.directory == url.as_str())
            };
            match Endpoint::builtin_names().find(is_it).map(CaName::parse) {
                Some(Ok(name)) => staging_of(Some(&CaChoice::Named(name))),
                _ => Ok(CaChoice::Server(url.clone())),
            }
        }
        other => staging_of(other),
    }
}

fn rehearse(
    context: &Context,
    wanted: Vec<(CertName, CertSettings)>,
    agree_terms: bool,
) -> Result<Report, Failure> {
    let stage = tempfile::Builder::new().prefix("acmeagent-rehearsal-").tempdir();
    let stage = stage.map_err(|error| Failure::of(Exit::Store, &error))?;
    let store = Store::open(Layout::in_home(stage.path()), Arc::new(Real))?;
    let agent = context.agent_over(store, context.main_settings()?);
    let done = context.block_on(async {
        let mut done = Vec::with_capacity(wanted.len());
        for (name, settings) in wanted {
            let settings = put_to_use_nowhere(settings);
            let insistence = Insistence { by_hand: true, ..Insistence::default() };
            let (new_settings, may_register) = (None, true);
            let wish = Wish { name, settings, new_settings, insistence, agree_terms, may_register };
            done.push(agent.work_alone(wish).await);
        }
        done
    })?;
    let mut report = renew::report(context, agent.store().layout(), &done, false);
    for failure in report.certificates.iter_mut().filter_map(|line| line.error.as_mut()) {
        // What is served and what comes next is not that of the stage.
        failure.standing.clear();
    }
    if report.exit == Some(Exit::Ok) {
        report.text =
            format!("rehearsal of {} certificates went well; nothing was kept\n", done.len());
    }
    Ok(report)
}

fn put_to_use_nowhere(settings: CertSettings) -> CertSettings {
    CertSettings {
        targets: Vec::new(),
        hooks: Hooks::default(),
        verify: Verify::default(),
        rollout: Rollout::default(),
        ..settings
    }
}
