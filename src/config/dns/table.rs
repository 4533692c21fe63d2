//! A `[[dns]]` of `acmeagent.toml`: a provider with its own credentials, and zones it is for.

use thiserror::Error;

use super::{Word, name, script, server};
use crate::challenge::dns01::Kind;
use crate::config::choice::AbsolutePath;
use crate::config::reader::{ConfigError, Section};
use crate::config::secret::{self, SecretSource};
use crate::hook::command::Command;
use crate::model::name::DnsName;
use crate::model::word::nearest;

/// One `[[dns]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DnsTable {
    /// Its label in settings, memory and messages.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// It is for these and what lies below; empty for all.
    pub(crate) zones: Vec<String>,
    /// Where the text of its credentials is kept.
    pub(crate) credentials: Option<SecretSource>,
}

/// A `[[dns]]` is named that `acmeagent.toml` does not have.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("there is no [[dns]] named {name}, and no DNS provider of that name is known")]
pub(crate) struct NoDns {
    name: String,
    hint: String,
}

impl NoDns {
    pub(in crate::config) fn new(name: &str, tables: &[DnsTable]) -> Self {
        let named: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let mut words: Vec<&str> = Word::all();
        words.extend(&named);
        let hint = match nearest(name, &words) {
            Some(meant) => {
                format!("did you mean {}?", Word::find(meant).map_or(meant, |kind| kind.form()))
            }
            None if named.is_empty() => Word::known(),
            None => format!("{}, and here {}", Word::known(), named.join(", ")),
        };
        Self { name: name.to_owned(), hint }
    }

    /// Which one may be meant.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }
}

impl Word {
    /// The keys of its table, besides those of all.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Exec | Self::LegoExec => &["command"],
            Self::AcmeSh => &["script"],
            Self::Manual => &["auth", "cleanup"],
            Self::HttpReq | Self::AcmeDns => &["url"],
            Self::Rfc2136 | Self::Company(_) => &[],
        }
    }
}

impl DnsTable {
    const OF_ALL: [&str; 7] = [
        "name",
        "kind",
        "zones",
        "credentials-credential",
        "credentials-file",
        "credentials-command",
        "credentials-env",
    ];

    pub(in crate::config) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let name = section.required("name", name)?;
        if Word::find(&name).is_some() {
            return Err(section.refuse("name", "a kind of DNS providers has that name"));
        }
        let kind = section.required("kind", Word::parse)?;
        let foreign =
            section.keys().find(|key| !Self::OF_ALL.contains(key) && !kind.keys().contains(key));
        if let Some(key) = foreign {
            let why = match (kind.as_str(), kind.keys()) {
                (kind, []) => format!("it does not belong to kind {kind}, which has none"),
                (kind, known) => {
                    format!("it does not belong to kind {kind}, which has {}", known.join(", "))
                }
            };
            return Err(section.refuse(key, why));
        }
        let mut sources = secret::read_sources(section, "credentials")?.into_iter();
        let credentials = sources.next();
        if sources.next().is_some() {
            return Err(section.refuse("name", "only one of its credentials may be given"));
        }
        let zones = section.parse_list("zones", zone)?.unwrap_or_default();
        Ok(Self { name, kind: read_kind(kind, section)?, zones, credentials })
    }
}

fn read_kind(kind: Word, section: &Section<'_>) -> Result<Kind, ConfigError> {
    let url = || section.required("url", server);
    Ok(match kind {
        Word::Rfc2136 => Kind::Rfc2136,
        Word::Exec => Kind::Exec(program(section, "command")?),
        Word::LegoExec => Kind::LegoExec(program(section, "command")?),
        Word::AcmeSh => {
            Kind::AcmeSh(section.required("script", |text| script(text, &AbsolutePath::parse))?)
        }
        Word::Manual => {
            let cleanup = section.value("cleanup")?.is_some();
            let cleanup = cleanup.then(|| program(section, "cleanup")).transpose()?;
            Kind::Manual { auth: program(section, "auth")?, cleanup }
        }
        Word::HttpReq => Kind::HttpReq(url()?),
        Word::AcmeDns => Kind::AcmeDns(url()?),
        Word::Company(company) => Kind::Cloud(company),
    })
}

fn program(section: &Section<'_>, key: &str) -> Result<Command, ConfigError> {
    section.value(key)?.ok_or_else(|| section.missing(key))?.command()
}

/// Reads the name of a zone.
fn zone(text: &str) -> Result<String, String> {
    let name = DnsName::parse(text).map_err(|error| error.to_string())?;
    match name.is_wildcard() {
        false => Ok(name.as_str().to_owned()),
        true => Err("a zone has no wildcard: what lies below it is meant as well".to_owned()),
    }
}
