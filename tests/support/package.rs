//! The packages, made of the program that is tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::tools;

/// The release the tests were built as, which is what is packaged: another build costs minutes.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };
const BUILT: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// Quickly made.
const DEB: [&str; 4] = ["--no-build", "--offline", "--locked", "--fast"];
const RPM: [&str; 2] = ["--payload-compress", "none"];

/// A package in a folder of its own.
pub struct Package {
    pub file: PathBuf,
    _folder: TempDir,
}

impl Package {
    /// As `make package` makes it, but for how it is built and compressed.
    pub fn deb() -> Self {
        Self::made("deb", &DEB, "acmeagent.deb")
    }

    /// The same again, as of a version yet to come.
    pub fn newer_deb() -> Self {
        Self::made("deb", &[&DEB[..], &["--deb-version", "99.0.0-1"]].concat(), "newer.deb")
    }

    pub fn rpm() -> Self {
        Self::made("generate-rpm", &RPM, "acmeagent.rpm")
    }

    /// The same again, as of a version yet to come.
    pub fn newer_rpm() -> Self {
        let version = ["--set-metadata", "version = \"99.0.0\""];
        Self::made("generate-rpm", &[&RPM[..], &version].concat(), "newer.rpm")
    }

    fn made(tool: &str, arguments: &[&str], name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        // What helps to debug the program is most of it, and would be packed and unpacked each time.
        let target = folder.path().join("target");
        let program = target.join(BUILT).join("acmeagent");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_acmeagent"));
        assert!(strip.status().unwrap().success());
        let program = tools::find(&format!("cargo-{tool}")).unwrap();
        let mut command = Command::new(program);
        command.arg(tool).args(["--profile", PROFILE]).args(arguments).arg("--output").arg(&file);
        command
            .env("CARGO_TARGET_DIR", &target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { file, _folder: folder }
    }

    /// Puts it into a folder.
    pub fn copy_to(&self, folder: &Path) {
        fs::copy(&self.file, folder.join(self.file.file_name().unwrap())).unwrap();
    }
}
