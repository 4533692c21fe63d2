//! Where a client connects to.

use std::fmt;

use thiserror::Error;

use super::name::{Identifier, NameError};

/// A host and a port: `host`, `host:port`, `[v6]:port`; port 443 unless given.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct HostPort {
    host: Identifier,
    port: u16,
}

/// Why a text is no [`HostPort`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum HostPortError {
    #[error("{text:?} has no valid port: it is a number from 1 to 65535")]
    Port { text: String },
    #[error("{text:?} is a wildcard: name one of the hosts it stands for")]
    Wildcard { text: String },
    #[error(transparent)]
    Host(#[from] NameError),
}

impl HostPort {
    const PORT: u16 = 443;

    pub(crate) fn parse(text: &str) -> Result<Self, HostPortError> {
        Self::parse_with_default(text, Self::PORT)
    }

    /// Reads one of a service whose usual port is `port`.
    pub(crate) fn parse_with_default(text: &str, port: u16) -> Result<Self, HostPortError> {
        let usual = port;
        let (host, port) = match text.rsplit_once(':') {
            // Colons in the host are those of an IPv6 address, which holds a port only in brackets.
            Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let host = Identifier::parse(host)?;
        if host.is_wildcard() {
            return Err(HostPortError::Wildcard { text: text.to_owned() });
        }
        let port = port.map_or(Ok(usual), |port| {
            let plain = port.bytes().all(|byte| byte.is_ascii_digit());
            let number = port.parse().ok().filter(|port| plain && *port > 0);
            number.ok_or_else(|| HostPortError::Port { text: text.to_owned() })
        })?;
        Ok(Self { host, port })
    }

    pub(crate) fn host(&self) -> &Identifier {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Identifier::Ip(ip) if ip.is_ipv6() => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let table = [
            ("Example.com", "example.com:443"),
            ("example.com:8443", "example.com:8443"),
            ("127.0.0.1", "127.0.0.1:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("::1", "[::1]:443"),
            ("2001:db8::1:8443", "[2001:db8::1:8443]:443"),
            ("[::1]", "[::1]:443"),
            ("[::1]:65535", "[::1]:65535"),
            ("localhost:5", "localhost:5"),
        ];
        for (text, meant) in table {
            let parsed = HostPort::parse(text).unwrap();
            assert_eq!(parsed.to_string(), meant, "{text}");
            assert_eq!(HostPort::parse(meant), Ok(parsed));
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        let ports =
            ["a:", "a:0", "a:65536", "a:+1", "a:http", "[::1]:", "a:-1", "a: 1", "https://a"];
        for text in ports {
            assert!(matches!(HostPort::parse(text), Err(HostPortError::Port { .. })), "{text}");
        }
        for text in ["", ":443", "a b:443", "[::1", "::1]:443", "[::1%lo]:443", "a:b:1"] {
            assert!(matches!(HostPort::parse(text), Err(HostPortError::Host(_))), "{text}");
        }
        let error = HostPort::parse("*.example.com:443").unwrap_err();
        assert!(matches!(error, HostPortError::Wildcard { .. }));
    }
}
