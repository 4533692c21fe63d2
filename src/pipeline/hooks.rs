//! Which programs of the operator run when, and what they are told.

use crate::hook::command::Command;
use crate::hook::directory::{DirectoryError, directory};
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, HookError, HookReport, run};
use crate::model::name::Identifier;
use crate::store::layout::{HookKind, Layout};

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
