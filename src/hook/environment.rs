//! What a hook finds in its environment, and nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::model::name::{CertName, Identifier};

/// The whole environment of a hook: a fixed `PATH` and what is added here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HookEnv {
    variables: BTreeMap<&'static str, OsString>,
}

impl HookEnv {
    pub(super) const PATH: &'static str =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// Longest list of names in one variable. Linux refuses a program whose environment holds a
    /// string of 128 KiB (`MAX_ARG_STRLEN`), its name and terminator counted.
    const LONGEST_LIST: usize = 128 * 1024 - 64;

    /// Names the lists that had to be cut short.
    const TRUNCATED: &'static str = "ACMEAGENT_TRUNCATED";

    /// Begins with the `PATH` in which bare program names are found.
    pub(crate) fn new() -> Self {
        Self { variables: BTreeMap::new() }.with("PATH", Self::PATH)
    }

    /// Adds `ACMEAGENT_NAME`, `ACMEAGENT_LIVE_DIR` and certbot's `RENEWED_LINEAGE`.
    pub(crate) fn certificate(self, name: &CertName, live_dir: &Path) -> Self {
        self.with("ACMEAGENT_NAME", name.as_str())
            .with("ACMEAGENT_LIVE_DIR", live_dir)
            .with("RENEWED_LINEAGE", live_dir)
    }

    /// Adds `ACMEAGENT_GENERATION` and `ACMEAGENT_FINGERPRINT` (SHA-256 of the leaf, hex).
    pub(crate) fn generation(self, number: u32, fingerprint: &str) -> Self {
        self.with("ACMEAGENT_GENERATION", number.to_string())
            .with("ACMEAGENT_FINGERPRINT", fingerprint)
    }

    /// Adds certbot's `RENEWED_DOMAINS`.
    pub(crate) fn renewed(self, identifiers: &[Identifier]) -> Self {
        self.with_list("RENEWED_DOMAINS", identifiers)
    }

    /// Adds certbot's `FAILED_DOMAINS`.
    pub(crate) fn failed(self, identifiers: &[Identifier]) -> Self {
        self.with_list("FAILED_DOMAINS", identifiers)
    }

    /// Adds `ACMEAGENT_JSON`, the path of a file with everything; the caller writes and removes it.
    pub(crate) fn json(self, path: &Path) -> Self {
        self.with("ACMEAGENT_JSON", path)
    }

    /// The variables, by name.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_os_str()))
    }

    fn with(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name, value.as_ref().to_owned());
        self
    }

    /// Adds names separated by spaces; a list too long for the kernel ends at a whole name, and
    /// [`Self::TRUNCATED`] says so.
    fn with_list(self, variable: &'static str, identifiers: &[Identifier]) -> Self {
        let mut list = String::new();
        for identifier in identifiers {
            let name = identifier.to_string();
            if list.len() + 1 + name.len() > Self::LONGEST_LIST {
                return self.with(variable, list).truncated(variable);
            }
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(&name);
        }
        self.with(variable, list)
    }

    fn truncated(mut self, variable: &str) -> Self {
        let names = self.variables.entry(Self::TRUNCATED).or_default();
        if !names.is_empty() {
            names.push(" ");
        }
        names.push(variable);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<Identifier> {
        (0..count).map(|n| Identifier::parse(&format!("host-{n}.example")).unwrap()).collect()
    }

    fn value<'a>(env: &'a HookEnv, name: &str) -> Option<&'a str> {
        env.variables.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn variables_are_those_of_the_contract() {
        let env = HookEnv::new()
            .certificate(&CertName::parse("a.example").unwrap(), Path::new("/live/a.example"))
            .generation(3, "abcd")
            .renewed(&names(2))
            .failed(&[Identifier::parse("::1").unwrap()])
            .json(Path::new("/run/x.json"));
        let table = [
            ("PATH", HookEnv::PATH),
            ("RENEWED_LINEAGE", "/live/a.example"),
            ("RENEWED_DOMAINS", "host-0.example host-1.example"),
            ("FAILED_DOMAINS", "::1"),
            ("ACMEAGENT_NAME", "a.example"),
            ("ACMEAGENT_LIVE_DIR", "/live/a.example"),
            ("ACMEAGENT_GENERATION", "3"),
            ("ACMEAGENT_FINGERPRINT", "abcd"),
            ("ACMEAGENT_JSON", "/run/x.json"),
        ];
        for (name, expected) in table {
            assert_eq!(value(&env, name), Some(expected), "{name}");
        }
        assert_eq!(env.variables.len(), table.len());
    }

    #[test]
    fn lists_end_at_a_whole_name_before_the_kernels_limit() {
        let (few, many) = (names(2000), names(20_000));
        let whole = HookEnv::new().renewed(&few);
        assert!(value(&whole, "RENEWED_DOMAINS").unwrap().len() > 32_000);
        assert_eq!(value(&whole, HookEnv::TRUNCATED), None);

        let cut = HookEnv::new().renewed(&many).failed(&many);
        let list = value(&cut, "RENEWED_DOMAINS").unwrap();
        assert!(list.len() < 128 * 1024 && list.len() > 127 * 1024);
        let last = list.rsplit(' ').next().unwrap();
        assert!(many.iter().any(|name| name.to_string() == last), "{last}");
        assert_eq!(value(&cut, HookEnv::TRUNCATED), Some("RENEWED_DOMAINS FAILED_DOMAINS"));
    }
}
