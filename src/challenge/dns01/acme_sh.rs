//! The `dns_*.sh` of acme.sh, run unchanged.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use super::credentials::Credentials;
use super::kind::Script;
use super::program::Programs;
use super::{DnsError, Zone};
use crate::hook::Hook;
use crate::hook::command::Command;
use crate::hook::directory::ensure_ours;
use crate::model::txt::Txt;

/// Calls `dns_NAME_add` and `dns_NAME_rm`, once for each record, in a shell of its own.
///
/// The functions they need are those of the acme.sh beside the script. It takes a folder that lasts
/// one call for its home: what it saves there, credentials among it, goes with it, and an acme.sh
/// that is installed is not touched.
pub(super) struct AcmeSh {
    programs: Programs,
    script: Script,
    /// Where acme.sh may be installed.
    places: Vec<PathBuf>,
}

/// What is run, found anew for each use: it may be updated meanwhile.
struct Found {
    /// What its functions begin with, as in `dns_cf`.
    name: String,
    script: PathBuf,
    library: Option<PathBuf>,
    shell: &'static str,
}

/// Where a file of credentials says acme.sh is installed.
const WORKING_DIR: &str = "LE_WORKING_DIR";
/// What a call has for itself.
const OURS: [&str; 4] = ["HOME", "LE_CONFIG_HOME", "TMPDIR", "LANG"];

/// The longest script that is read.
const LONGEST: u64 = 1024 * 1024;

/// Functions of acme.sh that scripts call most.
const FUNCTIONS: [&str; 20] = [
    "_post",
    "_get",
    "_info",
    "_err",
    "_debug",
    "_debug2",
    "_secure_debug",
    "_readaccountconf_mutable",
    "_saveaccountconf_mutable",
    "_saveaccountconf",
    "_readdomainconf",
    "_savedomainconf",
    "_contains",
    "_startswith",
    "_egrep_o",
    "_math",
    "_url_encode",
    "_base64",
    "_hmac",
    "_sleep",
];

impl AcmeSh {
    pub(super) fn new(
        label: &str,
        script: &Script,
        credentials: Credentials,
    ) -> Result<Self, DnsError> {
        let taken = credentials.keys().find(|name| OURS.contains(name));
        if let Some(name) = taken {
            let why = format!("{name} may not be set there");
            return Err(DnsError::Credentials { provider: label.to_owned(), why });
        }
        let programs = Programs::except(&[WORKING_DIR], label, &credentials)?;
        let home = User::from_uid(geteuid()).ok().flatten().map(|user| user.dir);
        let usual =
            ["/root/.acme.sh", "/opt/acme.sh", "/usr/share/acme.sh", "/usr/lib/acme/client"];
        let places = credentials.get(WORKING_DIR).map(PathBuf::from).into_iter();
        let mut places: Vec<PathBuf> = places
            .chain(home.map(|home| home.join(".acme.sh")))
            .chain(usual.map(PathBuf::from))
            .collect();
        places.dedup();
        Ok(Self { programs, script: script.clone(), places })
    }

    /// Finds the script, and the acme.sh whose functions it needs.
    fn find(&self) -> Result<Found, DnsError> {
        let script = match &self.script {
            Script::At(path) => path.clone(),
            Script::Named(name) => self.installed(name)?,
        };
        let unusable = |why: String| unusable(&script, why);
        let name = script.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if !is_name(&name) {
            return Err(unusable("it is not called dns_NAME.sh".to_owned()));
        }
        let text = read(&script).map_err(|error| unusable(error.to_string()))?;
        if !defines(&text, &format!("{name}_add")) {
            return Err(unusable(format!("it has no function {name}_add")));
        }
        let beside = script.ancestors().skip(1).take(2).map(Path::to_owned);
        let beside = beside.chain(self.places.iter().cloned()).map(|place| place.join("acme.sh"));
        let library = beside.into_iter().find(|path| path.is_file());
        if library.is_none()
            && let Some(function) = needed(&text)
        {
            return Err(unusable(format!("it needs {function} of acme.sh, and none is installed")));
        }
        for path in [Some(&script), library.as_ref()].into_iter().flatten() {
            ensure_ours(path).map_err(|source| self.programs.failed(source))?;
        }
        let shell = if wants_bash(&text) { "/bin/bash" } else { "/bin/sh" };
        Ok(Found { name, script, library, shell })
    }

    fn installed(&self, name: &str) -> Result<PathBuf, DnsError> {
        let file = format!("{name}.sh");
        let there = |place: &PathBuf| [place.join("dnsapi").join(&file), place.join(&file)];
        let candidates = self.places.iter().filter(|_| is_name(name)).flat_map(there);
        candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            let places: Vec<_> = self.places.iter().map(|place| place.to_string_lossy()).collect();
            let why = format!("it is in none of {}", places.join(", "));
            unusable(Path::new(&file), why)
        })
    }

    async fn tell(&self, action: &str, record: &Txt) -> Result<(), DnsError> {
        let found = self.find()?;
        let function = match action {
            "add" => format!("{}_add", found.name),
            _ => format!("{}_rm", found.name),
        };
        let home = home().map_err(|error| {
            unusable(&found.script, format!("there is no folder for its files: {error}"))
        })?;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let library = found.library.as_deref().map(path).unwrap_or_default();
        let zero = if library.is_empty() { path(&found.script) } else { library.clone() };
        let program = include_str!("acme_sh.sh").to_owned();
        let begin = [found.shell.to_owned(), "-c".to_owned(), program, zero, library];
        let rest = [path(&found.script), function, record.owner.clone(), record.value.clone()];
        let command = Command::new(begin.into_iter().chain(rest).collect())
            .map_err(|error| unusable(&found.script, error.to_string()))?;
        let env = ["HOME", WORKING_DIR, "LE_CONFIG_HOME", "TMPDIR"].iter();
        let env = env
            .fold(self.programs.env(action, record), |env, name| env.variable(name, home.path()));
        let env = env.variable("LANG", "C").variable("NO_TIMESTAMP", "1");
        let hook = Hook::from(&command).called(&found.script);
        self.programs.run(&hook, &env).await?;
        Ok(())
    }
}

/// A folder for one call, for us alone.
fn home() -> std::io::Result<TempDir> {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("acmeagent-").permissions(private).tempdir()
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn unusable(script: &Path, why: String) -> DnsError {
    let script = script.to_string_lossy().escape_debug().to_string();
    DnsError::Script { script, why: why.escape_debug().to_string() }
}

fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix("dns_").unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a shell script defines a function, by the one form of POSIX or that of ksh and bash.
fn defines(text: &str, function: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let keyword = line.strip_prefix("function ").map(str::trim_start);
        let rest = keyword.unwrap_or(line).strip_prefix(function);
        let rest = rest.map(str::trim_start);
        rest.is_some_and(|rest| rest.starts_with('(') || keyword.is_some() && rest.starts_with('{'))
    })
}

/// A function of acme.sh that a script calls and does not bring along.
fn needed(text: &str) -> Option<&'static str> {
    let is_code = |line: &&str| !line.trim_start().starts_with('#');
    let is_of_name = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let words = || text.lines().filter(is_code).flat_map(|line| line.split(|c| !is_of_name(c)));
    let is_called = |function: &&&str| words().any(|word| word == **function);
    FUNCTIONS.iter().filter(is_called).find(|function| !defines(text, function)).copied()
}

fn wants_bash(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.starts_with("#!") && first.contains("bash") && Path::new("/bin/bash").exists()
}

#[async_trait]
impl Zone for AcmeSh {
    fn label(&self) -> &str {
        self.programs.label()
    }

    fn needs_zone(&self) -> bool {
        false
    }

    async fn check(&self, _: &str) -> Result<(), DnsError> {
        self.find().map(drop)
    }

    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        for record in records {
            self.tell("add", record).await?;
        }
        Ok(())
    }

    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        let mut first = Ok(());
        for record in records {
            first = first.and(self.tell("remove", record).await);
        }
        first
    }
}

#[cfg(test)]
mod tests;
