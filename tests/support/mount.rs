//! Mounted file systems, gone with the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::tools;

/// Something mounted; taken away when dropped.
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts with these arguments of `mount`; `None` where this machine does not allow it.
    pub fn new(args: &[&str], at: &Path) -> Option<Self> {
        let allowed = tools::is_root() && mount(args, at);
        if !allowed {
            tools::cannot_run("mounting needs root and a kernel that allows it");
        }
        allowed.then(|| Self { at: at.to_owned() })
    }

    /// Changes how it is mounted.
    #[track_caller]
    pub fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.at), "{options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A program that another test is just starting may still hold what was open here.
        for _ in 0..500 {
            let mut umount = Command::new("umount");
            if umount.arg(&self.at).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(args).arg(at).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success())
}
