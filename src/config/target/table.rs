//! A `[[target]]` of `acmeagent.toml`: what the short form of its kind cannot say.

use std::time::Duration;

use thiserror::Error;

use super::{CopyFormat, Kind, SocketPlace, TargetKind, name, socket, unit};
use crate::config::choice::{self, AbsolutePath, ChoiceError, Permissions};
use crate::config::keys;
use crate::config::reader::{ConfigError, Section};
use crate::model::endpoint::Endpoint;
use crate::model::word::nearest;

/// One `[[target]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TargetTable {
    /// Its label in settings, journal and messages.
    pub(crate) name: String,
    pub(crate) kind: TargetKind,
    /// Where its clients meet it; empty if its own configuration is to say it.
    pub(crate) verify: Vec<Endpoint>,
}

/// A `[[target]]` is named that `acmeagent.toml` does not have.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("there is no [[target]] named {name}")]
pub(crate) struct NoTarget {
    name: String,
    hint: String,
}

impl NoTarget {
    pub(in crate::config) fn new(name: &str, tables: &[TargetTable]) -> Self {
        let named: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let words = [&Kind::ALL.map(Kind::as_str), &named[..]].concat();
        let hint = match nearest(name, &words) {
            Some(meant) => {
                format!("did you mean {}?", Kind::find(meant).map_or(meant, |kind| kind.form()))
            }
            None => {
                let known = [&Kind::ALL.map(Kind::form), &named[..]].concat();
                format!("known are {}", known.join(", "))
            }
        };
        Self { name: name.to_owned(), hint }
    }

    /// Which one may be meant.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }
}

impl Kind {
    /// The keys of its table, besides those of all.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["program", "config", "prefix", "pid"],
            Self::Haproxy => &["socket", "file", "reload"],
            Self::Rustls => &["socket", "certificate"],
            Self::Copy => &["dir", "owner", "group", "mode", "format", "file", "password-file"],
            Self::Systemd => &["unit"],
            Self::Hook => &["command", "timeout"],
        }
    }
}

impl TargetTable {
    pub(in crate::config) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let name = section.required("name", name)?;
        if Kind::find(&name).is_some() {
            return Err(section.refuse("name", "a kind of targets has that name"));
        }
        let kind = section.required("kind", Kind::parse)?;
        let foreign = section
            .keys()
            .find(|key| !["name", "kind", "verify"].contains(key) && !kind.keys().contains(key));
        if let Some(key) = foreign {
            let (kind, known) = (kind.as_str(), kind.keys().join(", "));
            let why = format!("it does not belong to kind {kind}, which has {known}");
            return Err(section.refuse(key, why));
        }
        let verify = section.parse_list("verify", Endpoint::parse)?.unwrap_or_default();
        Ok(Self { name, kind: read_kind(kind, section)?, verify })
    }
}

fn read_kind(kind: Kind, section: &Section<'_>) -> Result<TargetKind, ConfigError> {
    let path = |key| section.parse(key, AbsolutePath::parse);
    Ok(match kind {
        Kind::Nginx => TargetKind::Nginx {
            program: path("program")?,
            config: path("config")?,
            prefix: path("prefix")?,
            pid: path("pid")?,
        },
        Kind::Haproxy => TargetKind::Haproxy {
            socket: section.required("socket", read_socket)?,
            file: path("file")?,
            reload: section.value("reload")?.map(|node| node.command()).transpose()?,
        },
        Kind::Rustls => TargetKind::Rustls {
            socket: section.required("socket", AbsolutePath::parse)?,
            certificate: section.parse("certificate", choice::phrase)?,
        },
        Kind::Copy => TargetKind::Copy {
            dir: section.required("dir", AbsolutePath::parse)?,
            owner: section.parse("owner", Permissions::parse_account)?,
            group: section.parse("group", Permissions::parse_account)?,
            mode: section.parse("mode", Permissions::parse_mode)?,
            format: read_format(section)?,
        },
        Kind::Systemd => TargetKind::Systemd { unit: section.required("unit", unit)? },
        Kind::Hook => {
            const LONGEST: Duration = Duration::from_secs(3600);
            let command = section.value("command")?.ok_or_else(|| section.missing("command"))?;
            let timeout = section.value("timeout")?;
            let timeout = timeout.map(|node| node.span(Duration::from_secs(1)..=LONGEST));
            TargetKind::Hook { command: command.command()?, timeout: timeout.transpose()? }
        }
    })
}

fn read_socket(text: &str) -> Result<SocketPlace, ChoiceError> {
    socket(text, &AbsolutePath::parse)
}

fn read_format(section: &Section<'_>) -> Result<CopyFormat, ConfigError> {
    let file = section.parse("file", file_name)?;
    let password_file = section.parse("password-file", AbsolutePath::parse)?;
    let foreign = |key, format| {
        Err(section.refuse(key, format_args!("it does not belong to format {format}")))
    };
    let format = section.parse("format", CopyFormat::parse)?.unwrap_or_default();
    match (&format, &file, &password_file) {
        (CopyFormat::Pem, Some(_), _) => foreign("file", "pem"),
        (CopyFormat::Pem, None, Some(_)) => foreign("password-file", "pem"),
        (CopyFormat::Combined { .. }, _, Some(_)) => foreign("password-file", "combined"),
        (CopyFormat::Pem, None, None) => Ok(format),
        (CopyFormat::Combined { .. }, _, None) => Ok(CopyFormat::Combined { file }),
        (CopyFormat::Pkcs12 { .. }, ..) => Ok(CopyFormat::Pkcs12 { file, password_file }),
    }
}

impl CopyFormat {
    /// Reads the word for it.
    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "pem" => Ok(Self::Pem),
            "combined" => Ok(Self::Combined { file: None }),
            "pkcs12" => Ok(Self::Pkcs12 { file: None, password_file: None }),
            _ => Err(keys::unknown_word(word, &["pem", "combined", "pkcs12"])),
        }
    }
}

/// Reads the name of a file in a directory that is given elsewhere.
fn file_name(text: &str) -> Result<String, ChoiceError> {
    let fits = (1..=255).contains(&text.len()) && !text.starts_with('.');
    if fits && !text.contains('/') && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let why = "give a name without slashes that does not begin with a dot";
    Err(ChoiceError::new(text, "file name", why))
}
