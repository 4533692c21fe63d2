//! Pre and post hooks: each program once per run, however many certificates want it.

use std::collections::BTreeSet;

use tokio::sync::Mutex;

use super::Agent;
use crate::config::cert::CertSettings;
use crate::hook::Hook;
use crate::model::event::Event;
use crate::model::name::{CertName, Identifier};
use crate::pipeline::{Cause, hooks};
use crate::store::layout::HookKind;
use crate::store::snapshot::KEEP;

/// What ran, what is to run at the end, and what the end is to be told.
#[derive(Default)]
pub(super) struct HooksOnce(Mutex<Record>);

#[derive(Default)]
struct Record {
    ran: Vec<Hook>,
    /// What failed, and how: it fails for every certificate that wants it.
    failed_before: Vec<(Hook, String)>,
    at_the_end: Vec<Hook>,
    renewed: BTreeSet<Identifier>,
    failed: BTreeSet<Identifier>,
}

impl Agent {
    /// Runs the pre hooks a certificate wants that did not run yet; others wait meanwhile.
    pub(super) async fn before_ordering(
        &self,
        name: &CertName,
        settings: &CertSettings,
    ) -> Result<(), Cause> {
        let mut record = self.hooks.0.lock().await;
        let layout = self.store().layout();
        for hook in hooks::of(layout, HookKind::Post, &settings.hooks.post)? {
            if !record.at_the_end.contains(&hook) {
                record.at_the_end.push(hook);
            }
        }
        for hook in hooks::of(layout, HookKind::Pre, &settings.hooks.pre)? {
            if let Some((_, why)) = record.failed_before.iter().find(|(failed, _)| *failed == hook)
            {
                return Err(Cause::PreHook { why: why.clone() });
            }
            if !record.ran.contains(&hook) {
                match hooks::pre(&hook).await {
                    Ok(report) => self.tell_output(name, &hook, &report.output),
                    Err(error) => {
                        record.failed_before.push((hook, error.to_string()));
                        return Err(error.into());
                    }
                }
                record.ran.push(hook);
            }
        }
        Ok(())
    }

    fn tell_output(&self, name: &CertName, hook: &Hook, output: &str) {
        if !output.is_empty() {
            let text = format!("{} printed: {}", hook.program(), output.trim_end());
            self.hands.sink.note(Event::Measured { name: name.clone(), text });
        }
    }

    pub(super) async fn after_ordering(&self, settings: &CertSettings, renewed: bool) {
        let mut record = self.hooks.0.lock().await;
        let names = if renewed { &mut record.renewed } else { &mut record.failed };
        names.extend(settings.identifiers.iter().cloned());
    }

    /// Ends a run: the post hooks of everything that was ordered, and fewer snapshots.
    ///
    /// Nothing of it changes what was reached; a failure is only told.
    pub(super) async fn after_all(&self, name: &CertName) {
        if let Err(error) = self.store().prune(KEEP) {
            let text = format!("old snapshots stay: {error}");
            self.hands.sink.note(Event::Noticed { name: name.clone(), text });
        }
        let record = std::mem::take(&mut *self.hooks.0.lock().await);
        let renewed: Vec<Identifier> = record.renewed.into_iter().collect();
        let failed: Vec<Identifier> = record.failed.into_iter().collect();
        for hook in &record.at_the_end {
            match hooks::post(hook, &renewed, &failed).await {
                Ok(report) => self.tell_output(name, hook, &report.output),
                Err(error) => {
                    let text = format!("post hook failed: {error}");
                    self.hands.sink.note(Event::Noticed { name: name.clone(), text });
                    self.tell_output(name, hook, error.output().unwrap_or_default());
                }
            }
        }
    }
}
