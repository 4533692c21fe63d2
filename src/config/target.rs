//! Where a certificate is put to use: a kind with its argument, or a `[[target]]` by its name.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::choice::{self, AbsolutePath, ChoiceError, PathReader, short_form};
use super::keys;
use crate::hook::Hook;
use crate::hook::command::Command;

mod table;

pub(crate) use table::{NoTarget, TargetTable};

/// The kinds of targets, by the word for them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Nginx,
    Haproxy,
    Rustls,
    Copy,
    Systemd,
    Hook,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Nginx, Self::Haproxy, Self::Rustls, Self::Copy, Self::Systemd, Self::Hook];

    fn as_str(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Rustls => "rustls",
            Self::Copy => "copy",
            Self::Systemd => "systemd",
            Self::Hook => "hook",
        }
    }

    fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    fn parse(word: &str) -> Result<Self, String> {
        Self::find(word).ok_or_else(|| Self::unknown(word))
    }

    fn unknown(word: &str) -> String {
        keys::unknown_word(word, &Self::ALL.map(Self::as_str))
    }

    /// The short form, with what stands behind the colon in capitals.
    fn form(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy:SOCKET",
            Self::Rustls => "rustls:SOCKET",
            Self::Copy => "copy:DIR",
            Self::Systemd => "systemd:UNIT",
            Self::Hook => "hook:COMMAND",
        }
    }
}

/// A target with everything that is to be known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TargetKind {
    /// Its own configuration says the rest; these are for one that is not where nginx looks.
    Nginx {
        program: Option<AbsolutePath>,
        config: Option<AbsolutePath>,
        prefix: Option<AbsolutePath>,
        pid: Option<AbsolutePath>,
    },
    /// `file` is what the certificate is called there.
    Haproxy {
        socket: SocketPlace,
        file: Option<AbsolutePath>,
        /// Makes it read its files again, where the socket cannot exchange a certificate.
        reload: Option<Command>,
    },
    /// `certificate` is what it is called there, if not as here.
    Rustls {
        socket: AbsolutePath,
        certificate: Option<String>,
    },
    Copy {
        dir: AbsolutePath,
        owner: Option<String>,
        group: Option<String>,
        mode: Option<u32>,
        format: CopyFormat,
    },
    Systemd {
        unit: String,
    },
    Hook {
        command: Command,
        timeout: Option<Duration>,
    },
}

/// Where a server takes commands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SocketPlace {
    Path(AbsolutePath),
    /// On loopback only: the private key goes there in the clear.
    Loopback(SocketAddr),
}

impl fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Loopback(address) => address.fmt(f),
        }
    }
}

/// In which files a copy is kept; `file` is a name in its directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum CopyFormat {
    /// The four files of the live directory.
    #[default]
    Pem,
    /// Chain and key in one file.
    Combined {
        file: Option<String>,
    },
    Pkcs12 {
        file: Option<String>,
        password_file: Option<AbsolutePath>,
    },
}

/// One of a certificate's targets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TargetChoice {
    /// A kind, with its argument if it takes one, and its label.
    Short(TargetKind, String),
    /// A `[[target]]`.
    Named(String),
}

impl TargetChoice {
    /// Reads what stands in a settings file, where paths are absolute.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        Self::read(text, &AbsolutePath::parse)
    }

    /// Reads what an operator types on a command line in the directory `cwd`.
    pub(crate) fn resolve(cwd: &Path, typed: &str) -> Result<Self, ChoiceError> {
        Self::read(typed, &|path| AbsolutePath::resolve(cwd, Path::new(path)))
    }

    /// What it is called in settings, journal and messages; [`Self::parse`] reads it again.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Short(_, label) | Self::Named(label) => label,
        }
    }

    fn read(text: &str, path: PathReader<'_>) -> Result<Self, ChoiceError> {
        let refuse = |why: String| Err(ChoiceError::new(text, "target", why));
        let (word, argument) = short_form(text, "target")?;
        match (Kind::find(word), argument) {
            (None, None) => name(text).map(Self::Named),
            (None, Some(_)) => refuse(Kind::unknown(word)),
            (Some(Kind::Nginx), Some(_)) => {
                refuse("nginx takes no argument: what differs stands in a [[target]]".to_owned())
            }
            (Some(kind), None | Some("")) if kind != Kind::Nginx => {
                refuse(format!("write it as {}", kind.form()))
            }
            (Some(kind), argument) => {
                let target = TargetKind::short(kind, argument.unwrap_or_default(), path)?;
                let label = target.label();
                Ok(Self::Short(target, label))
            }
        }
    }
}

impl TargetKind {
    fn short(kind: Kind, argument: &str, path: PathReader<'_>) -> Result<Self, ChoiceError> {
        Ok(match kind {
            Kind::Nginx => Self::Nginx { program: None, config: None, prefix: None, pid: None },
            Kind::Haproxy => {
                Self::Haproxy { socket: socket(argument, path)?, file: None, reload: None }
            }
            Kind::Rustls => Self::Rustls { socket: path(argument)?, certificate: None },
            Kind::Copy => Self::Copy {
                dir: path(argument)?,
                owner: None,
                group: None,
                mode: None,
                format: CopyFormat::Pem,
            },
            Kind::Systemd => Self::Systemd { unit: unit(argument)? },
            Kind::Hook => {
                let command = Command::split(argument);
                let refuse = |error| ChoiceError::new(argument, "command", format!("{error}"));
                Self::Hook { command: command.map_err(refuse)?, timeout: None }
            }
        })
    }

    /// The short form.
    fn label(&self) -> String {
        match self {
            Self::Nginx { .. } => "nginx".to_owned(),
            Self::Haproxy { socket, .. } => format!("haproxy:{socket}"),
            Self::Rustls { socket, .. } => format!("rustls:{socket}"),
            Self::Copy { dir, .. } => format!("copy:{dir}"),
            Self::Systemd { unit } => format!("systemd:{unit}"),
            Self::Hook { command, .. } => Hook::from(command).label(),
        }
    }
}

/// Reads the name of a `[[target]]`.
fn name(text: &str) -> Result<String, ChoiceError> {
    choice::word(text, "target")
}

fn socket(text: &str, path: PathReader<'_>) -> Result<SocketPlace, ChoiceError> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() && address.port() != 0 => {
            Ok(SocketPlace::Loopback(address))
        }
        Ok(_) => {
            let why = "the key goes there in the clear: it must be on loopback, or a path";
            Err(ChoiceError::new(text, "socket", why))
        }
        Err(_) => path(text).map(SocketPlace::Path),
    }
}

/// Reads the name of a unit; one without a suffix is that of a service.
fn unit(text: &str) -> Result<String, ChoiceError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let fits = (1..=255).contains(&text.len()) && !text.starts_with(['-', '.']);
    if fits && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(ChoiceError::new(text, "unit", "give its name, as in nginx or nginx.service"))
}

#[cfg(test)]
mod tests;
