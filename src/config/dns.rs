//! Who edits the DNS for a certificate: a kind with its argument, or a `[[dns]]` by its name.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use url::{Host, Url};

use super::choice::{self, AbsolutePath, ChoiceError, PathReader, short_form};
use super::reader::{ConfigError, Section};
use crate::challenge::dns01::cloud::Company;
use crate::challenge::dns01::{Kind, Script};
use crate::hook::command::Command;
use crate::model::word::nearest;

mod table;

pub(crate) use table::{DnsTable, NoDns};

/// What a certificate's `[challenge]` says of the DNS.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DnsSettings {
    /// In the order in which zones are offered to them.
    pub(crate) providers: Vec<DnsChoice>,
    /// For those of [`Self::providers`] that are given by their kind.
    pub(crate) credentials: Option<AbsolutePath>,
    /// How long name servers may take to show a record; zero asks none.
    pub(crate) propagation_timeout: Option<Duration>,
    /// Asked instead of those of the system.
    pub(crate) resolvers: Vec<IpAddr>,
    /// The programs of [`DnsChoice::Manual`].
    pub(crate) manual_auth: Option<Command>,
    pub(crate) manual_cleanup: Option<Command>,
}

/// One provider of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DnsChoice {
    /// A kind, with its argument if it takes one, and its label.
    Short(Kind, String),
    /// The hooks that stand in the same `[challenge]`.
    Manual,
    /// A `[[dns]]`.
    Named(String),
}

/// The kinds of providers, by the word for them; companies are words, too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    Rfc2136,
    Exec,
    AcmeSh,
    Manual,
    LegoExec,
    HttpReq,
    AcmeDns,
    Company(&'static Company),
}

impl DnsSettings {
    /// Beyond it there is little left of what a CA gives to validate.
    pub(crate) const LONGEST_PROPAGATION: Duration = Duration::from_secs(3600);

    pub(super) fn read(challenge: &Section<'_>) -> Result<Self, ConfigError> {
        let command = |key| challenge.value(key)?.map(|node| node.command()).transpose();
        let timeout = challenge.value("dns-propagation-timeout")?;
        let timeout = timeout.map(|node| node.span(Duration::ZERO..=Self::LONGEST_PROPAGATION));
        let mut settings = Self {
            providers: challenge.parse_list("dns", DnsChoice::parse)?.unwrap_or_default(),
            credentials: challenge.parse("dns-credentials", AbsolutePath::parse)?,
            propagation_timeout: timeout.transpose()?,
            resolvers: challenge.parse_list("dns-resolvers", str::parse)?.unwrap_or_default(),
            manual_auth: command("manual-auth-hook")?,
            manual_cleanup: command("manual-cleanup-hook")?,
        };
        settings.imply_manual();
        Ok(settings)
    }

    /// Puts the manual hooks before all others where they are given and not listed.
    pub(crate) fn imply_manual(&mut self) {
        let given = self.manual_auth.is_some() || self.manual_cleanup.is_some();
        if given && !self.providers.contains(&DnsChoice::Manual) {
            self.providers.insert(0, DnsChoice::Manual);
        }
    }
}

impl DnsChoice {
    /// Reads what stands in a settings file, where paths are absolute.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        Self::read(text, &AbsolutePath::parse)
    }

    /// Reads what an operator types on a command line in the directory `cwd`.
    pub(crate) fn resolve(cwd: &Path, typed: &str) -> Result<Self, ChoiceError> {
        Self::read(typed, &|path| AbsolutePath::resolve(cwd, Path::new(path)))
    }

    /// What it is called in settings, memory and messages; [`Self::parse`] reads it again.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Short(_, label) | Self::Named(label) => label,
            Self::Manual => Word::Manual.as_str(),
        }
    }

    fn read(text: &str, path: PathReader<'_>) -> Result<Self, ChoiceError> {
        let refuse = |why: String| Err(ChoiceError::new(text, "DNS provider", why));
        let (word, argument) = short_form(text, "DNS provider")?;
        match (Word::find(word), argument) {
            (None, None) => name(text).map(Self::Named),
            (None, Some(_)) => refuse(Word::unknown(word)),
            (Some(Word::Manual), None) => Ok(Self::Manual),
            (Some(kind), argument) => match (kind.argument(), argument) {
                (None, Some(_)) => refuse(format!(
                    "{word} takes no argument: what it must be told stands in the credentials"
                )),
                (Some(_), None | Some("")) => refuse(format!("write it as {}", kind.form())),
                (_, argument) => {
                    let kind = kind.read(argument.unwrap_or_default(), path)?;
                    let label = label(&kind);
                    Ok(Self::Short(kind, label))
                }
            },
        }
    }
}

impl Word {
    const OWN: [Self; 7] = [
        Self::Rfc2136,
        Self::Exec,
        Self::AcmeSh,
        Self::Manual,
        Self::LegoExec,
        Self::HttpReq,
        Self::AcmeDns,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rfc2136 => "rfc2136",
            Self::Exec => "exec",
            Self::AcmeSh => "acme.sh",
            Self::Manual => "manual",
            Self::LegoExec => "lego-exec",
            Self::HttpReq => "httpreq",
            Self::AcmeDns => "acme-dns",
            Self::Company(company) => company.name,
        }
    }

    fn find(word: &str) -> Option<Self> {
        let own = Self::OWN.into_iter().find(|kind| kind.as_str() == word);
        own.or_else(|| Company::find(word).map(Self::Company))
    }

    fn parse(word: &str) -> Result<Self, String> {
        Self::find(word).ok_or_else(|| Self::unknown(word))
    }

    /// Every word there is.
    fn all() -> Vec<&'static str> {
        let companies = Company::all().map(Self::Company);
        Self::OWN.into_iter().chain(companies).map(Self::as_str).collect()
    }

    fn unknown(word: &str) -> String {
        let shown: String = word.chars().take(40).collect();
        match nearest(word, &Self::all()) {
            Some(meant) => format!("{shown:?} is unknown; did you mean {meant:?}?"),
            // The companies are too many to be listed.
            None => format!("{shown:?} is unknown; {}", Self::known()),
        }
    }

    /// The short forms, in a line.
    fn known() -> String {
        let forms: Vec<&str> = Self::OWN.into_iter().map(Self::form).collect();
        format!("known are {}, and the companies of acmeagent-dns(7)", forms.join(", "))
    }

    /// What stands behind the colon of its short form.
    fn argument(self) -> Option<&'static str> {
        self.form().split_once(':').map(|(_, argument)| argument)
    }

    /// The short form, with what stands behind the colon in capitals.
    fn form(self) -> &'static str {
        match self {
            Self::Exec => "exec:COMMAND",
            Self::AcmeSh => "acme.sh:dns_NAME",
            Self::LegoExec => "lego-exec:COMMAND",
            Self::HttpReq => "httpreq:URL",
            Self::AcmeDns => "acme-dns:URL",
            Self::Rfc2136 | Self::Manual | Self::Company(_) => self.as_str(),
        }
    }

    /// Reads the argument of a short form.
    fn read(self, argument: &str, path: PathReader<'_>) -> Result<Kind, ChoiceError> {
        Ok(match self {
            Self::Rfc2136 => Kind::Rfc2136,
            Self::Exec => Kind::Exec(command(argument)?),
            Self::AcmeSh => Kind::AcmeSh(script(argument, path)?),
            Self::LegoExec => Kind::LegoExec(command(argument)?),
            Self::HttpReq => Kind::HttpReq(server(argument)?),
            Self::AcmeDns => Kind::AcmeDns(server(argument)?),
            Self::Company(company) => Kind::Cloud(company),
            Self::Manual => {
                let why = "its hooks stand in [challenge], or in a [[dns]]";
                return Err(ChoiceError::new(self.as_str(), "DNS provider", why));
            }
        })
    }
}

/// The short form of a kind.
fn label(kind: &Kind) -> String {
    let line = |command: &Command| {
        let words = shlex::try_join(command.argv().iter().map(String::as_str));
        words.expect("the words of a command hold no NUL")
    };
    let word =
        |word: Word, argument: &dyn std::fmt::Display| format!("{}:{argument}", word.as_str());
    match kind {
        Kind::Rfc2136 => Word::Rfc2136.as_str().to_owned(),
        Kind::Exec(command) => word(Word::Exec, &line(command)),
        Kind::AcmeSh(Script::Named(name)) => word(Word::AcmeSh, name),
        Kind::AcmeSh(Script::At(path)) => word(Word::AcmeSh, &path.display()),
        Kind::Manual { .. } => Word::Manual.as_str().to_owned(),
        Kind::LegoExec(command) => word(Word::LegoExec, &line(command)),
        Kind::HttpReq(url) => word(Word::HttpReq, url),
        Kind::AcmeDns(url) => word(Word::AcmeDns, url),
        Kind::Cloud(company) => company.name.to_owned(),
    }
}

/// Reads the name of a `[[dns]]`.
fn name(text: &str) -> Result<String, ChoiceError> {
    choice::word(text, "DNS provider")
}

fn command(text: &str) -> Result<Command, ChoiceError> {
    Command::split(text).map_err(|error| ChoiceError::new(text, "command", error.to_string()))
}

/// Reads the name of a script of acme.sh, or its path.
fn script(text: &str, path: PathReader<'_>) -> Result<Script, ChoiceError> {
    const LONGEST: usize = 64;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if text.contains('/') || text.ends_with(".sh") {
        let path = path(text)?;
        let file = path.as_path().file_name().and_then(|file| file.to_str()).unwrap_or_default();
        return match file.strip_suffix(".sh") {
            // Its functions are called after the file.
            Some(stem) if stem.starts_with("dns_") && stem.bytes().all(allowed) => {
                Ok(Script::At(path.as_path().to_owned()))
            }
            _ => Err(ChoiceError::new(text, "script", "its file must be called dns_NAME.sh")),
        };
    }
    let fits = text.len() <= LONGEST && text.starts_with("dns_") && text.len() > 4;
    if fits && text.bytes().all(allowed) {
        return Ok(Script::Named(text.to_owned()));
    }
    Err(ChoiceError::new(text, "script", "give its name, as in dns_cf, or its path"))
}

/// Reads the URL of a server that is told secrets.
fn server(text: &str) -> Result<Url, ChoiceError> {
    let refuse = |why: &str| Err(ChoiceError::new(text, "URL", why));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return refuse("it must begin with https://, or be on loopback");
        }
        Err(error) => return refuse(&error.to_string()),
    };
    let on_loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if on_loopback => {}
        _ => return refuse("it must begin with https://, or be on loopback"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("user name and password stand in the credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it must end with its path");
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
