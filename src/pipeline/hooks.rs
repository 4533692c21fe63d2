//! Which programs of the operator run when, and what they are told.

use std::path::PathBuf;

use crate::deploy::hook::command::Command;
use crate::deploy::hook::directory::{DirectoryError, directory};
use crate::deploy::hook::environment::HookEnv;
use crate::deploy::hook::{Hook, HookError, HookReport, run};
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::store::archive::Meta;
use crate::store::layout::{HookKind, Layout, file};

/// What a deploy hook is told of.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) name: CertName,
    pub(crate) live_dir: PathBuf,
    pub(crate) generation: Generation,
    pub(crate) meta: Meta,
}

/// Runs a deploy hook with certbot's environment and ours; everything else stands in `meta.json`.
pub(crate) async fn deploy(hook: &Hook, renewed: &Renewed) -> Result<HookReport, HookError> {
    let env = HookEnv::new()
        .certificate(&renewed.name, &renewed.live_dir)
        .generation(renewed.generation.number(), &renewed.meta.fingerprint)
        .renewed(&renewed.meta.identifiers)
        .json(&renewed.live_dir.join(file::META));
    run(hook, &env).await
}

/// Runs a hook before the first order of a run.
pub(crate) async fn pre(hook: &Hook) -> Result<HookReport, HookError> {
    run(hook, &HookEnv::new()).await
}

/// Runs a hook after the last order of a run, with what became of it.
pub(crate) async fn post(
    hook: &Hook,
    renewed: &[Identifier],
    failed: &[Identifier],
) -> Result<HookReport, HookError> {
    run(hook, &HookEnv::new().renewed(renewed).failed(failed)).await
}

/// The hooks of one kind: the directory's in byte order, then those of the settings.
pub(crate) fn of(
    layout: &Layout,
    kind: HookKind,
    commands: &[Command],
) -> Result<Vec<Hook>, DirectoryError> {
    let mut hooks = directory(&layout.hooks(kind))?;
    hooks.extend(commands.iter().map(Hook::from));
    Ok(hooks)
}
