//! What a hook finds in its environment, and nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use crate::model::challenge::ChallengeKind;
use zeroize::Zeroizing;

use crate::model::name::{CertName, Identifier};
use crate::model::proof::Proof;

/// The whole environment of a hook: a fixed `PATH` and what is added here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HookEnv {
    variables: BTreeMap<String, OsString>,
    secrets: BTreeMap<String, Secret>,
}

/// The value of a variable that nobody but the program is to see.
#[derive(Clone, Eq, PartialEq)]
struct Secret(Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl HookEnv {
    pub(super) const PATH: &'static str =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// Longest list of names in one variable. Linux refuses a program whose environment holds a
    /// string of 128 KiB (`MAX_ARG_STRLEN`), its name and terminator counted.
    const LONGEST_LIST: usize = 128 * 1024 - 64;

    /// What is shorter, as in `TTL=60`, is no secret; to mask it would mask half of the output.
    const SHORTEST_SECRET: usize = 4;

    /// Names the lists that had to be cut short.
    const TRUNCATED: &'static str = "ACMEAGENT_TRUNCATED";

    /// Begins with the `PATH` in which bare program names are found.
    pub(crate) fn new() -> Self {
        Self { variables: BTreeMap::new(), secrets: BTreeMap::new() }.with("PATH", Self::PATH)
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

    /// Adds `ACMEAGENT_CHALLENGE`, the types that were used, and `ACMEAGENT_FALLBACK`, why those
    /// that would have come first did not do; both may be empty.
    pub(crate) fn proof(self, proof: &Proof) -> Self {
        let kinds: Vec<&str> = proof.kinds().into_iter().map(ChallengeKind::as_str).collect();
        self.with("ACMEAGENT_CHALLENGE", kinds.join(",")).with("ACMEAGENT_FALLBACK", proof.reason())
    }

    /// Adds `ACMEAGENT_JSON`, the path of a file with everything; the caller writes and removes it.
    pub(crate) fn json(self, path: &Path) -> Self {
        self.with("ACMEAGENT_JSON", path)
    }

    /// Adds a variable that a program's own convention asks for.
    pub(crate) fn variable(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.with(name, value)
    }

    /// Adds a variable whose value reads `***` in whatever the program prints.
    pub(crate) fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), Secret(Zeroizing::new(value.to_owned())));
        self
    }

    /// The variables; of two with the same name, the last one counts.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        let secrets = self.secrets.iter();
        let secrets = secrets.map(|(name, value)| (name.as_str(), OsStr::new(value.0.as_str())));
        let open = self.variables.iter();
        secrets.chain(open.map(|(name, value)| (name.as_str(), value.as_os_str())))
    }

    /// What must not be seen in the output, the longest first: the secret values, and each line of
    /// those with several, as a program may print them one by one.
    pub(super) fn unspeakable(&self) -> Vec<&str> {
        let values = self.secrets.values().map(|value| value.0.as_str());
        let mut parts: Vec<&str> = values
            .flat_map(|value| [value, value.trim()].into_iter().chain(value.lines()))
            .filter(|part| part.len() >= Self::SHORTEST_SECRET)
            .collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.dedup();
        parts
    }

    fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// Adds names separated by spaces; a list too long for the kernel ends at a whole name, and
    /// [`Self::TRUNCATED`] says so.
    fn with_list(self, variable: &str, identifiers: &[Identifier]) -> Self {
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
        let names = self.variables.entry(Self::TRUNCATED.to_owned()).or_default();
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
    use crate::model::proof::Setback;

    fn names(count: usize) -> Vec<Identifier> {
        (0..count).map(|n| Identifier::parse(&format!("host-{n}.example")).unwrap()).collect()
    }

    fn value<'a>(env: &'a HookEnv, name: &str) -> Option<&'a str> {
        env.variables.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn variables_are_those_of_the_contract() {
        let setback = Setback {
            identifier: None,
            challenge: ChallengeKind::Http01,
            error: "port 80\nis in use".to_owned(),
            spent: false,
        };
        let env = HookEnv::new()
            .certificate(&CertName::parse("a.example").unwrap(), Path::new("/live/a.example"))
            .generation(3, "abcd")
            .renewed(&names(2))
            .failed(&[Identifier::parse("::1").unwrap()])
            .proof(&Proof {
                by: [("a.example".to_owned(), ChallengeKind::Dns01)].into(),
                after: vec![setback],
            })
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
            ("ACMEAGENT_CHALLENGE", "dns-01"),
            ("ACMEAGENT_FALLBACK", "http-01 failed: port 80 is in use"),
            ("ACMEAGENT_JSON", "/run/x.json"),
        ];
        for (name, expected) in table {
            assert_eq!(value(&env, name), Some(expected), "{name}");
        }
        assert_eq!(env.variables.len(), table.len());
    }

    #[test]
    fn secrets_are_passed_on_and_never_shown() {
        let key = "-----BEGIN KEY-----\nMIGH\n-----END KEY-----\n";
        let env = HookEnv::new().secret("TOKEN", "hunter22").secret("KEY", key).secret("TTL", "60");
        let passed: Vec<_> = env.variables().map(|(name, _)| name).collect();
        assert_eq!(passed, ["KEY", "TOKEN", "TTL", "PATH"]);
        let shown = format!("{env:?}");
        assert!(!shown.contains("hunter22") && !shown.contains("MIGH"), "{shown}");
        let lines = ["-----BEGIN KEY-----", "-----END KEY-----", "hunter22", "MIGH"];
        assert_eq!(env.unspeakable(), [&[key, key.trim()], &lines[..]].concat());
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
