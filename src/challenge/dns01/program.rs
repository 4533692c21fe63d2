//! Programs that are handed the credentials as variables of their environment.

use super::DnsError;
use super::credentials::Credentials;
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, HookError, HookReport, consult, run};
use crate::model::txt::Txt;

/// Runs programs. That they run one at a time, [`super::Turns`] sees to.
pub(super) struct Programs {
    label: String,
    env: HookEnv,
}

impl Programs {
    /// Takes the credentials as variables; refuses names with which a file of credentials would
    /// decide what runs, or that the contracts use themselves.
    pub(super) fn new(label: &str, credentials: &Credentials) -> Result<Self, DnsError> {
        Self::except(&[], label, credentials)
    }

    /// As [`Self::new`], without some of the credentials.
    pub(super) fn except(
        left_out: &[&str],
        label: &str,
        credentials: &Credentials,
    ) -> Result<Self, DnsError> {
        let mut env = HookEnv::new();
        for name in credentials.keys().filter(|name| !left_out.contains(name)) {
            let unusable = |why: &str| DnsError::Credentials {
                provider: label.to_owned(),
                why: format!("{} {why}", name.escape_debug()),
            };
            if !is_name(name) {
                return Err(unusable("is no name of a variable"));
            }
            if is_taken(name) {
                return Err(unusable("may not be set there"));
            }
            let value = credentials.get(name).unwrap_or_default();
            if value.contains('\0') {
                return Err(unusable("holds a NUL character"));
            }
            env = env.secret(name, value);
        }
        Ok(Self { label: label.to_owned(), env })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// The environment for one record: what every contract has beside its own.
    pub(super) fn env(&self, action: &str, record: &Txt) -> HookEnv {
        let env = self.env.clone();
        env.variable("ACMEAGENT_ACTION", action)
            .variable("ACMEAGENT_ASKED", &record.asked)
            .variable("ACMEAGENT_IDENTIFIER", record.identifier.to_string())
            .variable("ACMEAGENT_ZONE", &record.apex)
    }

    pub(super) async fn run(&self, hook: &Hook, env: &HookEnv) -> Result<HookReport, DnsError> {
        run(hook, env).await.map_err(|source| self.failed(source))
    }

    /// Runs a program for what it prints on standard output.
    pub(super) async fn consult(&self, hook: &Hook, env: &HookEnv) -> Result<Vec<u8>, DnsError> {
        let (answer, _) = consult(hook, env).await.map_err(|source| self.failed(source))?;
        Ok(answer)
    }

    /// Refuses a program that could not be started; runs nothing.
    pub(super) fn check(&self, hook: &Hook) -> Result<(), DnsError> {
        hook.check().map_err(|source| self.failed(source))
    }

    pub(super) fn failed(&self, source: HookError) -> DnsError {
        DnsError::Program { provider: self.label.clone(), source: Box::new(source) }
    }
}

/// The domain by which certbot's hooks know a record; `None` for one they cannot know.
pub(super) fn domain(record: &Txt) -> Option<&str> {
    record.asked.strip_prefix("_acme-challenge.")
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_');
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What loaders, shells and interpreters act on before the program does, and what we set.
fn is_taken(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "PATH",
        "IFS",
        "ENV",
        "BASH_ENV",
        "BASHOPTS",
        "SHELLOPTS",
        "PS4",
        "CDPATH",
        "PERL5OPT",
        "PERL5LIB",
        "RUBYOPT",
        "NODE_OPTIONS",
    ];
    const BEGINNINGS: [&str; 6] =
        ["LD_", "DYLD_", "PYTHON", "BASH_FUNC_", "ACMEAGENT_", "CERTBOT_"];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::PathBuf;

    use async_trait::async_trait;

    use super::*;
    use crate::challenge::dns01::conformance::{Bed, txt, value};
    use crate::hook::command::Command;
    use crate::hook::tests::Programs as Folder;

    /// A folder in which `log` is what programs were told and `zone` what they wrote, a line for
    /// each record: its name and its value.
    pub(in super::super) struct Desk(pub(in super::super) Folder);

    impl Desk {
        pub(in super::super) fn new() -> Self {
            Self(Folder::new())
        }

        /// Writes a program that begins in the folder, and knows `put` and `drop`, which edit it.
        pub(in super::super) fn program(&self, name: &str, text: &str) -> Command {
            let path = self.0.path(name);
            let folder = self.0.path("");
            let text = format!(
                "#!/bin/sh\nset -eu\numask 022\ncd '{}'\ntouch zone\n\
                 put() {{ grep -qxF -e \"$1 $2\" zone || printf '%s %s\\n' \"$1\" \"$2\" >>zone; }}\n\
                 drop() {{ grep -vxF -e \"$1 $2\" zone >rest || :; mv rest zone; }}\n{text}\n",
                folder.display()
            );
            let _ = self.0.add(name, "755", &text);
            Command::new(vec![path.display().to_string()]).unwrap()
        }

        pub(in super::super) fn path(&self, name: &str) -> PathBuf {
            self.0.path(name)
        }

        pub(in super::super) fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.path(name)).unwrap_or_default()
        }
    }

    #[async_trait]
    impl Bed for Desk {
        fn apex(&self) -> String {
            "example.com".to_owned()
        }

        async fn served(&mut self, owner: &str) -> Vec<String> {
            let zone = self.read("zone");
            let records = zone.lines().filter_map(|line| line.split_once(' '));
            let values = records.filter(|(name, _)| name.trim_end_matches('.') == owner);
            values.map(|(_, value)| value.to_owned()).collect()
        }

        #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
        async fn plant(&mut self, owner: &str, value: &str) {
            let zone = self.read("zone") + owner + " " + value + "\n";
            fs::write(self.path("zone"), zone).unwrap();
        }
    }

    pub(in super::super) fn credentials(text: &str) -> Credentials {
        Credentials::parse(text).unwrap()
    }

    /// What went wrong with a program, and what it had printed.
    pub(in super::super) fn source(error: &DnsError) -> &HookError {
        match error {
            DnsError::Program { source, .. } => source,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn variables_that_decide_what_runs_are_refused() {
        let taken = ["PATH", "LD_PRELOAD", "IFS", "BASH_ENV", "ENV", "PYTHONPATH", "CERTBOT_TOKEN"];
        let odd = ["\"\"", "\"1A\"", "\"A-B\"", "\"a b\"", "\"A\\nB\"", "\"ä\""];
        for name in taken.iter().chain(&odd) {
            let error = Programs::new("exec:x", &credentials(&format!("{name} = \"secret77\"")));
            let Err(DnsError::Credentials { why, .. }) = error else { panic!("{name}") };
            assert!(!why.contains("secret77") && !why.contains('\n'), "{why}");
        }
        for name in ["HOME", "CF_Token", "_x", "HTTPS_PROXY", "ENVIRONMENT"] {
            assert!(Programs::new("x", &credentials(&format!("{name} = \"1\""))).is_ok(), "{name}");
        }
        assert!(Programs::new("x", &credentials("A = \"a\\u0000b\"")).is_err());
    }

    #[test]
    fn domains_are_those_of_dns_01() {
        let record = txt("example.com", "a", &value(1));
        assert_eq!(domain(&record), Some("a.example.com"));
        let asked = "_rhuccyogo34zlvsj._acme-challenge.example.com".to_owned();
        assert_eq!(domain(&Txt { asked, ..record }), None);
    }
}
