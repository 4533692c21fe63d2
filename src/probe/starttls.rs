//! The few words in the clear after which a server begins TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::model::endpoint::Protocol;

/// Why a server did not come to TLS.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("the connection broke before TLS began: {0}")]
    Broken(#[from] io::Error),
    #[error("the server sends more than belongs before TLS")]
    TooMuch,
    #[error("the server does not offer TLS")]
    NotOffered,
    #[error("the server answers {said:?}")]
    Refused { said: String },
}

impl StartError {
    /// Keeps of what was said as much as a person reads.
    fn refused(said: &str) -> Self {
        Self::Refused { said: said.chars().take(120).collect() }
    }
}

/// Longer than any line RFC 5321 §4.5.3.1.5 or a greeting needs.
const LONGEST_LINE: usize = 2048;
/// More lines than any server has capabilities.
const MOST_LINES: usize = 128;

/// Leads a fresh connection to where the client says hello in TLS.
///
/// Not a byte beyond the server's last word is read: whatever it sends on is TLS or nothing.
pub(super) async fn start<S>(
    protocol: Protocol,
    stream: &mut S,
    local: SocketAddr,
) -> Result<(), StartError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match protocol {
        Protocol::Tls => Ok(()),
        Protocol::Smtp => smtp(Lines::of(stream), local.ip()).await,
        Protocol::Imap => imap(Lines::of(stream)).await,
        Protocol::Postgres => postgres(stream).await,
    }
}

async fn smtp<S>(mut lines: Lines<'_, S>, local: IpAddr) -> Result<(), StartError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    lines.smtp_reply("220").await?;
    // The address literal is what a client without a name says (RFC 5321 §4.1.3).
    let literal = match local.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    };
    lines.say(&format!("EHLO {literal}\r\n")).await?;
    let offered = lines.smtp_reply("250").await?;
    if !offered.iter().any(|keyword| keyword.eq_ignore_ascii_case("STARTTLS")) {
        return Err(StartError::NotOffered);
    }
    lines.say("STARTTLS\r\n").await?;
    lines.smtp_reply("220").await.map(drop)
}

async fn imap<S>(mut lines: Lines<'_, S>) -> Result<(), StartError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting = lines.next().await?;
    // After PREAUTH there is no STARTTLS any more (RFC 9051 §7.1.4).
    if !begins_with(&greeting, "* OK") {
        return Err(StartError::refused(&greeting));
    }
    lines.say("a STARTTLS\r\n").await?;
    loop {
        let line = lines.next().await?;
        match line.starts_with("* ") {
            true if begins_with(&line, "* BYE") => return Err(StartError::refused(&line)),
            true => {}
            false if begins_with(&line, "a OK") => return Ok(()),
            false => return Err(StartError::refused(&line)),
        }
    }
}

fn begins_with(line: &str, word: &str) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

async fn postgres<S>(stream: &mut S) -> Result<(), StartError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Its own length, and the number that stands for SSLRequest.
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    stream.write_all(&SSL_REQUEST).await?;
    match stream.read_u8().await? {
        b'S' => Ok(()),
        b'N' => Err(StartError::NotOffered),
        other => Err(StartError::refused(&char::from(other).to_string())),
    }
}

/// A peer that speaks in lines, and only so many of them.
struct Lines<'a, S> {
    stream: &'a mut S,
    left: usize,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Lines<'a, S> {
    fn of(stream: &'a mut S) -> Self {
        Self { stream, left: MOST_LINES }
    }

    async fn say(&mut self, line: &str) -> Result<(), StartError> {
        Ok(self.stream.write_all(line.as_bytes()).await?)
    }

    /// Reads a line without its end, byte by byte so that nothing of TLS is swallowed.
    async fn next(&mut self) -> Result<String, StartError> {
        self.left = self.left.checked_sub(1).ok_or(StartError::TooMuch)?;
        let mut line = Vec::new();
        loop {
            match self.stream.read_u8().await? {
                b'\n' => break,
                _ if line.len() == LONGEST_LINE => return Err(StartError::TooMuch),
                byte => line.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    }

    /// Reads a reply of this code (RFC 5321 §4.2.1) and returns the text of its lines.
    async fn smtp_reply(&mut self, code: &str) -> Result<Vec<String>, StartError> {
        let mut texts = Vec::new();
        loop {
            let line = self.next().await?;
            let rest = line.strip_prefix(code).ok_or_else(|| StartError::refused(&line))?;
            match rest.strip_prefix('-') {
                Some(text) => texts.push(text.to_owned()),
                None if rest.is_empty() || rest.starts_with(' ') => {
                    texts.push(rest.trim_start().to_owned());
                    return Ok(texts);
                }
                None => return Err(StartError::refused(&line)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Lets a server that says all this at once, whatever it hears, be asked for TLS.
    async fn after(protocol: Protocol, said: &str) -> (Result<(), StartError>, String, String) {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(said.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let outcome = start(protocol, &mut ours, (Ipv4Addr::LOCALHOST, 1).into()).await;
        let mut rest = String::new();
        ours.read_to_string(&mut rest).await.unwrap();
        drop(ours);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        (outcome, heard.escape_ascii().to_string(), rest)
    }

    #[tokio::test]
    async fn what_is_said_before_tls() {
        let smtp = "220-mx.example ESMTP\r\n220 ready\r\n250-mx.example\r\n250-PIPELINING\r\n\
                    250-starttls\r\n250 HELP\r\n220 go ahead\r\n";
        let imap = "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n* OK note\r\na ok go\r\n";
        let table = [
            (Protocol::Tls, "", ""),
            (Protocol::Smtp, smtp, "EHLO [127.0.0.1]\\r\\nSTARTTLS\\r\\n"),
            (Protocol::Imap, imap, "a STARTTLS\\r\\n"),
            (Protocol::Postgres, "S", "\\x00\\x00\\x00\\x08\\x04\\xd2\\x16/"),
        ];
        for (protocol, said, wanted) in table {
            let (outcome, heard, rest) = after(protocol, &format!("{said}TLS")).await;
            outcome.unwrap();
            assert_eq!((heard.as_str(), rest.as_str()), (wanted, "TLS"), "{protocol:?}");
        }
    }

    #[tokio::test]
    async fn hostile_answers_are_refused() {
        let long = format!("220 {}", "a".repeat(5000));
        let endless = "220-a\r\n".repeat(5000);
        let untagged = format!("* OK\r\n{}", "* 1 EXISTS\r\n".repeat(5000));
        let broken = "the connection broke before TLS began";
        let too_much = "the server sends more than belongs before TLS";
        let table = [
            (Protocol::Smtp, "", broken),
            (Protocol::Smtp, "220 no end", broken),
            (Protocol::Smtp, "554 go away\u{1b}[2J\r\n", "answers \"554 go away\\u{1b}[2J\""),
            (Protocol::Smtp, "220x\r\n", "answers \"220x\""),
            (Protocol::Smtp, "220 a\r\n250-b\r\n251 STARTTLS\r\n", "answers \"251 STARTTLS\""),
            (Protocol::Smtp, "220 a\r\n250 b\r\n", "does not offer TLS"),
            (Protocol::Smtp, "220 a\r\n250 STARTTLS\r\n454 later\r\n", "answers \"454 later\""),
            (Protocol::Smtp, &long, too_much),
            (Protocol::Smtp, &endless, too_much),
            (Protocol::Imap, "* PREAUTH hello\r\n", "answers \"* PREAUTH hello\""),
            (Protocol::Imap, "* OK\r\na BAD no\r\n", "answers \"a BAD no\""),
            (Protocol::Imap, "* OK\r\n* BYE\r\n", "answers \"* BYE\""),
            (Protocol::Imap, "* OK\r\nb OK\r\n", "answers \"b OK\""),
            (Protocol::Imap, "* Ö\r\n", "answers \"* Ö\""),
            (Protocol::Imap, &untagged, too_much),
            (Protocol::Postgres, "N", "does not offer TLS"),
            (Protocol::Postgres, "E", "answers \"E\""),
            (Protocol::Postgres, "", broken),
        ];
        for (protocol, said, why) in table {
            let error = after(protocol, said).await.0.unwrap_err().to_string();
            assert!(error.contains(why), "{protocol:?} {said:.60?}: {error}");
        }
    }
}
