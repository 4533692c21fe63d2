//! Real BIND servers, each with a folder and zones of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::network::Network;
use super::{Running, tools, wait_for};

/// The TSIG key (hmac-sha256) that dynamic zones take updates from: its name and its secret.
pub const KEY: (&str, &str) = ("acme", "c2VjcmV0cyBhcmUgc2FmZSB3aXRoIHRlc3RzIG9mIG91cnM=");

/// A name server in a network of a test's own.
pub struct Named {
    process: Running,
    _folder: TempDir,
}

/// What a name server is to be.
pub struct Setup<'a> {
    pub address: &'a str,
    /// Zones with their records, as [`zone`] writes them.
    pub zones: &'a [(&'a str, String)],
    /// More lines of `named.conf`.
    pub more: &'a str,
    /// More lines within its `options`.
    pub options: &'a str,
}

/// The beginning of a zone file, with this serial and these name servers (and their addresses).
pub fn zone(serial: u32, servers: &[(&str, &str)], records: &str) -> String {
    let mut text = format!("$TTL 1\n@ SOA ns1 admin {serial} 60 60 60 1\n");
    for (name, address) in servers {
        text += &format!("@ NS {name}\n");
        if !address.is_empty() {
            text += &format!("{name} A {address}\n");
        }
    }
    text + records + "\n"
}

impl Named {
    /// Starts one and waits until it answers.
    pub fn start(network: &Network, setup: &Setup<'_>) -> Self {
        Self::start_with(network, setup, "")
    }

    /// Starts one that takes updates of its zones by [`KEY`].
    pub fn dynamic(network: &Network, setup: &Setup<'_>) -> Self {
        Self::start_with(network, setup, &format!("allow-update {{ key {}; }};", KEY.0))
    }

    /// `policy` is more of each zone.
    fn start_with(network: &Network, setup: &Setup<'_>, policy: &str) -> Self {
        let (key, secret) = KEY;
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let mut config = format!(
            "options {{\n directory \"{0}\";\n pid-file none; lock-file none;\n session-keyfile \"{0}/key\";\n \
             listen-on {{ {1}; }};\n listen-on-v6 {{ none; }};\n query-source address {1};\n \
             allow-query {{ any; }};\n minimal-responses no;\n{2}\n}};\n\
             controls {{ }};\nkey {key} {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n{3}\n",
            home.display(),
            setup.address,
            setup.options,
            setup.more
        );
        for (index, (name, records)) in setup.zones.iter().enumerate() {
            let file = home.join(format!("zone-{index}"));
            fs::write(&file, records).unwrap();
            config += &format!(
                "zone \"{name}\" {{ type primary; file \"{}\"; check-names ignore; check-integrity no; {policy} }};\n",
                file.display()
            );
        }
        let path = write(home, "named.conf", &config);
        let mut named = Command::new(tools::find("named").unwrap());
        named.args(["-f", "-n", "1", "-c"]).arg(path).arg("-L").arg(home.join("log"));
        let mut process = network.start(&named);
        wait_for("named to answer", || {
            let log = fs::read_to_string(home.join("log")).unwrap_or_default();
            assert!(!process.has_ended(), "named did not start: {log}");
            log.contains("running")
        });
        Self { process, _folder: folder }
    }

    /// From now on it takes questions and answers none.
    pub fn fall_silent(&self) {
        self.process.signal(Signal::SIGSTOP);
    }
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}
