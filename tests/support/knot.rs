//! Real Knot servers, each with a folder and zones of its own.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::named::KEY;
use super::network::Network;
use super::{Running, tools, wait_for};

/// A name server in a network of a test's own.
pub struct Knot {
    _process: Running,
    _folder: TempDir,
}

impl Knot {
    /// Starts one that lets [`KEY`] change these zones, and waits until it serves them.
    ///
    /// `more` is more of `knot.conf`. Zones are written as [`super::named::zone`] does.
    pub fn start(network: &Network, address: &str, zones: &[(&str, String)], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let (name, secret) = KEY;
        let mut config = format!(
            "server:\n  listen: {address}@53\n  rundir: {0}\ndatabase:\n  storage: {0}\n\
             log:\n  - target: {0}/log\n    any: info\n\
             key:\n  - id: {name}\n    algorithm: hmac-sha256\n    secret: {secret}\n\
             acl:\n  - id: update\n    key: {name}\n    action: update\n{more}\nzone:\n",
            home.display()
        );
        for (index, (zone, records)) in zones.iter().enumerate() {
            let file = home.join(format!("zone-{index}"));
            fs::write(&file, records).unwrap();
            config +=
                &format!("  - domain: \"{zone}\"\n    file: {}\n    acl: update\n", file.display());
        }
        let path = home.join("knot.conf");
        fs::write(&path, config).unwrap();
        let mut knotd = Command::new(tools::find("knotd").unwrap());
        knotd.arg("-c").arg(path);
        let mut process = network.start(&knotd);
        wait_for("knotd to serve its zones", || {
            let log = fs::read_to_string(home.join("log")).unwrap_or_default();
            assert!(!process.has_ended(), "knotd did not start: {log}");
            zones.iter().all(|(zone, _)| log.contains(&format!("[{zone}.] loaded")))
        });
        Self { _process: process, _folder: folder }
    }
}
