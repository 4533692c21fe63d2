//! nginx: tested before and after the switch, told to reload, waited for until its new workers
//! serve.
//!
//! nginx that does not run is no reason to keep a certificate from it: it will read what is live
//! when it starts. Then its configuration is tested, and that is all.

pub(crate) mod configuration;
mod listening;
mod process;
pub(crate) mod program;
mod reload;
mod syntax;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use self::configuration::Configuration;
use self::process::Master;
use self::program::{Compiled, Tested};
use self::reload::Unserved;
use super::mention::Part;
use super::{Delivery, Target, TargetError, Told, files, readable};
use crate::hook::HookError;
use crate::model::endpoint::Endpoint;
use crate::model::traffic::Share;

/// Which nginx, where it is not the machine's only one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settings {
    /// An absolute path; without it, `nginx` in the fixed `PATH` of hooks.
    pub(crate) program: Option<PathBuf>,
    /// What `nginx -c` gets: the file the configuration begins with.
    pub(crate) config: Option<PathBuf>,
    /// What `nginx -p` gets.
    pub(crate) prefix: Option<PathBuf>,
    /// The file with the master's number, where the configuration does not tell.
    pub(crate) pid: Option<PathBuf>,
}

/// An nginx of this machine.
pub(crate) struct Nginx {
    settings: Settings,
    label: String,
}

/// What there is to know of it before it is touched.
struct Bearings {
    tested: Tested,
    configuration: Configuration,
    error_log: PathBuf,
    /// `None` where it does not run.
    master: Option<Master>,
}

impl Nginx {
    pub(crate) fn new(label: String, settings: Settings) -> Self {
        Self { settings, label }
    }

    fn refused(&self, what: impl Into<String>, output: &str, hint: Option<String>) -> TargetError {
        TargetError::Refused {
            target: self.label.clone(),
            what: what.into(),
            output: output.to_owned(),
            hint,
        }
    }

    async fn bearings(&self) -> Result<Bearings, TargetError> {
        let unanswered = |error| match error {
            HookError::TimedOut { limit, .. } => {
                let target = self.label.clone();
                TargetError::TimedOut {
                    target,
                    what: "its test of the configuration",
                    after: limit,
                }
            }
            error => error.into(),
        };
        let tested = program::test(&self.settings).await.map_err(unanswered)?;
        let main = tested.main_file();
        let configuration = main.map(|main| configuration::read(&main)).unwrap_or_default();
        let compiled = Compiled::of(&self.settings).await.map_err(unanswered)?;
        let pid = self.settings.pid.clone();
        let pid = pid.unwrap_or_else(|| compiled.pid(configuration.pid.as_deref()));
        let error_log = compiled.error_log(configuration.error_log.as_deref());
        Ok(Bearings { tested, configuration, error_log, master: Master::find(&pid) })
    }

    /// Refuses what nginx refuses; `when` continues "your configuration".
    fn check(&self, tested: &Tested, when: &str) -> Result<(), TargetError> {
        if tested.is_good {
            return Ok(());
        }
        let complaint = tested.complaint().map(|text| format!(": {text}")).unwrap_or_default();
        let words = program::argv(&self.settings, "-t");
        let command = words.join(OsStr::new(" ")).to_string_lossy().escape_debug().to_string();
        let hint = Some(format!("`{command}` shows it"));
        Err(self.refused(format!("{when}{complaint}"), &tested.output, hint))
    }

    /// Refuses where the master would not find out, or could not read what it is told to.
    fn check_master(&self, bearings: &Bearings, delivery: &Delivery) -> Result<(), TargetError> {
        let Some(master) = &bearings.master else { return Ok(()) };
        let pid = master.pid();
        if master.look().is_some_and(|now| now.is_stopped()) {
            let what = format!("its master process {pid} is stopped, and would not reload");
            return Err(self.refused(what, "", Some(format!("kill -CONT {pid}"))));
        }
        if !master.may_be_told() {
            let what = format!("this user may not signal its master process {pid}");
            let hint = "let the agent run as root, or as the user nginx was started by";
            return Err(self.refused(what, "", Some(hint.to_owned())));
        }
        let names_key = |path: &Path| leads_into(path, &delivery.live_dir);
        let mut mentions = bearings.configuration.mentions.iter();
        match mentions.any(|one| one.part == Part::Key && names_key(&one.path)) {
            true => self.check_reading(master, delivery),
            false => Ok(()),
        }
    }

    fn check_reading(&self, master: &Master, delivery: &Delivery) -> Result<(), TargetError> {
        readable::check(master.pid(), delivery).map_err(|unreadable| {
            let what = format!("its master process {unreadable}");
            self.refused(what, "", Some(unreadable.hint))
        })
    }

    async fn reload(&self, master: &Master, error_log: &Path) -> Result<(), TargetError> {
        let target = || self.label.clone();
        match reload::reload(master, error_log).await {
            Ok(()) => Ok(()),
            Err(Unserved::Untold(source)) => {
                let what = format!("tell the master process {} to reload", master.pid());
                Err(TargetError::Io { target: target(), what, source })
            }
            Err(Unserved::Ended) => Err(self.refused("it ended when told to reload", "", None)),
            Err(Unserved::Refused { complaint }) => {
                let what = format!("it stays with its old configuration: {complaint}");
                Err(self.refused(what, &complaint, None))
            }
            Err(Unserved::TimedOut { .. }) if master.look().is_some_and(|now| now.is_stopped()) => {
                let pid = master.pid();
                let what = format!("its master process {pid} is stopped, and does not reload");
                Err(self.refused(what, "", Some(format!("kill -CONT {pid}"))))
            }
            Err(Unserved::TimedOut { after }) => {
                Err(TargetError::TimedOut { target: target(), what: "its reload", after })
            }
        }
    }
}

/// Whether a path of a configuration is one of a live directory, by whatever links.
fn leads_into(path: &Path, live_dir: &Path) -> bool {
    files::resolved(path).starts_with(files::resolved(live_dir))
}

#[async_trait]
impl Target for Nginx {
    fn label(&self) -> &str {
        &self.label
    }

    async fn stage(&self, delivery: &Delivery) -> Result<(), TargetError> {
        let bearings = self.bearings().await?;
        // What is missing or broken in live is what the switch brings.
        let blamed = bearings.tested.blamed();
        if !blamed.is_some_and(|path| leads_into(path, &delivery.live_dir)) {
            self.check(&bearings.tested, "your configuration was broken before this renewal")?;
        }
        self.check_master(&bearings, delivery)
    }

    async fn activate(&self, delivery: &Delivery, _: Share) -> Result<Told, TargetError> {
        let bearings = self.bearings().await?;
        self.check(&bearings.tested, "it refuses its configuration with what is live now")?;
        let mut told = Vec::from([bearings.tested.warnings()]);
        match &bearings.master {
            Some(master) => self.reload(master, &bearings.error_log).await?,
            None => {
                told.push("nginx does not run; it reads what is live when it starts".to_owned())
            }
        }
        let certificates = bearings.configuration.servers.iter().flat_map(|one| &one.certificates);
        if !certificates.into_iter().any(|path| leads_into(path, &delivery.live_dir)) {
            let live = delivery.live_dir.display();
            told.push(format!("no server of nginx names a certificate in {live}"));
        }
        told.retain(|line| !line.is_empty());
        Ok(Told { output: told.join("\n") })
    }

    async fn endpoints(&self, delivery: &Delivery) -> Vec<Endpoint> {
        let Ok(tested) = program::test(&self.settings).await else { return Vec::new() };
        let Some(main) = tested.main_file() else { return Vec::new() };
        let servers = configuration::read(&main).servers;
        listening::endpoints(&servers, &delivery.identifiers, |path| {
            leads_into(path, &delivery.live_dir)
        })
    }
}

#[cfg(test)]
mod tests;
