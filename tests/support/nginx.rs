//! A real nginx with a configuration of its own, in the foreground.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
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

/// nginx as operators run it: a master process with its workers, ended with the test.
pub struct TlsNginx {
    folder: TempDir,
    process: Option<Running>,
}

impl TlsNginx {
    /// Configured and not started; `servers` are its server blocks.
    pub fn configured(servers: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let nginx = Self { folder, process: None };
        nginx.configure(servers);
        nginx
    }

    pub fn path(&self, relative: &str) -> String {
        self.folder.path().join(relative).to_str().unwrap().to_owned()
    }

    /// Replaces its server blocks on the disk, and nowhere else.
    pub fn configure(&self, servers: &str) {
        let at = self.path("");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("    {kind}_temp_path {at}{kind};\n"))
            .collect();
        let text = format!(
            "daemon off;\nworker_processes 2;\npid {at}nginx.pid;\nerror_log {at}error.log notice;\n\
             events {{}}\nhttp {{\n{temporary}    access_log off;\n{servers}}}\n"
        );
        fs::write(self.path("nginx.conf"), text).unwrap();
    }

    /// A `[[target]]` named `web`, with these lines besides.
    pub fn target(&self, more: &str) -> String {
        let (prefix, config) = (self.path(""), self.path("nginx.conf"));
        format!(
            "[[target]]\nname = \"web\"\nkind = \"nginx\"\nprefix = {prefix:?}\nconfig = {config:?}\n{more}\n"
        )
    }

    /// Starts it, as this user if one is given, and waits until it has workers.
    pub fn start(&mut self, user: Option<u32>) {
        let mut nginx = Command::new(tools::find("nginx").unwrap());
        nginx.args(["-p", &self.path(""), "-c", &self.path("nginx.conf"), "-e"]);
        nginx.arg(self.path("start.log")).process_group(0).stdin(Stdio::null());
        nginx.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(user) = user {
            // A test of the configuration, as root, left a log and folders there.
            let mine =
                Command::new("chown").args(["-R", &user.to_string(), &self.path("")]).status();
            assert!(mine.unwrap().success());
            nginx.uid(user).gid(user);
        }
        let mut process = Running(nginx.spawn().unwrap());
        wait_for("nginx to start", || {
            let said = fs::read_to_string(self.path("start.log")).unwrap_or_default();
            assert!(!process.has_ended(), "nginx did not start: {said}{}", self.log());
            self.log().contains("start worker process ")
        });
        self.process = Some(process);
    }

    /// The number of its master, which a reload keeps.
    pub fn master(&self) -> u32 {
        let pid = fs::read_to_string(self.path("nginx.pid")).unwrap().trim().parse().unwrap();
        assert_eq!(Some(pid), self.process.as_ref().map(|process| process.0.id()));
        pid
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.master().cast_signed()), signal).unwrap();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("error.log")).unwrap_or_default()
    }

    /// How often it was told to read its configuration again.
    pub fn reloads(&self) -> usize {
        self.log().lines().filter(|line| line.contains("(SIGHUP) received")).count()
    }
}

impl Drop for TlsNginx {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Its workers are of its group, and may outlive it.
            let group = Pid::from_raw(process.0.id().cast_signed());
            if !process.has_ended() {
                let _ = killpg(group, Signal::SIGKILL);
            }
        }
    }
}
