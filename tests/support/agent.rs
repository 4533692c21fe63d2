//! The real binary, in an empty home.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Running;
use super::ca::Ca;
use super::clock::{Clock, shift};

/// An installation of the agent: a home of its own, and what it is told on every call.
pub struct Agent {
    home: TempDir,
    always: Vec<String>,
    clock: Option<Clock>,
}

/// What a call came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Agent {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), always: Vec::new(), clock: None }
    }

    /// Orders at the CA with this directory, answering on the ports where it looks.
    pub fn ordering_at(directory: &str, tls_root: &Path, http_port: u16, tls_port: u16) -> Self {
        Self::new().with_ca([
            "--server",
            directory,
            "--ca-root",
            tls_root.to_str().unwrap(),
            "--agree-tos",
            "--http-01-port",
            &http_port.to_string(),
            "--tls-alpn-01-port",
            &tls_port.to_string(),
        ])
    }

    /// Adds arguments to every call that can take them: behind the verb `issue`.
    pub fn with_ca<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.always.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Lives in a new directory below that one, which belongs to this user. Only root can give it.
    pub fn living_below(self, folder: &Path, user: u32) -> Self {
        let home = tempfile::tempdir_in(folder).unwrap();
        std::os::unix::fs::chown(home.path(), Some(user), Some(user)).unwrap();
        Self { home, ..self }
    }

    /// Goes by that clock on every call.
    pub fn by(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Orders from the CA inside the process.
    pub fn embedded() -> Self {
        Self::new().with_ca(["--ca", "embedded"])
    }

    /// Writes settings that name these CAs, of which the first is the default, and say that each has
    /// the limits of Let's Encrypt. They must all look for answers at the same place.
    pub fn knows<const N: usize>(&self, cas: [(&str, &Ca); N]) {
        let mut text = String::from("[defaults]\n");
        let names = cas.map(|(name, _)| format!("{name:?}"));
        text += &format!("ca = [{}]\n[defaults.challenge]\n", names.join(", "));
        let (http_port, tls_port) = (cas[0].1.http_port, cas[0].1.tls_port);
        text += &format!("http-01-port = {http_port}\ntls-alpn-01-port = {tls_port}\n");
        for (name, ca) in cas {
            text += &format!(
                "[[ca]]\nname = {name:?}\ndirectory = {:?}\nroot = {:?}\nlimits = \"letsencrypt\"\n",
                ca.directory, ca.tls_root
            );
        }
        fs::write(self.path("acmeagent.toml"), text).unwrap();
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.home().join(relative)
    }

    pub fn read(&self, relative: &str) -> String {
        let path = self.path(relative);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// How many generations the archive holds.
    pub fn generations(&self, name: &str) -> usize {
        fs::read_dir(self.path(&format!("archive/{name}"))).map_or(0, Iterator::count)
    }

    /// How many certificates the embedded CA (or `drill ca`) in this home ever issued.
    pub fn issued(&self) -> usize {
        let ledger = fs::read_to_string(self.path("embedded-ca/ledger.jsonl")).unwrap_or_default();
        let records = ledger.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let serials = records.filter_map(|one| Some(one["certificate"]["serial"].as_str()?.into()));
        serials.collect::<std::collections::BTreeSet<String>>().len()
    }

    /// What the store remembers of a certificate.
    pub fn facts(&self, name: &str) -> Value {
        serde_json::from_str::<Value>(&self.read(&format!("state/{name}.json"))).unwrap()["body"]
            .take()
    }

    /// What was counted of all runs.
    pub fn tally(&self) -> Value {
        let text = self.read("state/tally");
        let mut lines = text.lines().skip(1);
        let mut counts: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        for (name, observed) in lines.map(|line| line.split_once(' ').unwrap()) {
            counts["certificates"][name] = serde_json::from_str(observed).unwrap();
        }
        counts
    }

    /// Every file of the home but locks and state, with its content: what a refusal may not touch.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.home().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let relative = path.strip_prefix(self.home()).unwrap().to_owned();
                if path.is_file() {
                    found.insert(relative, fs::read(path).unwrap());
                } else if !["locks", "state"].contains(&relative.to_str().unwrap()) {
                    folders.push(path);
                }
            }
        }
        found
    }

    /// The command line, with an environment that holds nothing of the tester's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acmeagent"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.arg("--home").arg(self.home()).args(args).stdin(Stdio::null());
        if args.contains(&"issue") {
            command.args(&self.always);
        }
        if let Some(clock) = &self.clock {
            clock.rule(&mut command);
        }
        command
    }

    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs as if the clock stood elsewhere, as in `+8 days`. Needs `faketime`.
    pub fn run_at(&self, when: &str, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        shift(&mut command, when);
        Ran::of(command.output().unwrap())
    }

    /// Runs with `--json`; the document, and whatever else was printed, is in the result.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> (Ran, Value) {
        self.run(&[&["--json"], args].concat()).with_document()
    }

    /// [`Self::json`] with the clock elsewhere, as in `+7h` or `@2027-01-01 00:00:00`.
    #[must_use]
    pub fn json_at(&self, when: &str, args: &[&str]) -> (Ran, Value) {
        self.run_at(when, &[&["--json"], args].concat()).with_document()
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

/// Another program with the environment of a command, to run that command within.
pub fn within(program: &str, command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.env_clear().stdin(Stdio::null());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn with_document(self) -> (Self, Value) {
        let document = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"));
        (self, document)
    }

    /// Asserts the exit code; shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Asserts that standard output shows all of these.
    #[track_caller]
    pub fn shows(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stdout.contains(text), "stdout lacks {text:?}: {self:#?}");
        }
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
