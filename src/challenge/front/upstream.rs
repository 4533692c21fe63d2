//! The application behind: where it is, and how it is reached.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};

/// An application that speaks HTTP at a host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Upstream {
    host: String,
    port: u16,
}

/// Why a text is no [`Upstream`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("not of the form http://HOST:PORT: {why}")]
pub(crate) struct UpstreamError {
    why: &'static str,
}

impl Upstream {
    /// A connection of its own.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The addresses it has now.
    pub(super) async fn lookup(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((self.host.as_str(), self.port)).await?.collect())
    }

    /// As it stands in `Host`.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let refuse = |why| Err(UpstreamError { why });
        let Ok(uri) = text.parse::<Uri>() else { return refuse("it is no URL") };
        if uri.scheme() != Some(&Scheme::HTTP) {
            return refuse("the application is spoken to in plain HTTP");
        }
        if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
            return refuse("a path or query cannot be added to what is passed on unchanged");
        }
        let Some(authority) = uri.authority() else { return refuse("it names no host") };
        if authority.as_str().contains('@') {
            return refuse("it names a user");
        }
        let host = authority.host();
        let ends_in_port = authority.as_str().len() > host.len();
        let port = authority.port_u16();
        if host.is_empty() || ends_in_port && port.is_none_or(|port| port == 0) {
            return refuse("the port is a number from 1 to 65535");
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: port.unwrap_or(80) })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_and_a_port() {
        let table = [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://my_app", "http://my_app:80"),
        ];
        for (text, shown) in table {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), shown);
        }
        let bad = [
            "",
            "127.0.0.1:8080",
            "https://127.0.0.1",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:",
            "http://a:99999",
            "http://a/path",
            "http://a/?q",
            "http://me@a",
            "http://a b",
            "/x",
        ];
        for text in bad {
            assert!(text.parse::<Upstream>().is_err(), "{text:?}");
        }
    }
}
