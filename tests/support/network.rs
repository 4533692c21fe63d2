//! A network of a test's own: addresses, routes and a resolver that nobody else sees.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::agent::within;
use super::{Running, tools};

/// The way into a network, for those who outlive no test of theirs.
#[derive(Clone, Copy, Debug)]
pub struct Door(u32);

/// A network namespace with a resolv.conf of its own. It lasts as long as its keeper.
pub struct Network {
    keeper: Running,
    folder: TempDir,
}

impl Network {
    /// Every address lies on loopback, and each port of it is free; `None` where this machine does
    /// not allow it.
    pub fn with(addresses: &[&str], resolver: &str) -> Option<Self> {
        if !tools::is_root() {
            tools::cannot_run("a network of its own needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let resolv_conf = folder.path().join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {resolver}\n")).unwrap();
        let mut script = "set -e\nip link set lo up\n".to_owned();
        for address in addresses {
            // Without `nodad` a new IPv6 address could not be bound to at once.
            let nodad = if address.contains(':') { "/128 nodad" } else { "/32" };
            script += &format!("ip addr add {address}{nodad} dev lo\n");
        }
        script += &format!("mount --bind {} /etc/resolv.conf\n", resolv_conf.display());
        // Ends with the test at the latest: then the other end of the pipe closes.
        script += "echo ready\nread -r over\n";
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "--mount", "sh", "-c", &script]);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = Running(keeper.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(keeper.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            tools::cannot_run("this kernel does not allow a network of its own");
            return None;
        }
        Some(Self { keeper, folder })
    }

    pub fn door(&self) -> Door {
        Door(self.keeper.0.id())
    }

    /// The text of its resolv.conf.
    pub fn resolv_conf(&self) -> String {
        fs::read_to_string(self.folder.path().join("resolv.conf")).unwrap()
    }

    /// The same command in this network, with the mounts of outside.
    pub fn command_outside(&self, command: &Command) -> Command {
        self.door().enter(command, &["--net"])
    }

    /// The same command in this network.
    pub fn command(&self, command: &Command) -> Command {
        self.door().command(command)
    }

    /// Starts a program that serves in this network.
    pub fn start(&self, command: &Command) -> Running {
        let mut inside = self.command(command);
        inside.stdout(Stdio::null()).stderr(Stdio::null());
        Running(inside.spawn().unwrap())
    }
}

impl Door {
    /// The same command in that network.
    pub fn command(self, command: &Command) -> Command {
        self.enter(command, &["--net", "--mount"])
    }

    fn enter(self, command: &Command, spaces: &[&str]) -> Command {
        let mut inside = within("nsenter", command);
        inside.args(spaces).args(["--target", &self.0.to_string(), "--"]);
        inside.arg(command.get_program()).args(command.get_args());
        inside
    }
}
