//! The kinds of receivers, and what must be known of each.

use std::fmt;

use url::{Host, Url};

use crate::hook::command::Command;

/// Where messages go. `S` is a secret, or the place where it is kept until it is needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Medium<S> {
    /// JSON by POST; with `secret` it is signed.
    Webhook {
        url: S,
        secret: Option<S>,
    },
    /// An incoming webhook of Slack, or of what speaks like it.
    Slack {
        url: S,
    },
    /// A room of a Matrix server.
    Matrix {
        url: S,
        room: String,
        token: S,
    },
    /// A topic of an ntfy server.
    Ntfy {
        url: S,
        topic: String,
        token: Option<S>,
    },
    Email {
        mail: Mail,
        password: Option<S>,
    },
    /// A program of the operator.
    Command(Command),
    /// An Alertmanager of Prometheus, which groups and repeats by itself.
    Alertmanager {
        url: S,
        token: Option<S>,
    },
}

/// How mail is sent, and to whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) server: MailServer,
    pub(crate) tls: MailTls,
    pub(crate) user: Option<String>,
}

/// Where mail is handed over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct MailServer {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// How the way to the mail server is kept from others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MailTls {
    /// Not at all: on this host only.
    None,
    StartTls,
    /// From the first byte on.
    Tls,
}

impl MailTls {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::StartTls, Self::Tls];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

impl MailServer {
    /// Reads `host:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "it must be a host and a port, as in \"mail.example.com:587\"";
        let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?;
        let host = Host::parse(host).map_err(|_| FORM)?;
        Ok(Self { host, port })
    }

    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.host)
    }
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Reads the URL of a receiver. One to which a secret goes, or that is one itself, begins with
/// https or is that of this host.
pub(crate) fn address(text: &str, is_secret: bool) -> Result<Url, &'static str> {
    const FORM: &str = "it must be a URL that begins with https:// or http://";
    let url = Url::parse(text).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not hold a user name or password");
    }
    if is_secret && url.scheme() == "http" && !is_here(&url) {
        return Err("a secret crosses networks by https:// only");
    }
    Ok(url)
}

/// Whether a URL leads to this host.
pub(in crate::observe) fn is_here(url: &Url) -> bool {
    url.host().is_some_and(|host| is_local(&host))
}

fn is_local<T: AsRef<str>>(host: &Host<T>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

impl<S> Medium<S> {
    /// Its kind, as the settings call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Matrix { .. } => "matrix",
            Self::Ntfy { .. } => "ntfy",
            Self::Email { .. } => "email",
            Self::Command(_) => "command",
            Self::Alertmanager { .. } => "alertmanager",
        }
    }

    /// Whether what goes to its URL, or the URL itself, is for nobody else to see.
    pub(crate) fn is_secret(&self) -> bool {
        match self {
            Self::Slack { .. } | Self::Matrix { .. } => true,
            Self::Ntfy { token, .. } | Self::Alertmanager { token, .. } => token.is_some(),
            Self::Webhook { .. } | Self::Email { .. } | Self::Command(_) => false,
        }
    }

    pub(crate) fn url(&self) -> Option<&S> {
        match self {
            Self::Webhook { url, .. }
            | Self::Slack { url }
            | Self::Matrix { url, .. }
            | Self::Ntfy { url, .. }
            | Self::Alertmanager { url, .. } => Some(url),
            Self::Email { .. } | Self::Command(_) => None,
        }
    }

    /// What is a secret besides the URL.
    pub(crate) fn secret(&self) -> Option<&S> {
        match self {
            Self::Matrix { token, .. } => Some(token),
            Self::Webhook { secret: it, .. }
            | Self::Ntfy { token: it, .. }
            | Self::Email { password: it, .. }
            | Self::Alertmanager { token: it, .. } => it.as_ref(),
            Self::Slack { .. } | Self::Command(_) => None,
        }
    }

    /// Exchanges each secret for what `with` makes of it.
    pub(crate) async fn reveal<T, E>(
        &self,
        with: impl AsyncFn(&S) -> Result<T, E>,
    ) -> Result<Medium<T>, E> {
        let maybe = async |secret: &Option<S>| match secret {
            Some(secret) => with(secret).await.map(Some),
            None => Ok(None),
        };
        Ok(match self {
            Self::Webhook { url, secret } => {
                Medium::Webhook { url: with(url).await?, secret: maybe(secret).await? }
            }
            Self::Slack { url } => Medium::Slack { url: with(url).await? },
            Self::Matrix { url, room, token } => {
                let (url, token) = (with(url).await?, with(token).await?);
                Medium::Matrix { url, room: room.clone(), token }
            }
            Self::Ntfy { url, topic, token } => {
                let (url, token) = (with(url).await?, maybe(token).await?);
                Medium::Ntfy { url, topic: topic.clone(), token }
            }
            Self::Email { mail, password } => {
                Medium::Email { mail: mail.clone(), password: maybe(password).await? }
            }
            Self::Command(command) => Medium::Command(command.clone()),
            Self::Alertmanager { url, token } => {
                Medium::Alertmanager { url: with(url).await?, token: maybe(token).await? }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_cross_no_network_in_the_clear() {
        let table = [
            ("https://a.example/x", true, true),
            ("http://a.example/x", false, true),
            ("http://a.example/x", true, false),
            ("http://10.0.0.1/", true, false),
            ("http://localhost:80/", true, true),
            ("http://127.0.0.2:8080", true, true),
            ("http://[::1]/", true, true),
            ("ftp://localhost/", false, false),
            ("https://user:pass@a.example/", false, false),
            ("a.example", false, false),
        ];
        for (url, is_secret, good) in table {
            assert_eq!(address(url, is_secret).is_ok(), good, "{url} {is_secret}");
        }
    }

    #[test]
    fn mail_servers_have_a_port() {
        for (text, is_local) in [("localhost:25", true), ("[::1]:25", true), ("mail:587", false)] {
            let server = MailServer::parse(text).unwrap();
            assert_eq!((server.to_string().as_str(), server.is_local()), (text, is_local));
        }
        for bad in ["", "mail", "mail:0", "mail:x", ":25", "a b:25", "mail:99999"] {
            assert!(MailServer::parse(bad).is_err(), "{bad}");
        }
    }
}
