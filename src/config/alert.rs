//! `[[alert]]` of `acmeagent.toml`: who is told when something is wrong, and how.

use std::time::Duration;

use super::choice::{self, AbsolutePath, Email};
use super::file::{self, FileError, Trust};
use super::keys;
use super::reader::{ConfigError, Section};
use super::secret::{self, SecretSource};
use crate::observe::alert::Severity;
use crate::observe::alert::ledger::Terms;
use crate::observe::alert::medium::{Mail, MailServer, MailTls, Medium, address};

/// One `[[alert]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AlertTable {
    pub(crate) terms: Terms,
    pub(crate) medium: Medium<SecretSource>,
    /// What makes the body, in place of the built-in template.
    pub(crate) template: Option<AbsolutePath>,
}

/// A kind of receivers, by the word for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Kind {
    word: &'static str,
    /// The keys of its table, besides those of all.
    keys: &'static [&'static str],
    /// Of each of these secrets one place may be given, `KEY` itself included.
    secrets: &'static [&'static str],
}

const KINDS: [Kind; 7] = [
    Kind { word: "webhook", keys: &["template"], secrets: &["url", "secret"] },
    Kind { word: "slack", keys: &["template"], secrets: &["url"] },
    Kind { word: "matrix", keys: &["room", "template"], secrets: &["url", "token"] },
    Kind { word: "ntfy", keys: &["topic", "template"], secrets: &["url", "token"] },
    Kind { word: "email", keys: &["from", "to", "smtp", "tls", "user"], secrets: &["password"] },
    Kind { word: "command", keys: &["command"], secrets: &[] },
    Kind { word: "alertmanager", keys: &[], secrets: &["url", "token"] },
];

impl Kind {
    const OF_ALL: [&str; 4] = ["name", "kind", "severity", "repeat"];

    fn parse(text: &str) -> Result<Self, String> {
        let known = KINDS.map(|kind| kind.word);
        let found = KINDS.into_iter().find(|kind| kind.word == text);
        found.ok_or_else(|| keys::unknown_word(text, &known))
    }

    fn knows(self, key: &str) -> bool {
        let of_secret = |secret: &&str| {
            key.strip_prefix(*secret).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        Self::OF_ALL.contains(&key)
            || self.keys.contains(&key)
            || self.secrets.iter().any(of_secret)
    }
}

impl AlertTable {
    /// How often a receiver is reminded of what still holds, unless the settings say it.
    const REPEAT: Duration = Duration::from_secs(24 * 3600);
    const LONGEST_REPEAT: Duration = Duration::from_secs(90 * 24 * 3600);
    const LONGEST_TEMPLATE: usize = 64 * 1024;
    /// All are told at once, and remembered one by one.
    const MOST: usize = 16;

    /// Reads every `[[alert]]`; no two have the same name.
    pub(super) fn read_all(root: &Section<'_>) -> Result<Vec<Self>, ConfigError> {
        let mut alerts: Vec<Self> = Vec::new();
        for section in root.sections("alert", &keys::ALERT)? {
            let alert = Self::read(&section)?;
            if alerts.iter().any(|other| other.terms.name == alert.terms.name) {
                return Err(section.refuse("name", "another [[alert]] has that name"));
            }
            if alerts.len() == Self::MOST {
                let why = format!("more than {} [[alert]] are not told", Self::MOST);
                return Err(section.refuse("name", why));
            }
            alerts.push(alert);
        }
        Ok(alerts)
    }

    fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let name = section.required("name", |text| choice::word(text, "name"))?;
        let kind = section.required("kind", Kind::parse)?;
        if let Some(key) = section.keys().find(|key| !kind.knows(key)) {
            let known = [kind.keys, kind.secrets].concat().join(", ");
            let why = format!("it does not belong to kind {}, which has {known}", kind.word);
            return Err(section.refuse(key, why));
        }
        let repeat = section.value("repeat")?;
        let repeat = repeat.map(|node| node.span(Duration::ZERO..=Self::LONGEST_REPEAT));
        let repeat = repeat.transpose()?.unwrap_or(Self::REPEAT);
        let terms = Terms {
            name,
            severity: section.parse("severity", severity)?.unwrap_or_default(),
            repeat: Some(repeat).filter(|repeat| !repeat.is_zero()),
        };
        let medium = read_medium(kind, section)?;
        let template = section.parse("template", AbsolutePath::parse)?;
        Ok(Self { terms, medium, template })
    }

    /// The text of the operator's template; `None` where the built-in one is meant.
    pub(crate) fn template_text(&self) -> Result<Option<String>, FileError> {
        let Some(path) = &self.template else { return Ok(None) };
        let found = file::read(path.as_path(), Self::LONGEST_TEMPLATE, Trust::Settings)?;
        let missing = || FileError::Missing { path: path.as_path().to_owned() };
        Ok(Some(found.ok_or_else(missing)?.text))
    }

    /// Whether a secret is written out in it. The URL of a Slack webhook is one.
    pub(super) fn holds_secret(&self) -> bool {
        let is_literal = |source: &SecretSource| matches!(source, SecretSource::Literal(_));
        let is_slack = matches!(self.medium, Medium::Slack { .. });
        self.medium.secret().is_some_and(is_literal)
            || is_slack && self.medium.url().is_some_and(is_literal)
    }
}

fn read_medium(kind: Kind, section: &Section<'_>) -> Result<Medium<SecretSource>, ConfigError> {
    let secret = |key: &str| secret::read_one(section, key);
    let required = |key: &str| secret(key)?.ok_or_else(|| section.missing(key));
    let medium = match kind.word {
        "webhook" => Medium::Webhook { url: required("url")?, secret: secret("secret")? },
        "slack" => Medium::Slack { url: required("url")? },
        "matrix" => Medium::Matrix {
            url: required("url")?,
            room: section.required("room", room)?,
            token: required("token")?,
        },
        "ntfy" => Medium::Ntfy {
            url: required("url")?,
            topic: section.required("topic", topic)?,
            token: secret("token")?,
        },
        "email" => read_mail(section, secret("password")?)?,
        "command" => {
            let command = section.value("command")?.ok_or_else(|| section.missing("command"))?;
            Medium::Command(command.command()?)
        }
        _ => Medium::Alertmanager { url: required("url")?, token: secret("token")? },
    };
    if let Some(SecretSource::Literal(url)) = medium.url() {
        let read = address(url.expose(), medium.is_secret());
        read.map_err(|why| section.refuse("url", why))?;
    }
    Ok(medium)
}

fn read_mail(
    section: &Section<'_>,
    password: Option<SecretSource>,
) -> Result<Medium<SecretSource>, ConfigError> {
    let mail_address = |text: &str| Email::parse(text).map(|address| address.to_string());
    let server = section.required("smtp", MailServer::parse)?;
    let usual = if server.is_local() { MailTls::None } else { MailTls::StartTls };
    let tls = section.parse("tls", mail_tls)?.unwrap_or(usual);
    if tls == MailTls::None && !server.is_local() {
        return Err(section.refuse("tls", "mail goes without TLS to this host only"));
    }
    let user = section.parse("user", choice::phrase)?;
    match (&user, &password) {
        (Some(_), None) => return Err(section.missing("password-file")),
        (None, Some(_)) => return Err(section.missing("user")),
        _ => {}
    }
    let from = section.required("from", mail_address)?;
    let to = section.parse_list("to", mail_address)?.ok_or_else(|| section.missing("to"))?;
    Ok(Medium::Email { mail: Mail { from, to, server, tls, user }, password })
}

fn severity(text: &str) -> Result<Severity, String> {
    let known = Severity::ALL.map(Severity::as_str);
    let found = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
    found.ok_or_else(|| keys::unknown_word(text, &known))
}

fn mail_tls(text: &str) -> Result<MailTls, String> {
    let known = MailTls::ALL.map(MailTls::as_str);
    let found = MailTls::ALL.into_iter().find(|tls| tls.as_str() == text);
    found.ok_or_else(|| keys::unknown_word(text, &known))
}

/// Reads the id of a Matrix room.
fn room(text: &str) -> Result<String, &'static str> {
    let fits = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
    match text.strip_prefix('!') {
        Some(rest) if fits && !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("it must be the room's id, as in \"!abc:matrix.example.com\", not its alias"),
    }
}

/// Reads the topic of an ntfy server.
fn topic(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("1 to 64 letters, digits, hyphens and underscores are allowed"),
    }
}

#[cfg(test)]
mod tests;
