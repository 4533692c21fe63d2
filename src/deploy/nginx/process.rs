//! nginx's processes, as `/proc` shows them.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::deploy::files;

/// A process at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// As in `/proc/PID/stat`: `T` is stopped, `Z` has ended.
    pub(super) state: char,
    /// In ticks since the machine started: no two processes have number and this in common.
    pub(super) began: u64,
    /// What it calls itself.
    pub(super) title: String,
}

impl Seen {
    fn look(pid: i32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let title = files::text(&dir.join("cmdline"))?;
        let title = title.trim_end_matches(['\0', ' ']).replace('\0', " ");
        Self::parse(pid, &files::text(&dir.join("stat"))?, title)
    }

    /// The name of the program, in parentheses, may hold anything (proc_pid_stat(5)).
    fn parse(pid: i32, stat: &str, title: String) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let began = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, parent, state, began, title })
    }

    pub(super) fn is_master(&self) -> bool {
        self.title.starts_with("nginx: master process") && !self.has_ended()
    }

    /// Whether it takes connections; one that drains its last ones does not.
    pub(super) fn is_serving(&self) -> bool {
        self.title == "nginx: worker process" && !self.has_ended()
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.pid, self.began) == (other.pid, other.began)
    }
}

/// A running master process.
pub(super) struct Master(Seen);

impl Master {
    /// Finds the one whose number stands in a file; `None` where that is no master of nginx.
    pub(super) fn find(pid_file: &Path) -> Option<Self> {
        let pid = files::text(pid_file)?.trim().parse().ok().filter(|pid| *pid > 1)?;
        Seen::look(pid).filter(Seen::is_master).map(Self)
    }

    /// It as it is now, `None` when it has ended.
    pub(super) fn look(&self) -> Option<Seen> {
        Seen::look(self.0.pid).filter(|now| now.is_same(&self.0) && now.is_master())
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Its children as they are now.
    pub(super) fn children(&self) -> Vec<Seen> {
        let numbers = |entry: io::Result<std::fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.parse::<i32>().ok()
        };
        let Ok(entries) = Path::new("/proc").read_dir() else { return Vec::new() };
        let all = entries.filter_map(numbers).filter_map(Seen::look);
        all.filter(|one| one.parent == self.0.pid).collect()
    }

    /// Whether we may signal it.
    pub(super) fn may_be_told(&self) -> bool {
        kill(Pid::from_raw(self.0.pid), None).is_ok()
    }

    /// Tells it to reload, and nobody else: its number may belong to another process by now.
    pub(super) fn tell_to_reload(&self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let pid = rustix::process::Pid::from_raw(self.0.pid).ok_or_else(gone)?;
        let opened = pidfd_open(pid, PidfdFlags::empty());
        // What was opened before it was looked at is still the same when it is signalled.
        self.look().ok_or_else(gone)?;
        match opened {
            Ok(master) => Ok(pidfd_send_signal(master, rustix::process::Signal::HUP)?),
            // Before Linux 5.3 nothing better can be done.
            Err(rustix::io::Errno::NOSYS) => Ok(kill(Pid::from_raw(self.0.pid), Signal::SIGHUP)?),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read() {
        let stat = "7 (a) b) (c) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9999 12 34\n";
        let seen = Seen::parse(7, stat, "nginx: worker process".to_owned()).unwrap();
        assert_eq!((seen.parent, seen.state, seen.began), (3, 'S', 9999));
        assert!(seen.is_serving() && !seen.is_master() && !seen.is_stopped());
        for broken in ["", "7 (a)", "7 (a) S", "7 (a) S 3 7 7", "7 (a) S x 7 7"] {
            assert_eq!(Seen::parse(7, broken, String::new()), None, "{broken:?}");
        }
        let own = i32::try_from(std::process::id()).unwrap();
        let seen = Seen::look(own).unwrap();
        assert_eq!(seen.parent, nix::unistd::getppid().as_raw());
        assert!(!seen.is_master());
    }

    #[test]
    fn titles() {
        let seen = |title: &str, state| Seen {
            pid: 1,
            parent: 1,
            state,
            began: 1,
            title: title.to_owned(),
        };
        let table = [
            ("nginx: master process /usr/sbin/nginx -g daemon on;", 'S', true, false),
            ("nginx: worker process", 'R', false, true),
            ("nginx: worker process is shutting down", 'S', false, false),
            ("nginx: cache manager process", 'S', false, false),
            ("/usr/sbin/nginx", 'S', false, false),
            ("nginx: worker process", 'Z', false, false),
            ("nginx: master process x", 'Z', false, false),
        ];
        for (title, state, is_master, is_serving) in table {
            let seen = seen(title, state);
            assert_eq!((seen.is_master(), seen.is_serving()), (is_master, is_serving), "{title}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn what_is_no_master_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nginx.pid");
        let own = std::process::id().to_string();
        for text in ["", "x", "0", "1", "-1", "99999999999", own.as_str()] {
            std::fs::write(&file, text).unwrap();
            assert!(Master::find(&file).is_none(), "{text:?}");
        }
        assert!(Master::find(&dir.path().join("gone")).is_none());
    }
}
