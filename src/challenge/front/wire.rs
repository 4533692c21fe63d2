//! What a run and a front say to each other: one line of JSON each way at a time.

use std::io;
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The longest line: a token and its key authorization have less than a third of it.
const LONGEST: u64 = 4096;

/// What a run wants.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::challenge) enum Wish {
    /// To know who is there.
    Hello,
    /// That a CA that asks finds this.
    Present { identifier: String, token: String, key_authorization: String },
    /// That it no longer does.
    Withdraw { identifier: String, token: String },
}

/// What comes of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::challenge) enum Reply {
    Done,
    Refused(String),
    /// The addresses CAs are answered at.
    Here {
        addresses: Vec<SocketAddr>,
    },
}

/// One end of a conversation.
pub(in crate::challenge) struct Line(BufReader<UnixStream>);

impl Line {
    /// Takes a connection only from root or from whoever we are.
    pub(in crate::challenge) fn new(stream: UnixStream) -> io::Result<Self> {
        let uid = stream.peer_cred()?.uid();
        let ours = uid == 0 || uid == rustix::process::geteuid().as_raw();
        match ours {
            true => Ok(Self(BufReader::new(stream))),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    pub(in crate::challenge) async fn say(&mut self, what: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.0.write_all(&line).await
    }

    /// The next line; `None` at the end.
    pub(in crate::challenge) async fn hear<T: DeserializeOwned>(
        &mut self,
    ) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        (&mut self.0).take(LONGEST).read_until(b'\n', &mut line).await?;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
