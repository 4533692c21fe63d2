//! Who holds a port: what `/proc` tells of it (proc_pid_net(5), proc_pid_fd(5)).

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::path::Path;
use std::{fmt, fs};

/// The process that listens on a port, as far as this one may know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PortHolder {
    Process { pid: u32, name: String },
    Unknown,
}

impl PortHolder {
    /// What a process that stands in front calls itself: it is no run that will soon be done.
    pub(crate) const FRONT: &CStr = c"acmeagent-serve";

    /// The way out for a solver that wants the port.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Process { name, .. } if Self::FRONT.to_str() == Ok(name) => {
                "use the --home of that serve, or free the port"
            }
            _ if self.is_service_manager() => {
                "what it starts for its socket is given the port; stop that socket to have it here"
            }
            _ => "let that server answer with --webroot DIR, or free the port",
        }
    }

    /// Whether it is systemd itself, which keeps the port for what it starts.
    pub(crate) fn is_service_manager(&self) -> bool {
        matches!(self, Self::Process { pid: 1, name } if name == "systemd")
    }

    /// Whether it is another run of this program: it needs the port only while a CA looks.
    pub(super) fn is_another_run(&self) -> bool {
        let Self::Process { pid, name } = self else { return false };
        let own = std::process::id();
        *pid != own && *name == name_of(own)
    }

    /// Looks through every process.
    ///
    /// Without privileges nobody sees into the processes of others, nor into our own other runs,
    /// for they hide what they have: there whoever has our name and user is taken for the holder.
    pub(super) fn of(port: u16) -> Self {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let tables = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
        let found: Vec<Socket> = tables.flat_map(|table| listening(&table, port)).collect();
        let sockets = found.iter().map(|socket| socket.link.clone()).collect();
        let all = processes();
        let seen = || all.iter().find(|pid| holds_any(**pid, &sockets));
        let ours = rustix::process::geteuid().as_raw();
        let likely = || {
            let of_us = found.iter().any(|socket| socket.owner == ours);
            all.iter().filter(|_| of_us).find(|pid| is_run_of(**pid, ours))
        };
        match seen().or_else(likely) {
            Some(pid) => Self::Process { pid: *pid, name: name_of(*pid) },
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "{} (process {pid})", name.escape_debug()),
            Self::Unknown => f.write_str("another process"),
        }
    }
}

/// A socket that listens.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Socket {
    /// The text of the links to it.
    link: String,
    /// The user who made it.
    owner: u32,
}

/// The sockets that listen on this port, out of a table like `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<Socket> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let socket = |line: &str| {
        let fields = line.split_whitespace().collect::<Vec<_>>();
        let [_, local, _, state, _, _, _, owner, _, inode, ..] = fields[..] else { return None };
        let owner = owner.parse().ok()?;
        (local.ends_with(&suffix) && state == LISTEN)
            .then(|| Socket { link: format!("socket:[{inode}]"), owner })
    };
    table.lines().filter_map(socket).collect()
}

/// Every process there is, the oldest first as far as numbers tell: a server before its workers.
fn processes() -> BTreeSet<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeSet::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn holds_any(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
}

/// Whether a process is another run of this program, by this user.
fn is_run_of(pid: u32, user: u32) -> bool {
    let own = std::process::id();
    let status = Path::new("/proc").join(pid.to_string()).join("status");
    let status = || fs::read_to_string(status).unwrap_or_default();
    pid != own && name_of(pid) == name_of(own) && effective_user(&status()) == Some(user)
}

/// The effective user in a text like `/proc/self/status` (proc_pid_status(5)).
fn effective_user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"));
    name.map_or_else(|_| "a process".to_owned(), |name| name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_holder_is_found() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            let PortHolder::Process { pid, name } = PortHolder::of(port) else {
                panic!("the holder of {port} was not found");
            };
            assert_eq!(pid, std::process::id());
            assert!(!name.is_empty());
            drop(listener);
            assert_eq!(PortHolder::of(port), PortHolder::Unknown);
        }
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 111 1 0 100
   1: 0100007F:0050 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100
   2: 00000000:0051 00000000:0050 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100
   3: short";
        let link = "socket:[111]".to_owned();
        assert_eq!(listening(table, 80), [Socket { link, owner: 33 }]);
        assert_eq!(listening(table, 0x9000), []);
    }

    #[test]
    fn the_effective_user_counts() {
        let status = "Name:\tacmeagent\nUid:\t1000\t65534\t0\t0\nGid:\t1\t2\t3\t4\n";
        assert_eq!(effective_user(status), Some(65534));
        assert_eq!(effective_user("Uid:\n"), None);
        assert_eq!(effective_user(""), None);
    }

    #[test]
    fn only_the_first_process_is_the_service_manager() {
        let process = |pid, name: &str| PortHolder::Process { pid, name: name.to_owned() };
        assert!(process(1, "systemd").is_service_manager());
        assert!(!process(2, "systemd").is_service_manager());
        assert!(!process(1, "init").is_service_manager());
    }

    #[test]
    fn a_hostile_name_is_escaped() {
        let holder = PortHolder::Process { pid: 7, name: "\u{1b}[2Jx".to_owned() };
        assert_eq!(holder.to_string(), "\\u{1b}[2Jx (process 7)");
    }
}
