//! The real binary, in an empty home.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Running;

/// An installation of the agent: a home of its own, and what it is told on every call.
pub struct Agent {
    home: TempDir,
    always: Vec<String>,
}

/// What a call came to.
#[derive(Debug)]
#[must_use]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Agent {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), always: Vec::new() }
    }

    /// Adds arguments to every call that can take them: behind the verb `issue`.
    pub fn with_ca<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.always.extend(args.into_iter().map(str::to_owned));
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.home().join(relative)
    }

    pub fn read(&self, relative: &str) -> String {
        let path = self.path(relative);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The command line, with an environment that holds nothing of the tester's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acmeagent"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.arg("--home").arg(self.home()).args(args).stdin(Stdio::null());
        if args.contains(&"issue") {
            command.args(&self.always);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs with `--json`; the document, and whatever else was printed, is in the result.
    pub fn json(&self, args: &[&str]) -> (Ran, Value) {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        let ran = self.run(&args);
        let document = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {ran:?}"));
        (ran, document)
    }

    pub fn spawn(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// The live pair as a server would load it: asserts that key and certificate belong together.
    #[track_caller]
    pub fn assert_live_pair(&self, name: &str) {
        let file = |file: &str| self.path(&format!("live/{name}/{file}"));
        let public = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {output:?}");
            output.stdout
        };
        let of_certificate = public(
            Command::new("openssl")
                .args(["x509", "-noout", "-pubkey", "-in"])
                .arg(file("fullchain.pem")),
        );
        let of_key = public(
            Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(file("privkey.pem")),
        );
        assert_eq!(of_certificate, of_key, "key and certificate of {name} do not match");
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code; shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Asserts that standard error says all of these.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "stderr lacks {text:?}: {self:#?}");
        }
        self
    }
}
