//! A real nginx with a configuration of its own, in the foreground.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::network::Network;
use super::{Running, tools, wait_for};

/// Serves the files of a folder, or whatever its configuration says.
pub struct Nginx {
    pub webroot: PathBuf,
    process: Running,
    folder: TempDir,
}

impl Nginx {
    /// Serves on loopback.
    pub fn serving_files(port: u16) -> Self {
        let servers =
            |folder: &str| format!("server {{ listen 127.0.0.1:{port}; root {folder}/html; }}\n");
        let nginx = Self::started(servers, |mut nginx| Running(nginx.spawn().unwrap()));
        nginx.waited_for(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }

    /// Runs in a network of the test's own; `servers` writes the server blocks, told the folder.
    pub fn in_network(network: &Network, servers: impl Fn(&str) -> String) -> Self {
        let nginx = Self::started(servers, |nginx| network.start(&nginx));
        // Its pid file is written once it listens.
        let pid = nginx.folder.path().join("nginx.pid");
        nginx.waited_for(|| fs::read_to_string(&pid).is_ok_and(|pid| !pid.is_empty()))
    }

    fn started(servers: impl Fn(&str) -> String, start: impl Fn(Command) -> Running) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let webroot = folder.path().join("html");
        fs::create_dir(&webroot).unwrap();
        for path in [folder.path(), &webroot] {
            // As root its workers run as somebody else, who must be let in.
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let config = folder.path().join("nginx.conf");
        let place = folder.path().to_str().unwrap();
        fs::write(&config, configuration(place, &servers(place))).unwrap();
        let mut nginx = Command::new(tools::find("nginx").unwrap());
        nginx.arg("-p").arg(folder.path()).arg("-e").arg(folder.path().join("error.log"));
        nginx.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        nginx.stderr(Stdio::null());
        Self { webroot, process: start(nginx), folder }
    }

    fn waited_for(mut self, is_there: impl Fn() -> bool) -> Self {
        wait_for("nginx to listen", || {
            assert!(!self.process.has_ended(), "nginx did not start");
            is_there()
        });
        self
    }
}

fn configuration(folder: &str, servers: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .collect();
    // A single process: ending it by its pid ends all of it.
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n\
         {temporary}    access_log off;\n{servers}}}\n"
    )
}
