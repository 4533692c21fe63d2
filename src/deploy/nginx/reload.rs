//! A reload, from the signal to the new workers.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::process::{Master, Seen};
use super::program::emergency;

/// How long the master may take to read its configuration and start workers.
const PATIENCE: Duration = Duration::from_secs(10);
/// A stopped master, and one that complained, get less: only what is over by then was passing.
const LESS_PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// Why the new configuration does not serve.
#[derive(Debug)]
pub(super) enum Unserved {
    Untold(io::Error),
    /// The master has ended.
    Ended,
    /// It stays with what it had, as its log says.
    Refused {
        complaint: String,
    },
    TimedOut {
        after: Duration,
    },
}

/// Tells the master to reload, and waits until workers it started since then have taken over from
/// those before: the connections that come now are theirs.
pub(super) async fn reload(master: &Master, error_log: &Path) -> Result<(), Unserved> {
    let log = Log::from_its_end(error_log);
    let before = master.children().iter().filter(|one| one.is_serving()).map(id).collect();
    master.tell_to_reload().map_err(Unserved::Untold)?;
    let told = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        let now = master.look().ok_or(Unserved::Ended)?;
        if have_taken_over(&before, &master.children()) {
            return Ok(());
        }
        let after = told.elapsed();
        let complaint = if after >= LESS_PATIENCE { log.complaint() } else { None };
        match complaint {
            Some(complaint) => return Err(Unserved::Refused { complaint }),
            None if after >= PATIENCE || after >= LESS_PATIENCE && now.is_stopped() => {
                return Err(Unserved::TimedOut { after });
            }
            None => {}
        }
    }
}

/// What no two processes have in common.
fn id(seen: &Seen) -> (i32, u64) {
    (seen.pid, seen.began)
}

/// Whether there are new workers, all past their beginnings, and none of the old ones serves.
fn have_taken_over(before: &BTreeSet<(i32, u64)>, children: &[Seen]) -> bool {
    let (old, new): (Vec<&Seen>, Vec<&Seen>) =
        children.iter().partition(|one| before.contains(&id(one)));
    // Until a child has given itself its title it goes by that of its parent.
    new.iter().any(|one| one.is_serving())
        && !new.iter().any(|one| one.is_master())
        && !old.iter().any(|one| one.is_serving())
}

/// The master's log, from the moment it is told something.
struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    /// More than this of what is new is not read.
    const LARGEST: u64 = 64 * 1024;

    fn from_its_end(path: &Path) -> Self {
        let facts = path.metadata().ok();
        Self { path: path.to_owned(), from: facts.map_or(0, |facts| facts.len()) }
    }

    /// The last grave thing in it that is new, where it is a file we may read.
    fn complaint(&self) -> Option<String> {
        // A pipe in the place of a file would hang whoever opens it.
        self.path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut file = File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.from)).ok()?;
        let mut bytes = Vec::new();
        file.take(Self::LARGEST).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let last = text.lines().rev().find_map(emergency)?;
        Some(last.escape_debug().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(pid: i32, title: &str) -> Seen {
        let title = format!("nginx: {title}");
        Seen { pid, parent: 1, state: 'S', began: 7, title }
    }

    #[test]
    fn when_new_workers_have_taken_over() {
        let before = BTreeSet::from([(10, 7), (11, 7)]);
        let (serving, leaving) = ("worker process", "worker process is shutting down");
        let table: &[(&[(i32, &str)], bool)] = &[
            (&[(10, serving), (11, serving)], false),
            (&[(10, serving), (11, serving), (12, serving)], false),
            (&[(10, leaving), (11, serving), (12, serving)], false),
            (&[(10, leaving), (11, leaving)], false),
            (&[], false),
            (&[(10, leaving), (11, leaving), (12, "master process x")], false),
            (&[(12, serving), (13, "master process x")], false),
            (&[(12, "cache manager process")], false),
            (&[(10, leaving), (11, leaving), (12, serving)], true),
            (&[(10, leaving), (12, serving), (13, "cache manager process")], true),
            (&[(12, serving), (13, serving)], true),
        ];
        for (children, expected) in table {
            let children: Vec<_> = children.iter().map(|(pid, title)| child(*pid, title)).collect();
            assert_eq!(have_taken_over(&before, &children), *expected, "{children:?}");
        }
        // The number of an old one, on a new process.
        let reused = Seen { began: 8, ..child(10, serving) };
        assert!(have_taken_over(&before, &[reused]));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn only_what_is_new_in_a_log_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("error.log");
        std::fs::write(&path, "[emerg] 1#1: old\n").unwrap();
        let log = Log::from_its_end(&path);
        assert_eq!(log.complaint(), None);
        let new = "[emerg] 1#1: old\nx [emerg] 1#1: bind() to 1.2.3.4:5 failed\u{1b}\nx [notice] 1#1: y\n";
        std::fs::write(&path, new).unwrap();
        assert_eq!(log.complaint().unwrap(), "bind() to 1.2.3.4:5 failed\\u{1b}");
        assert_eq!(Log::from_its_end(&dir.path().join("gone")).complaint(), None);
        assert_eq!(Log::from_its_end(dir.path()).complaint(), None);
    }
}
