//! A real HAProxy with a configuration of its own, in the foreground.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Running, tools, wait_for};

/// Serves one file with chain and key, and takes commands on a socket; ended with the test.
pub struct Haproxy {
    folder: TempDir,
    process: Running,
}

impl Haproxy {
    /// Serves what is live in that directory now, at these addresses.
    pub fn serving(live: &Path, addresses: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let read = |file: &str| fs::read_to_string(live.join(file)).unwrap();
        fs::write(at("site.pem"), read("fullchain.pem") + &read("privkey.pem")).unwrap();
        fs::set_permissions(at("site.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        let binds: String = addresses
            .iter()
            .map(|address| format!("  bind {address} ssl crt {}\n", at("site.pem").display()))
            .collect();
        let socket = at("admin");
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  \
             timeout client 60s\n  timeout server 5s\n  timeout connect 5s\nfrontend web\n{binds}  \
             http-request return status 200\n",
            socket.display()
        );
        fs::write(at("cfg"), text).unwrap();
        let process = launch(folder.path());
        Self { folder, process }
    }

    /// As `--target` names it.
    pub fn target(&self) -> String {
        format!("haproxy:{}", self.folder.path().join("admin").display())
    }

    /// The number of the file that it reads when it starts; another one once it was replaced.
    pub fn file_number(&self) -> u64 {
        fs::metadata(self.folder.path().join("site.pem")).unwrap().ino()
    }

    /// While this lives no other file gets that number.
    pub fn file_held(&self) -> fs::File {
        fs::File::open(self.folder.path().join("site.pem")).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub fn is_running(&mut self) -> bool {
        !self.process.has_ended()
    }

    /// Ends it, and starts it with what lies on the disk.
    pub fn restart(&mut self) {
        self.process.end();
        self.process = launch(self.folder.path());
    }
}

fn launch(folder: &Path) -> Running {
    let socket = folder.join("admin");
    let _ = fs::remove_file(&socket);
    let mut haproxy = Command::new(tools::find("haproxy").unwrap());
    haproxy.args(["-db", "-f"]).arg(folder.join("cfg")).stdin(Stdio::null()).stdout(Stdio::null());
    let log = folder.join("log");
    haproxy.stderr(fs::File::create(&log).unwrap());
    let mut process = Running(haproxy.spawn().unwrap());
    wait_for("HAProxy to start", || {
        let said = || fs::read_to_string(&log).unwrap();
        assert!(!process.has_ended(), "HAProxy did not start: {}", said());
        UnixStream::connect(&socket).is_ok()
    });
    process
}
