//! The socket of `acmeagent-reload`: one line of JSON asked, one answered.
//!
//! What a server answers is parsed or refused, bounded in size and time, and never shown
//! unescaped; fields that are not known are not read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::time::timeout;

use crate::certificate::Fingerprint;
use crate::deploy::TargetError;
use crate::deploy::error::printable;

/// What is asked of a server about the certificate it calls `name`.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Request<'a> {
    Hello { name: &'a str },
    Prepare { name: &'a str, cert: &'a Path, key: &'a Path },
    Canary { name: &'a str, percent: u8 },
    Commit { name: &'a str, fingerprint: Fingerprint },
    Rollback { name: &'a str },
    Stats { name: &'a str },
    Challenge { name: &'a str, cert: &'a Path, key: &'a Path },
    Clear { name: &'a str },
}

impl Request<'_> {
    fn op(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Prepare { .. } => "prepare",
            Self::Canary { .. } => "canary",
            Self::Commit { .. } => "commit",
            Self::Rollback { .. } => "rollback",
            Self::Stats { .. } => "stats",
            Self::Challenge { .. } => "challenge",
            Self::Clear { .. } => "clear",
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    pub(super) certificates: Vec<Held>,
}

/// A certificate in service, and what is kept beside it.
#[derive(Debug, Deserialize)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) prepared: Option<Beside>,
    pub(super) previous: Option<Beside>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Beside {
    pub(super) fingerprint: Fingerprint,
}

#[derive(Debug, Deserialize)]
pub(super) struct Prepared {
    pub(super) fingerprint: Fingerprint,
    state: State,
}

#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum State {
    Prepared,
    Active,
}

impl Prepared {
    /// Whether it is in service already.
    pub(super) fn is_active(&self) -> bool {
        self.state == State::Active
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Canary {
    pub(super) fingerprint: Fingerprint,
    pub(super) percent: u8,
}

/// The certificate that is in service now.
#[derive(Debug, Deserialize)]
pub(super) struct Active {
    pub(super) fingerprint: Fingerprint,
}

/// A certificate for a CA that validates, shown to hellos with this server name.
#[derive(Debug, Deserialize)]
pub(super) struct Challenged {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cleared {}

#[derive(Debug, Deserialize)]
pub(super) struct Stats {
    /// Whether the server tells how its handshakes end.
    pub(super) observed: bool,
    pub(super) certificates: Vec<Counted>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Counted {
    pub(super) fingerprint: Fingerprint,
    role: String,
    pub(super) completed: u64,
    pub(super) failed: Failed,
    pub(super) latency: Latency,
}

impl Counted {
    pub(super) fn is_active(&self) -> bool {
        self.role == "active"
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Failed {
    /// By the names TLS has for them.
    pub(super) alerts: BTreeMap<String, u64>,
    pub(super) tls: u64,
    pub(super) io: u64,
    pub(super) abandoned: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) sum_us: u64,
}

/// What every answer begins with.
#[derive(Deserialize)]
struct Verdict {
    v: u64,
    ok: bool,
    error: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u64,
    #[serde(flatten)]
    request: &'a Request<'a>,
}

/// A server's socket.
#[derive(Debug)]
pub(super) struct Socket {
    label: String,
    path: PathBuf,
    pub(super) deadline: Duration,
}

impl Socket {
    const VERSION: u64 = 1;
    const LONGEST: u64 = 64 * 1024;
    const DEADLINE: Duration = Duration::from_secs(5);

    /// `label` is the target's.
    pub(super) fn new(label: String, path: PathBuf) -> Self {
        Self { label, path, deadline: Self::DEADLINE }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// An error of this target.
    pub(super) fn refuse(&self, what: String, hint: Option<&str>) -> TargetError {
        TargetError::Refused {
            target: self.label.clone(),
            what,
            output: String::new(),
            hint: hint.map(str::to_owned),
        }
    }

    /// The process that listens; `None` where the kernel does not tell.
    pub(super) async fn server(&self) -> Option<i32> {
        self.peer().await?.pid()
    }

    /// Who listens; `None` where nobody does.
    pub(super) async fn peer(&self) -> Option<UCred> {
        let connected = timeout(self.deadline, UnixStream::connect(&self.path)).await;
        connected.ok()?.ok()?.peer_cred().ok()
    }

    /// Asks over a connection of its own and reads the one line that answers.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
    ) -> Result<T, TargetError> {
        let op = request.op();
        let line = Line { v: Self::VERSION, request: &request };
        let line = serde_json::to_string(&line)
            .map_err(|error| self.refuse(format!("{op} cannot be asked: {error}"), None))?;
        let Ok(answered) = timeout(self.deadline, self.talk(line + "\n")).await else {
            let (target, after) = (self.label.clone(), self.deadline);
            return Err(TargetError::TimedOut { target, what: "an answer of the server", after });
        };
        let answer = answered.map_err(|source| TargetError::Io {
            target: self.label.clone(),
            what: format!("ask {}", self.path.display()),
            source,
        })?;
        self.understand(op, &answer)
    }

    async fn talk(&self, line: String) -> std::io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.path).await?;
        stream.write_all(line.as_bytes()).await?;
        let mut answer = Vec::new();
        BufReader::new(stream.take(Self::LONGEST)).read_until(b'\n', &mut answer).await?;
        Ok(answer)
    }

    fn understand<T: DeserializeOwned>(&self, op: &str, answer: &[u8]) -> Result<T, TargetError> {
        let not_understood = |error: serde_json::Error| {
            let why = one_line(&error.to_string());
            self.refuse(format!("its answer to {op} is not understood: {why}"), None)
        };
        let Some(answer) = answer.strip_suffix(b"\n") else {
            let what = match answer.len() as u64 {
                0 => format!("it hung up on {op}"),
                Self::LONGEST => format!("its answer to {op} has no end"),
                _ => format!("its answer to {op} breaks off"),
            };
            return Err(self.refuse(what, None));
        };
        let verdict: Verdict = serde_json::from_slice(answer).map_err(not_understood)?;
        if verdict.v != Self::VERSION {
            let what = format!("it speaks version {} of the protocol, not 1", verdict.v);
            return Err(self.refuse(what, Some("use an acmeagent-reload of the agent's release")));
        }
        if !verdict.ok {
            let why = verdict.error.as_deref().map_or("no reason given".to_owned(), one_line);
            return Err(self.refuse(format!("it refused {op}: {why}"), None));
        }
        serde_json::from_slice(answer).map_err(not_understood)
    }
}

fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}
