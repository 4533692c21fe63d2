//! Where a client meets a server, and how it begins TLS there.

use std::fmt;

use thiserror::Error;

use super::host_port::{HostPort, HostPortError};
use super::name::Identifier;

/// How a client comes to TLS.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Protocol {
    /// At once.
    #[default]
    Tls,
    /// By STARTTLS (RFC 3207).
    Smtp,
    /// By STARTTLS (RFC 9051 §6.2.1).
    Imap,
    /// By the SSLRequest of PostgreSQL's protocol.
    Postgres,
}

impl Protocol {
    const ALL: [Self; 4] = [Self::Tls, Self::Smtp, Self::Imap, Self::Postgres];

    /// The word before `://`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Postgres => "postgres",
        }
    }
}

/// A place to look at: `HOST[:PORT]`, or `smtp://HOST:PORT` and the like where TLS comes later.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) protocol: Protocol,
    pub(crate) at: HostPort,
    /// What is asked for there (SNI); the certificate's identifiers if empty.
    pub(crate) names: Vec<Identifier>,
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum EndpointError {
    #[error("{word:?} is no way to begin TLS: known are tls, smtp, imap and postgres")]
    Protocol { word: String },
    #[error(transparent)]
    At(#[from] HostPortError),
}

impl Endpoint {
    /// Reads one that names no names.
    pub(crate) fn parse(text: &str) -> Result<Self, EndpointError> {
        let (protocol, at) = match text.split_once("://") {
            None => (Protocol::Tls, text),
            Some((word, at)) => {
                let known = Protocol::ALL.into_iter().find(|known| known.as_str() == word);
                let unknown = || EndpointError::Protocol { word: word.to_owned() };
                (known.ok_or_else(unknown)?, at)
            }
        };
        Ok(Self { protocol, at: HostPort::parse(at)?, names: Vec::new() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tls => self.at.fmt(f),
            protocol => write!(f, "{}://{}", protocol.as_str(), self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let table = [
            ("a.example", "a.example:443"),
            ("tls://a.example", "a.example:443"),
            ("smtp://mx.example:25", "smtp://mx.example:25"),
            ("imap://[::1]:143", "imap://[::1]:143"),
            ("postgres://127.0.0.1:5432", "postgres://127.0.0.1:5432"),
        ];
        for (text, meant) in table {
            let parsed = Endpoint::parse(text).unwrap();
            assert_eq!(parsed.to_string(), meant, "{text}");
            assert_eq!(Endpoint::parse(meant), Ok(parsed));
        }
        for text in ["https://a.example", "://a.example", "smtp://", "smtp://a:b", "a.example/x"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
