//! nginx: what it says of its configuration itself, and the files that names.

use std::path::{Path, PathBuf};

use crate::deploy::mention::Mention;
use crate::deploy::nginx::{Settings, configuration, program};

/// What nginx of this machine is configured with.
#[derive(Debug, Default)]
pub(super) struct Nginx {
    /// Why it would not start, or not reload.
    pub(super) complaint: Option<String>,
    pub(super) mentions: Vec<Mention>,
}

/// Asks the nginx in `PATH` for its configuration; `None` where there is none.
///
/// The files are read here: nginx prints them only when it accepts them.
pub(super) async fn examine() -> Option<Nginx> {
    let settings = Settings { program: in_path(), ..Settings::default() };
    let said = program::test(&settings).await.ok()?;
    let main = said.main_file()?;
    let complaint = said.complaint().filter(|text| !text.contains("(13: Permission denied)"));
    let mentions = configuration::read(&main).mentions;
    Some(Nginx { complaint: complaint.map(str::to_owned), mentions })
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&path).map(|dir| dir.join("nginx"));
    programs.find(|program| program.is_absolute() && Path::is_file(program))
}
