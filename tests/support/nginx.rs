//! A real nginx with a configuration of its own, in the foreground.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Running, tools, wait_for};

/// Serves the files of a folder on loopback.
pub struct Nginx {
    pub webroot: PathBuf,
    _process: Running,
    _folder: TempDir,
}

impl Nginx {
    pub fn serving_files(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let webroot = folder.path().join("html");
        fs::create_dir(&webroot).unwrap();
        for path in [folder.path(), &webroot] {
            // As root its workers run as somebody else, who must be let in.
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let config = folder.path().join("nginx.conf");
        fs::write(&config, configuration(folder.path().to_str().unwrap(), port)).unwrap();
        let mut nginx = Command::new(tools::find("nginx").unwrap());
        nginx.arg("-p").arg(folder.path()).arg("-e").arg(folder.path().join("error.log"));
        nginx.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Running(nginx.stderr(Stdio::null()).spawn().unwrap());
        wait_for("nginx to listen", || {
            assert!(!process.has_ended(), "nginx did not start");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { webroot, _process: process, _folder: folder }
    }
}

fn configuration(folder: &str, port: u16) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .collect();
    // A single process: ending it by its pid ends all of it.
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n\
         {temporary}    access_log off;\n    server {{\n        listen 127.0.0.1:{port};\n        \
         root {folder}/html;\n    }}\n}}\n"
    )
}
