//! HAProxy's runtime API: one command per connection over a stats socket.
//!
//! Everything it says is untrusted: bounded in size and time, and never shown unescaped.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXUPPER;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::model::name::DnsName;

/// Where a stats socket is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SocketAddress {
    Unix(PathBuf),
    /// On this host: what goes over it is a private key in the clear.
    Loopback(SocketAddr),
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Loopback(at) => at.fmt(f),
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub(super) enum RuntimeError {
    #[error("cannot ask the stats socket")]
    Io(#[from] io::Error),
    #[error("the stats socket did not answer")]
    TimedOut,
    #[error("the stats socket answered with more than {} bytes", Runtime::LONGEST)]
    TooLong,
    #[error("the stats socket may only be looked at")]
    Denied,
    /// The command is not known to this version, or this is no such socket.
    #[error("the stats socket does not know the command {command:?}")]
    Unknown { command: &'static str },
    /// As HAProxy does when a command is longer than its buffer.
    #[error("HAProxy hung up on a command of {size} bytes")]
    HungUp { size: usize },
    /// `answer` is as it came.
    #[error("HAProxy refused to {act} the certificate")]
    Refused { act: &'static str, answer: String },
    #[error("a change of {file:?} that somebody began is not finished")]
    Busy { file: String },
}

/// The certificates that a process has loaded, by the names it has for them.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Loaded {
    pub(super) files: Vec<String>,
    /// The one of them that somebody has begun to change.
    pub(super) changing: Option<String>,
}

impl Loaded {
    fn read(answer: &str) -> Self {
        let mut loaded = Self::default();
        for line in answer.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('*') {
                Some(file) => loaded.changing = Some(file.to_owned()),
                None => loaded.files.push(line.to_owned()),
            }
        }
        loaded
    }
}

/// What is known of a loaded certificate.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Shown {
    /// Whether any listener serves it.
    pub(super) used: bool,
    pub(super) sha1: Sha1,
    /// Its names; HAProxy does not tell its IP addresses.
    pub(super) names: BTreeSet<DnsName>,
}

/// SHA-1 of a certificate's DER: all that HAProxy tells, and enough to tell two of ours apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sha1([u8; 20]);

impl Sha1 {
    pub(super) fn of(der: &[u8]) -> Self {
        use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, der);
        Self(digest.as_ref().try_into().expect("SHA-1 has 20 bytes"))
    }

    fn parse(text: &str) -> Option<Self> {
        HEXUPPER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl Shown {
    /// Reads the lines `KEY: VALUE`; `None` where there is no certificate in them.
    fn read(answer: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut pairs = answer.lines().filter_map(|line| line.split_once(": "));
            pairs.find(|(found, _)| *found == key).map(|(_, value)| value.trim())
        };
        let names = value("Subject Alternative Name").unwrap_or_default().split(',');
        let names = names.filter_map(|name| name.trim().strip_prefix("DNS:"));
        Some(Self {
            used: value("Status")? == "Used",
            sha1: Sha1::parse(value("SHA1 FingerPrint")?)?,
            names: names.filter_map(|name| DnsName::parse(name).ok()).collect(),
        })
    }
}

/// A stats socket to be asked.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    pub(super) socket: SocketAddress,
    pub(super) deadline: Duration,
}

impl Runtime {
    pub(super) const DEADLINE: Duration = Duration::from_secs(5);
    const LONGEST: u64 = 1 << 20;

    /// Fails unless commands that change something are allowed.
    pub(super) async fn check_level(&self) -> Result<(), RuntimeError> {
        match self.ask("show cli level", "").await?.trim() {
            "admin" => Ok(()),
            _ => Err(RuntimeError::Denied),
        }
    }

    pub(super) async fn loaded(&self) -> Result<Loaded, RuntimeError> {
        Ok(Loaded::read(&self.ask("show ssl cert", "").await?))
    }

    /// What is known of one; `None` if it is not known.
    pub(super) async fn show(&self, file: &str) -> Result<Option<Shown>, RuntimeError> {
        Ok(Shown::read(&self.ask("show ssl cert", &word(file)).await?))
    }

    /// Puts other bytes in the place of a loaded certificate; new handshakes get them at once, and
    /// connections that are open stay. Nothing has changed after an error, unless it is
    /// [`RuntimeError::TimedOut`] or one of the socket.
    pub(super) async fn replace(&self, file: &str, pem: &str) -> Result<(), RuntimeError> {
        // Some versions put what is meant for one certificate into the open change of another.
        match self.loaded().await?.changing {
            Some(other) if other != file => return Err(RuntimeError::Busy { file: other }),
            _ => {}
        }
        let set = self.set(file, pem).await;
        let done = match set {
            Ok(()) => self.commit(file).await,
            Err(error) => Err(error),
        };
        if let Err(RuntimeError::Refused { .. }) = done {
            // The first refusal is the one to report, and there may be nothing to give up.
            let _ = self.ask("abort ssl cert", &word(file)).await;
        }
        done
    }

    pub(super) async fn set(&self, file: &str, pem: &str) -> Result<(), RuntimeError> {
        let word = word(file);
        let mut rest = Zeroizing::new(String::with_capacity(word.len() + pem.len() + 8));
        rest.extend([word.as_str(), " <<\n", pem, "\n"]);
        let answer = self.ask("set ssl cert", &rest).await?;
        let begun = ["created", "updated"]
            .map(|what| format!("Transaction {what} for certificate {file}!"));
        let begun = answer.lines().any(|line| begun.iter().any(|begun| begun == line));
        match begun {
            true => Ok(()),
            false => Err(RuntimeError::Refused { act: "take", answer }),
        }
    }

    async fn commit(&self, file: &str) -> Result<(), RuntimeError> {
        let answer = self.ask("commit ssl cert", &word(file)).await?;
        match answer.lines().any(|line| line == "Success!") {
            true => Ok(()),
            false => Err(RuntimeError::Refused { act: "serve", answer }),
        }
    }

    /// Sends a command with the rest of its line, and returns the whole answer.
    pub(super) async fn ask(
        &self,
        command: &'static str,
        rest: &str,
    ) -> Result<String, RuntimeError> {
        let mut line = Zeroizing::new(String::with_capacity(command.len() + rest.len() + 2));
        line.extend([command, " ", rest, "\n"]);
        let asked = timeout(self.deadline, async {
            match &self.socket {
                SocketAddress::Unix(path) => talk(UnixStream::connect(path).await?, &line).await,
                SocketAddress::Loopback(at) => talk(TcpStream::connect(at).await?, &line).await,
            }
        });
        let answer = asked.await.map_err(|_| RuntimeError::TimedOut)??;
        match answer {
            answer if answer.is_empty() => Err(RuntimeError::HungUp { size: line.len() }),
            answer if answer.starts_with("Permission denied") => Err(RuntimeError::Denied),
            answer if answer.starts_with("Unknown command") => {
                Err(RuntimeError::Unknown { command })
            }
            answer => Ok(answer),
        }
    }
}

/// Sends and reads until the other side closes.
async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &str,
) -> Result<String, RuntimeError> {
    let mut answer = Vec::new();
    let talked = async {
        stream.write_all(line.as_bytes()).await?;
        stream.take(Runtime::LONGEST + 1).read_to_end(&mut answer).await
    };
    match talked.await {
        // What it does not want to read to the end, it hangs up on.
        Err(error) if !is_hang_up(&error) => return Err(error.into()),
        _ => {}
    }
    if answer.len() as u64 > Runtime::LONGEST {
        return Err(RuntimeError::TooLong);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// A name as one word of a command.
fn word(file: &str) -> String {
    let mut word = String::with_capacity(file.len());
    for sign in file.chars() {
        if !sign.is_ascii_alphanumeric() && !"/._-@:+,".contains(sign) && sign.is_ascii() {
            word.push('\\');
        }
        word.push(sign);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded() {
        let table = [
            ("", &[][..], None),
            ("# filename\n/a.pem\n/b c.pem\n\n", &["/a.pem", "/b c.pem"][..], None),
            ("# transaction\n*/a.pem\n# filename\n/a.pem\n\n", &["/a.pem"][..], Some("/a.pem")),
        ];
        for (answer, files, changing) in table {
            let files = files.iter().map(|file| (*file).to_owned()).collect();
            let expected = Loaded { files, changing: changing.map(str::to_owned) };
            assert_eq!(Loaded::read(answer), expected, "{answer}");
        }
    }

    #[test]
    fn what_is_shown_of_one() {
        let answer = "Filename: /a.pem\nStatus: Used\nSerial: 60\n\
            notAfter: Nov 28 13:09:15 2026 GMT\nSubject Alternative Name: DNS:x.example, , DNS:*.Y.example\n\
            SHA1 FingerPrint: CFEC926D1B9D678D455259BC0CEDD530BC2AD65C\nSubject: /CN=x\n\n";
        let shown = Shown::read(answer).unwrap();
        assert!(shown.used);
        let names: Vec<_> = shown.names.iter().map(DnsName::as_str).collect();
        assert_eq!(names, ["*.y.example", "x.example"]);
        assert!(!Shown::read(&answer.replace("Used", "Unused")).unwrap().used);
        for bad in ["", "Can't display the certificate: Not found!\n", &answer.replace("CFEC", "")]
        {
            assert_eq!(Shown::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_one_word() {
        for (file, expected) in [("/a/b-1.pem", "/a/b-1.pem"), ("/a b;c\\", "/a\\ b\\;c\\\\")] {
            assert_eq!(word(file), expected);
        }
    }
}
