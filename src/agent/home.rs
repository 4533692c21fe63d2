//! Where settings and store lie.

use std::path::{Path, PathBuf};

use crate::store::layout::Layout;

/// What the process was started with, as far as it decides about places.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) root: bool,
    pub(crate) cwd: PathBuf,
    pub(crate) home: Option<PathBuf>,
    pub(crate) xdg_config: Option<PathBuf>,
    pub(crate) xdg_state: Option<PathBuf>,
}

impl Surroundings {
    /// Reads them from the process.
    pub(crate) fn of_process() -> std::io::Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        Ok(Self {
            root: nix::unistd::geteuid().is_root(),
            cwd: std::env::current_dir()?,
            home: absolute("HOME"),
            xdg_config: absolute("XDG_CONFIG_HOME"),
            xdg_state: absolute("XDG_STATE_HOME"),
        })
    }
}

/// The layout for `--home`, else the system's places for root, else those of the XDG specification.
///
/// `None` when nothing tells where a user's files belong.
pub(crate) fn layout(home: Option<&Path>, around: &Surroundings) -> Option<Layout> {
    if let Some(home) = home {
        return Some(Layout::in_home(&around.cwd.join(home).components().collect::<PathBuf>()));
    }
    if around.root {
        return Some(Layout::split("/etc/acmeagent".into(), "/var/lib/acmeagent".into()));
    }
    let under_home = |path| around.home.as_ref().map(|home| home.join(path));
    let config = around.xdg_config.clone().or_else(|| under_home(".config"))?;
    let state = around.xdg_state.clone().or_else(|| under_home(".local/state"))?;
    Some(Layout::split(config.join("acmeagent"), state.join("acmeagent")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(root: bool) -> Surroundings {
        Surroundings {
            root,
            cwd: "/work dir".into(),
            home: Some("/home/me".into()),
            xdg_config: None,
            xdg_state: Some("/state".into()),
        }
    }

    #[test]
    fn places() {
        let split = |config: &str, store: &str| Some(Layout::split(config.into(), store.into()));
        let home = Path::new("./try");
        assert_eq!(layout(Some(home), &around(true)), split("/work dir/try", "/work dir/try"));
        assert_eq!(layout(None, &around(true)), split("/etc/acmeagent", "/var/lib/acmeagent"));
        assert_eq!(
            layout(None, &around(false)),
            split("/home/me/.config/acmeagent", "/state/acmeagent")
        );
        let nowhere = Surroundings { home: None, ..around(false) };
        assert_eq!(layout(None, &nowhere), None);
    }
}
