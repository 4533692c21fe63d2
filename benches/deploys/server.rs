//! Servers of the three kinds whose certificate is exchanged, each on a port of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Running, free_ports, tools, wait_for};

/// The name of every certificate.
pub const NAME: &str = "a.example";

/// What the server that links `acmeagent-reload` calls its certificate.
const SITE: &str = "site";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Nginx,
    Haproxy,
    Rustls,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Rustls => "rustls",
        }
    }

    /// Why there is none of it here.
    pub fn missing(self) -> Option<String> {
        let is_missing = match self {
            Self::Rustls => !example().exists(),
            _ => tools::find(self.name()).is_none(),
        };
        let what = match self {
            Self::Rustls => "the example of acmeagent-reload is not built",
            Self::Nginx => "nginx is not installed",
            Self::Haproxy => "haproxy is not installed",
        };
        is_missing.then(|| what.to_owned())
    }

    /// What it is, in one line.
    pub fn version(self) -> String {
        let said = || {
            let output = Command::new(tools::find(self.name()).unwrap()).arg("-v").output();
            let output = output.unwrap();
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).replace('/', " ");
            let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
            let number = text.split_whitespace().find(is_number).unwrap_or_default();
            number.split('-').next().unwrap_or_default().to_owned()
        };
        match self {
            Self::Nginx => format!("nginx {}", said()),
            Self::Haproxy => format!("haproxy {}", said()),
            Self::Rustls => "axum on rustls".to_owned(),
        }
    }
}

/// The axum server among the examples, built with the profile this was built with.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("examples/axum")
}

/// One server with all its processes, ended with this.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    live: PathBuf,
    folder: TempDir,
    running: Running,
}

impl Server {
    /// Serves the pair in the folder `live`, `fullchain.pem` and `privkey.pem`.
    pub fn start(kind: Kind, live: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let mut command = match kind {
            Kind::Nginx => nginx(folder.path(), live, port),
            Kind::Haproxy => haproxy(folder.path(), live, port),
            Kind::Rustls => rustls(folder.path(), live, port),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let running = Running(command.spawn().unwrap());
        let mut server = Self { kind, port, live: live.to_owned(), folder, running };
        wait_for(&format!("{kind:?} to listen"), || {
            assert!(!server.running.has_ended(), "{kind:?} did not start");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        server
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The `[[target]]` it is for an agent.
    pub fn target(&self) -> String {
        let (kind, at) = (self.kind.name(), self.folder.path().display());
        let own = match self.kind {
            Kind::Nginx => format!("prefix = \"{at}\"\nconfig = \"{at}/nginx.conf\""),
            Kind::Haproxy => format!("socket = \"{at}/socket\"\nfile = \"{at}/site.pem\""),
            Kind::Rustls => format!("socket = \"{at}/socket\"\ncertificate = \"{SITE}\""),
        };
        let verify = format!("127.0.0.1:{}", self.port);
        format!("[[target]]\nname = \"web\"\nkind = \"{kind}\"\nverify = [{verify:?}]\n{own}\n")
    }

    /// Lets it have the pair of a folder ready, but not serve it yet.
    pub fn prepare(&self, pair: &Path) {
        match self.kind {
            Kind::Nginx => {
                let next = self.live.with_extension("next");
                symlink(pair, &next).unwrap();
                fs::rename(next, &self.live).unwrap();
            }
            Kind::Haproxy => {
                let file = self.path("site.pem");
                let command = format!("set ssl cert {} <<\n{}\n", file.display(), combined(pair));
                assert!(self.ask(&command).contains("Transaction created"));
            }
            Kind::Rustls => {
                let (cert, key) = (pair.join("fullchain.pem"), pair.join("privkey.pem"));
                self.tell(&json!({"op": "prepare", "name": SITE, "cert": cert, "key": key}));
            }
        }
    }

    /// Lets it serve what is prepared: the words that the agent has for it. Returns when that was
    /// asked and when it was answered.
    pub fn commit(&self) -> (Instant, Instant) {
        let asked = Instant::now();
        match self.kind {
            Kind::Nginx => self.running.signal(Signal::SIGHUP),
            Kind::Haproxy => {
                let command = format!("commit ssl cert {}", self.path("site.pem").display());
                assert!(self.ask(&command).contains("Success!"));
            }
            Kind::Rustls => self.tell(&json!({"op": "commit", "name": SITE})),
        }
        (asked, Instant::now())
    }

    /// Over a connection of its own, to whose end it is read.
    fn ask(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.path("socket")).unwrap();
        // In one piece: HAProxy may hang up once it has read a command to its end.
        socket.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn tell(&self, request: &Value) {
        let mut request = request.clone();
        request["v"] = json!(1);
        let mut socket = UnixStream::connect(self.path("socket")).unwrap();
        socket.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).unwrap();
        assert!(answer.contains("\"ok\":true"), "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let began = Instant::now();
        self.running.signal(Signal::SIGTERM);
        while !self.running.has_ended() && began.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever stayed behind its master is still of its group.
        let _ = killpg(Pid::from_raw(self.running.0.id().cast_signed()), Signal::SIGKILL);
    }
}

fn combined(pair: &Path) -> String {
    let text = |file| fs::read_to_string(pair.join(file)).unwrap();
    format!("{}{}", text("fullchain.pem"), text("privkey.pem"))
}

fn nginx(folder: &Path, live: &Path, port: u16) -> Command {
    let (at, live) = (folder.display(), live.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .collect();
    let text = format!(
        "daemon off;\nworker_processes auto;\npid nginx.pid;\nerror_log error.log;\n\
         events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}\
         keepalive_requests 1000000;\nserver {{ listen 127.0.0.1:{port} ssl;\n\
         server_name {NAME};\nssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_certificate {live}/fullchain.pem;\nssl_certificate_key {live}/privkey.pem;\n\
         location / {{ return 200 \"hello\\n\"; }} }}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut command = Command::new(tools::find("nginx").unwrap());
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    command.arg("-e").arg(folder.join("error.log"));
    command
}

fn haproxy(folder: &Path, live: &Path, port: u16) -> Command {
    let at = folder.display();
    let mut file = fs::OpenOptions::new();
    let file = file.create_new(true).write(true).mode(0o600);
    let mut file = file.open(folder.join("site.pem")).unwrap();
    file.write_all(combined(live).as_bytes()).unwrap();
    fs::write(folder.join("hello"), "hello\n").unwrap();
    let text = format!(
        "global\n    stats socket {at}/socket mode 600 level admin\n\
         defaults\n    mode http\n    timeout client 60s\n    timeout server 60s\n\
         \x20   timeout connect 5s\n    timeout http-keep-alive 60s\n\
         frontend site\n    bind 127.0.0.1:{port} ssl crt {at}/site.pem\n\
         \x20   http-request return status 200 content-type text/plain file {at}/hello\n"
    );
    fs::write(folder.join("cfg"), text).unwrap();
    let mut command = Command::new(tools::find("haproxy").unwrap());
    command.arg("-db").arg("-f").arg(folder.join("cfg"));
    command
}

fn rustls(folder: &Path, live: &Path, port: u16) -> Command {
    let mut command = Command::new(example());
    command.arg("--live").arg(live).arg("--socket").arg(folder.join("socket"));
    command.arg("--listen").arg(format!("127.0.0.1:{port}"));
    command
}
