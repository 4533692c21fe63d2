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
            _ => "let that server answer with --webroot DIR, or free the port",
        }
    }

    /// Whether it is another run of this program: it needs the port only while a CA looks.
    pub(super) fn is_another_run(&self) -> bool {
        let Self::Process { pid, name } = self else { return false };
        let own = std::process::id();
        *pid != own && *name == name_of(own)
    }

    /// Looks through every process; without privileges the processes of others stay unknown.
    pub(super) fn of(port: u16) -> Self {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let tables = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
        let sockets = tables.flat_map(|table| listening(&table, port)).collect();
        match processes().into_iter().find(|pid| holds_any(*pid, &sockets)) {
            Some(pid) => Self::Process { pid, name: name_of(pid) },
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

/// The link texts of the sockets that listen on this port, out of a table like `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> BTreeSet<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let socket = |line: &str| {
        let fields = line.split_whitespace().collect::<Vec<_>>();
        let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else { return None };
        (local.ends_with(&suffix) && state == LISTEN).then(|| format!("socket:[{inode}]"))
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
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100
   1: 0100007F:0050 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100
   2: 00000000:0051 00000000:0050 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100
   3: short";
        assert_eq!(listening(table, 80), BTreeSet::from(["socket:[111]".to_owned()]));
        assert_eq!(listening(table, 0x9000), BTreeSet::new());
    }

    #[test]
    fn a_hostile_name_is_escaped() {
        let holder = PortHolder::Process { pid: 7, name: "\u{1b}[2Jx".to_owned() };
        assert_eq!(holder.to_string(), "\\u{1b}[2Jx (process 7)");
    }
}
