//! The example server of `acmeagent-reload`, as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Running, free_ports};

/// A rustls server whose certificates change by the agent's word.
pub struct RustlsServer {
    pub address: SocketAddr,
    pub socket: PathBuf,
    folders: Vec<PathBuf>,
    process: Running,
}

impl RustlsServer {
    /// Serves the certificates of these live folders, each under the folder's name.
    pub fn start(socket: PathBuf, folders: Vec<PathBuf>) -> Self {
        let [port] = free_ports();
        Self::start_at(port, socket, folders)
    }

    /// The same at this port.
    pub fn start_at(port: u16, socket: PathBuf, folders: Vec<PathBuf>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let process = serve(address, &socket, &folders);
        Self { address, socket, folders, process }
    }

    /// Ends it at once, and starts it anew where it was.
    pub fn restart(&mut self) {
        self.process.end();
        self.process = serve(self.address, &self.socket, &self.folders);
    }

    /// Asks as the agent does.
    pub fn ask(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["ok"], true, "{request}: {answer}");
        answer
    }

    /// What it counted with the certificate of that role; nothing if it has none.
    pub fn counted(&self, name: &str, role: &str) -> Option<Value> {
        let stats = self.ask(&json!({"v": 1, "op": "stats", "name": name}));
        let held = stats["certificates"].as_array().unwrap();
        held.iter().find(|one| one["role"] == role).cloned()
    }

    /// What it holds under a name.
    pub fn holds(&self, name: &str) -> Value {
        let hello = self.ask(&json!({"v": 1, "op": "hello", "name": name}));
        hello["certificates"][0].clone()
    }
}

fn serve(address: SocketAddr, socket: &Path, folders: &[PathBuf]) -> Running {
    let mut server = Command::new(program());
    server.env_clear().arg("--socket").arg(socket).args(["--listen", &address.to_string()]);
    for folder in folders {
        server.arg("--live").arg(folder);
    }
    server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Running(server.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).expect("one line of JSON when ready");
    assert_eq!(ready["address"], address.to_string());
    process
}

/// Where the server is, built by the cargo that built these tests: it is of another package than they.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--locked", "--quiet"]);
        // With the features that `cargo test --workspace` builds with, so that it is mostly there.
        cargo.args(["--workspace", "--example", "axum"]);
        cargo.arg("--message-format=json-render-diagnostics");
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the example server was not built");
        let built = output.stdout.split(|byte| *byte == b'\n');
        let mut built = built.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let axum =
            built.find(|one| one["target"]["name"] == "axum" && !one["executable"].is_null());
        axum.unwrap()["executable"].as_str().unwrap().into()
    })
}
