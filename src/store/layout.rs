//! Where everything lies: every path of the settings and the store, and nothing that touches them.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::model::generation::{Generation, SnapshotId};
use crate::model::name::CertName;
use crate::model::time::Timestamp;

/// When a hook directory is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HookKind {
    Pre,
    Deploy,
    Post,
}

impl HookKind {
    pub(crate) const ALL: [Self; 3] = [Self::Pre, Self::Deploy, Self::Post];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Deploy => "deploy",
            Self::Post => "post",
        }
    }
}

/// A name of ours that is safe as a file name: a CA, an account.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Label(String);

impl Label {
    const LONGEST: usize = 128;

    /// Takes 1 to 128 characters of `a-z 0-9 . - _` that do not begin with `.` or `-`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        let fits = (1..=Self::LONGEST).contains(&text.len()) && !text.starts_with(['.', '-']);
        (fits && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// Makes one of any text: different for different texts, and readable as far as that goes.
    pub(crate) fn of(text: &str) -> Self {
        const READABLE: usize = 64;
        const TELLING: usize = 16;
        let plain = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') => c,
            _ => '-',
        };
        let begun = text.trim_start_matches(|c| plain(c) == '-' || c == '.');
        let readable: String = begun.chars().take(READABLE).map(plain).collect();
        let sum = digest::digest(&digest::SHA256, text.as_bytes());
        let sum = HEXLOWER.encode(&sum.as_ref()[..TELLING]);
        Self(if readable.is_empty() { sum } else { format!("{readable}-{sum}") })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file of the history: of the year in which it was begun, and which of those; in their order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct HistoryPart {
    pub(crate) year: u16,
    /// Counted from 1, of which the name says nothing.
    pub(crate) number: u32,
}

impl HistoryPart {
    fn file_name(self) -> String {
        let Self { year, number } = self;
        match number {
            1 => format!("{year:04}.jsonl"),
            _ => format!("{year:04}-{number}.jsonl"),
        }
    }

    /// Reads back a file name of the history, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(".jsonl")?;
        let (year, number) = stem.split_once('-').unwrap_or((stem, "1"));
        let part = Self { year: year.parse().ok()?, number: number.parse().ok()? };
        (part.number > 0 && part.file_name() == text).then_some(part)
    }
}

/// The two roots everything lies under: one of settings, one of facts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Layout {
    config: PathBuf,
    store: PathBuf,
}

impl Layout {
    /// Settings and store in one directory, as with `--home`. The path should be absolute.
    pub(crate) fn in_home(home: &Path) -> Self {
        Self::split(home.to_owned(), home.to_owned())
    }

    /// Settings in one place, the store in another, as when packaged.
    pub(crate) fn split(config: PathBuf, store: PathBuf) -> Self {
        Self { config, store }
    }

    pub(crate) fn config_root(&self) -> &Path {
        &self.config
    }

    pub(crate) fn store_root(&self) -> &Path {
        &self.store
    }

    pub(crate) fn main_settings(&self) -> PathBuf {
        self.config.join("acmeagent.toml")
    }

    pub(crate) fn certificates_dir(&self) -> PathBuf {
        self.config.join("certificates")
    }

    pub(crate) fn settings(&self, name: &CertName) -> PathBuf {
        self.certificates_dir().join(format!("{name}.toml"))
    }

    /// The operator's programs; they lie with the settings.
    pub(crate) fn hooks_dir(&self) -> PathBuf {
        self.config.join("hooks")
    }

    pub(crate) fn hooks(&self, kind: HookKind) -> PathBuf {
        self.hooks_dir().join(kind.as_str())
    }

    /// Where the embedded CA keeps its keys and roots.
    pub(crate) fn embedded_ca(&self) -> PathBuf {
        self.store.join("embedded-ca")
    }

    pub(crate) fn accounts_dir(&self) -> PathBuf {
        self.store.join("accounts")
    }

    pub(crate) fn accounts(&self, ca: &Label) -> PathBuf {
        self.accounts_dir().join(ca.as_str())
    }

    pub(crate) fn account(&self, ca: &Label, id: &Label) -> PathBuf {
        self.accounts(ca).join(format!("{id}.json"))
    }

    pub(crate) fn archive_dir(&self) -> PathBuf {
        self.store.join("archive")
    }

    pub(crate) fn archive(&self, name: &CertName) -> PathBuf {
        self.archive_dir().join(name.as_str())
    }

    pub(crate) fn generation(&self, name: &CertName, generation: Generation) -> PathBuf {
        self.archive(name).join(generation_folder(generation))
    }

    pub(crate) fn live_dir(&self) -> PathBuf {
        self.store.join("live")
    }

    /// The directory servers read: certbot's four file names and `meta.json`.
    pub(crate) fn live(&self, name: &CertName) -> PathBuf {
        self.live_dir().join(name.as_str())
    }

    /// The coming `live` directory, and after the exchange the one that was.
    pub(crate) fn live_next(&self, name: &CertName) -> PathBuf {
        self.live_dir().join(format!(".{name}.next"))
    }

    /// The `live` directory that was, where the file system cannot exchange two.
    pub(crate) fn live_old(&self, name: &CertName) -> PathBuf {
        self.live_dir().join(format!(".{name}.old"))
    }

    /// A file that a server reads once; in no way a certificate's folder.
    pub(crate) fn lent(&self, label: &Label) -> PathBuf {
        self.live_dir().join(format!(".{label}.challenge"))
    }

    pub(crate) fn snapshots_dir(&self) -> PathBuf {
        self.store.join("snapshots")
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        self.snapshots_dir().join(id.as_str())
    }

    /// A snapshot in the making, of `name` and perhaps others; only the holder of its lock makes one.
    pub(crate) fn snapshot_next(&self, name: &CertName) -> PathBuf {
        self.snapshots_dir().join(format!(".{name}.next"))
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.store.join("state")
    }

    pub(crate) fn state(&self, name: &CertName) -> PathBuf {
        self.state_dir().join(format!("{name}.json"))
    }

    /// The private key of an order that is not yet a generation.
    pub(crate) fn pending(&self, name: &CertName) -> PathBuf {
        self.state_dir().join(format!("{name}.key"))
    }

    /// Room held for the chain and the state of that order.
    pub(crate) fn reserve(&self, name: &CertName) -> PathBuf {
        self.state_dir().join(format!("{name}.room"))
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.state_dir().join("index")
    }

    /// When `renew` last ran by itself.
    pub(crate) fn runs(&self) -> PathBuf {
        self.state_dir().join("runs")
    }

    /// Who was told of what.
    pub(crate) fn alerts(&self) -> PathBuf {
        self.state_dir().join("alerts")
    }

    /// A message while a program reads it; in no way a certificate's state.
    pub(crate) fn message(&self, receiver: &Label) -> PathBuf {
        self.state_dir().join(format!(".alert-{receiver}"))
    }

    /// What was counted of all runs.
    pub(crate) fn tally(&self) -> PathBuf {
        self.state_dir().join("tally")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.state_dir().join("ledger")
    }

    pub(crate) fn history_dir(&self) -> PathBuf {
        self.state_dir().join("history")
    }

    pub(crate) fn history(&self, part: HistoryPart) -> PathBuf {
        self.history_dir().join(part.file_name())
    }

    /// The newest record of the history that is known to be written.
    pub(crate) fn history_head(&self) -> PathBuf {
        self.history_dir().join("head")
    }

    /// The socket at which a `serve` of this home takes answers to challenges.
    pub(crate) fn desk(&self) -> PathBuf {
        self.state_dir().join("serve.sock")
    }

    /// What was put into the DNS and may still be there.
    pub(crate) fn leftovers_dir(&self) -> PathBuf {
        self.state_dir().join("dns")
    }

    pub(crate) fn leftovers(&self, name: &CertName) -> PathBuf {
        self.leftovers_dir().join(format!("{name}.json"))
    }

    /// What DNS providers gave us to keep. No CA is called that.
    pub(crate) fn registrations_dir(&self) -> PathBuf {
        self.accounts_dir().join("_dns")
    }

    pub(crate) fn registration(&self, label: &Label) -> PathBuf {
        self.registrations_dir().join(format!("{label}.json"))
    }

    pub(crate) fn locks_dir(&self) -> PathBuf {
        self.store.join("locks")
    }

    pub(crate) fn lock(&self, name: &CertName) -> PathBuf {
        self.locks_dir().join(format!("{name}.lock"))
    }

    pub(crate) fn account_lock(&self, ca: &Label) -> PathBuf {
        self.locks_dir().join(format!(".account-{ca}"))
    }

    pub(crate) fn index_lock(&self) -> PathBuf {
        self.locks_dir().join(".index")
    }

    pub(crate) fn desk_lock(&self) -> PathBuf {
        self.locks_dir().join(".serve")
    }

    pub(crate) fn alerts_lock(&self) -> PathBuf {
        self.locks_dir().join(".alerts")
    }

    pub(crate) fn tally_lock(&self) -> PathBuf {
        self.locks_dir().join(".tally")
    }

    pub(crate) fn history_lock(&self) -> PathBuf {
        self.locks_dir().join(".history")
    }

    pub(crate) fn ledger_lock(&self) -> PathBuf {
        self.locks_dir().join(".ledger")
    }
}

/// The folder name of a generation: its number with at least four digits.
pub(crate) fn generation_folder(generation: Generation) -> String {
    format!("{:04}", generation.number())
}

/// Reads back what [`generation_folder`] writes, and nothing else.
pub(crate) fn parse_generation_folder(text: &str) -> Option<Generation> {
    let generation = text.parse().ok().and_then(Generation::new)?;
    (generation_folder(generation) == text).then_some(generation)
}

/// The name under which a file is written before it takes the place of `path`.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// The name under which something damaged or foreign is kept beside its place.
pub(crate) fn aside(path: &Path, number: impl fmt::Display) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.damaged-{number}"))
}

/// The name under which what was replaced at that time is kept beside its place.
pub(crate) fn former(path: &Path, at: Timestamp) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.old-{}", at.unix()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn generation_folders_are_read_back_strictly() {
        for (text, number) in [("0001", 1), ("0123", 123), ("12345", 12345)] {
            let generation = parse_generation_folder(text).unwrap();
            assert_eq!(
                (generation.number(), generation_folder(generation).as_str()),
                (number, text)
            );
        }
        for bad in ["", "1", "0000", "00001", "+001", ".tmp-0", "0001.bak", "99999999999"] {
            assert_eq!(parse_generation_folder(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_of_the_history_are_in_order_and_read_back_strictly() {
        let names = ["0007.jsonl", "2026.jsonl", "2026-2.jsonl", "2026-10.jsonl", "2027.jsonl"];
        let parts = names.map(|name| HistoryPart::parse(name).unwrap());
        assert!(parts.is_sorted());
        assert_eq!(parts.map(HistoryPart::file_name), names);
        for bad in ["", "2026", "26.jsonl", "2026-1.jsonl", "2026-0.jsonl", "2026-+2.jsonl", "head"]
        {
            assert_eq!(HistoryPart::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn labels_are_safe_file_names() {
        let long = "a".repeat(129);
        for bad in ["", "..", ".a", "-a", "a/b", "A", "a\n", "ä", &long] {
            assert_eq!(Label::parse(bad), None, "{bad:?}");
        }
        assert!(Label::parse("letsencrypt-staging_1.x").is_some());
    }

    proptest! {
        #[test]
        fn no_two_paths_of_any_two_names_are_equal(a in "[a-z0-9_][a-z0-9._-]{0,12}", b in "[a-z0-9_][a-z0-9._-]{0,12}") {
            prop_assume!(a != b);
            let layout = Layout::in_home(Path::new("/h"));
            let paths = |text: &str| {
                let name = CertName::parse(text).unwrap();
                let own = [layout.settings(&name), layout.state(&name), layout.pending(&name),
                    layout.reserve(&name), layout.live(&name), layout.archive(&name), layout.lock(&name)];
                let temporaries = own.clone().map(|path| temporary(&path));
                let moved = [layout.live_next(&name), layout.live_old(&name), layout.snapshot_next(&name)];
                own.into_iter().chain(temporaries).chain(moved).collect::<Vec<_>>()
            };
            let shared = [layout.index(), layout.ledger(), layout.desk(), layout.tally(), layout.alerts()];
            let locks = [layout.index_lock(), layout.ledger_lock(), layout.desk_lock(), layout.tally_lock(), layout.alerts_lock()];
            let mut theirs = paths(&b);
            theirs.extend(shared.iter().map(|path| temporary(path)));
            theirs.extend(shared.into_iter().chain(locks));
            let ours = paths(&a);
            prop_assert!(ours.iter().all(|path| !theirs.contains(path)));
            prop_assert!(ours.iter().all(|path| path.starts_with("/h") && path.components().count() <= 4));
        }
    }
}
