//! The values settings are made of, each parsed or refused in one place for file and command line.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;
use url::Url;

use super::secret::SecretSource;
use crate::acme::MacAlgorithm;
use crate::hook::command::Command;

/// Why a text is not the value asked for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{text:?} is not a valid {what}: {why}")]
pub(crate) struct ChoiceError {
    text: String,
    what: &'static str,
    why: String,
}

impl ChoiceError {
    const SHOWN: usize = 80;

    pub(super) fn new(text: &str, what: &'static str, why: impl Into<String>) -> Self {
        let mut shown: String = text.chars().take(Self::SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { text: shown, what, why: why.into() }
    }
}

/// How the path of an argument is read.
pub(super) type PathReader<'a> = &'a dyn Fn(&str) -> Result<AbsolutePath, ChoiceError>;

/// Takes `WORD` or `WORD:ARGUMENT` apart, as targets and DNS providers are written in one line.
pub(super) fn short_form<'a>(
    text: &'a str,
    what: &'static str,
) -> Result<(&'a str, Option<&'a str>), ChoiceError> {
    const LONGEST: usize = 500;
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        let why = format!("up to {LONGEST} characters, none of control, are allowed");
        return Err(ChoiceError::new(text, what, why));
    }
    Ok(match text.split_once(':') {
        Some((word, argument)) => (word, Some(argument.trim())),
        None => (text, None),
    })
}

/// Reads what the operator calls something: 1 to 64 characters of `a-z 0-9 . - _` that begin with a
/// letter or digit.
pub(super) fn word(text: &str, what: &'static str) -> Result<String, ChoiceError> {
    const LONGEST: usize = 64;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
    let fits = (1..=LONGEST).contains(&text.len()) && !text.starts_with(['.', '-', '_']);
    if fits && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    let why = "1 to 64 characters of a-z, 0-9, dot, hyphen and underscore are allowed";
    Err(ChoiceError::new(text, what, why))
}

/// The name of a CA: a row of the built-in table or of `[[ca]]`; safe as a folder name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct CaName(String);

impl CaName {
    /// Takes 1 to 64 characters of `a-z 0-9 . - _` that begin with a letter or digit.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        word(text, "CA name").map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which CA is asked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum CaChoice {
    /// The one inside the process.
    Embedded,
    /// A row of `[[ca]]`, else of the built-in table.
    Named(CaName),
    /// The URL of a directory (RFC 8555 §7.1.1).
    Server(Url),
}

impl CaChoice {
    pub(crate) const EMBEDDED: &'static str = "embedded";

    /// Reads a name or an `https` URL.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        if text == Self::EMBEDDED {
            Ok(Self::Embedded)
        } else if text.contains("://") {
            directory_url(text).map(Self::Server)
        } else {
            CaName::parse(text).map(Self::Named)
        }
    }
}

impl Default for CaChoice {
    fn default() -> Self {
        Self::Named(CaName("letsencrypt".to_owned()))
    }
}

impl fmt::Display for CaChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str(Self::EMBEDDED),
            Self::Named(name) => name.fmt(f),
            Self::Server(url) => url.fmt(f),
        }
    }
}

/// Reads the URL of an ACME directory; RFC 8555 §6.1 demands https.
pub(super) fn directory_url(text: &str) -> Result<Url, ChoiceError> {
    https_url(text, "CA directory URL")
}

/// Reads the URL that hands out external account bindings.
pub(super) fn eab_desk(text: &str) -> Result<Url, ChoiceError> {
    https_url(text, "URL for account bindings")
}

fn https_url(text: &str, what: &'static str) -> Result<Url, ChoiceError> {
    let refuse = |why: &str| ChoiceError::new(text, what, why);
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if url.scheme() != "https" {
        return Err(refuse("it must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it must not hold a user name or password"));
    }
    Ok(url)
}

/// A path that means the same from every working directory and can be written into TOML.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct AbsolutePath(String);

impl AbsolutePath {
    /// Takes an absolute path without `..`.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        let refuse = |why| Err(ChoiceError::new(text, "path", why));
        let path = Path::new(text);
        if !path.is_absolute() {
            return refuse("it must be absolute (begin with a slash)");
        }
        if text.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
            return refuse("it must not contain .. or a NUL character");
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads what an operator types on a command line in the directory `cwd`.
    pub(crate) fn resolve(cwd: &Path, typed: &Path) -> Result<Self, ChoiceError> {
        let mut whole = PathBuf::new();
        for part in cwd.join(typed).components() {
            match part {
                // Like a shell's logical `cd ..`: what the operator sees in the prompt counts.
                Component::ParentDir => drop(whole.pop()),
                Component::CurDir => {}
                part => whole.push(part),
            }
        }
        let Some(text) = whole.to_str() else {
            let why = "settings can only hold UTF-8";
            return Err(ChoiceError::new(&whole.to_string_lossy(), "path", why));
        };
        Self::parse(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One mail address, as it goes behind `mailto:` (RFC 8555 §7.3, RFC 6068).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Email(String);

impl Email {
    const LONGEST: usize = 254;

    /// Refuses what a CA refuses: several addresses, header fields, a scheme, anything but ASCII.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        let refuse = |why| Err(ChoiceError::new(text, "mail address", why));
        let Some((user, host)) = text.split_once('@') else {
            return refuse("it has no @");
        };
        let plain = |b: u8| b.is_ascii_graphic() && !b",?&:;<>()\"\\".contains(&b);
        if text.len() > Self::LONGEST || !text.bytes().all(plain) {
            return refuse("give one plain address, such as ops@example.com");
        }
        if user.is_empty() || host.is_empty() || host.contains('@') || !host.contains('.') {
            return refuse("it needs a user before the @ and a domain after it");
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a short text that a CA's own words are compared with: a profile, a chain, a key id.
pub(crate) fn phrase(text: &str) -> Result<String, ChoiceError> {
    let fits = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits && text.trim() == text {
        return Ok(text.to_owned());
    }
    let why = "1 to 200 characters without control characters or outer spaces are allowed";
    Err(ChoiceError::new(text, "name", why))
}

/// What becomes of a certificate one of whose names the CA will not certify.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum OnBadName {
    /// Nothing is issued until it can be for all of them.
    #[default]
    Fail,
    /// When the runway is short the others are renewed without it, until it validates again.
    Split,
}

impl OnBadName {
    pub(super) const ALL: [Self; 2] = [Self::Fail, Self::Split];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Split => "split",
        }
    }
}

/// The operator's programs, run in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Hooks {
    pub(crate) pre: Vec<Command>,
    pub(crate) deploy: Vec<Command>,
    pub(crate) post: Vec<Command>,
}

/// Who may read the private key once it is complete; `None` leaves it to whoever runs the agent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Permissions {
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    /// Never wider than 0660.
    pub(crate) mode: Option<u32>,
}

impl Permissions {
    const WIDEST: u32 = 0o660;

    /// The mode a key gets: the declared one, else 0640 for a declared group, else 0600.
    pub(crate) fn effective_mode(&self) -> u32 {
        self.mode.unwrap_or(if self.group.is_some() { 0o640 } else { 0o600 })
    }

    /// Reads an octal mode such as `0640`; others never get access and the owner always reads.
    pub(super) fn parse_mode(text: &str) -> Result<u32, ChoiceError> {
        let refuse = |why| Err(ChoiceError::new(text, "mode", why));
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match u32::from_str_radix(text, 8) {
            Ok(mode) if octal && mode & !Self::WIDEST == 0 && mode & 0o400 != 0 => Ok(mode),
            Ok(_) if octal => refuse("a key may be read by its owner and group only, as in 0640"),
            _ => refuse("write it in octal, as in 0640"),
        }
    }

    /// Reads the name of a user or group; whether it exists is the store's question.
    pub(super) fn parse_account(text: &str) -> Result<String, ChoiceError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-$@".contains(&b);
        let fits = (1..=64).contains(&text.len()) && !text.starts_with('-');
        if fits && text.bytes().all(allowed) {
            return Ok(text.to_owned());
        }
        Err(ChoiceError::new(text, "user or group", "give a name or a number"))
    }
}

/// External account binding: which account at the CA's shop the ACME account belongs to
/// (RFC 8555 §7.3.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Eab {
    pub(crate) kid: String,
    /// The MAC key in base64url, as the CA hands it out.
    pub(crate) hmac_key: SecretSource,
    pub(crate) alg: MacAlgorithm,
}

impl Eab {
    pub(super) fn holds_secret(&self) -> bool {
        matches!(self.hmac_key, SecretSource::Literal(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cas_are_names_or_https_urls() {
        for text in ["letsencrypt", "corp-2", "embedded", "https://ca.example:9000/acme/dir"] {
            assert_eq!(CaChoice::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(CaChoice::parse("embedded"), Ok(CaChoice::Embedded));
        let long = "a".repeat(65);
        let bad = [
            "",
            "Corp",
            "a/b",
            "..",
            "-a",
            "a b",
            "http://ca.example",
            "file:///etc/passwd",
            "https://",
            "https://user:pw@ca.example/",
            &long,
        ];
        for text in bad {
            assert!(CaChoice::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn paths_are_absolute_and_resolved_from_where_they_are_typed() {
        let table = [
            ("/a/b", "/a/b"),
            ("b", "/home/x/b"),
            ("./b/./c", "/home/x/b/c"),
            ("../y", "/home/y"),
            ("../../../../y", "/y"),
            ("", "/home/x"),
        ];
        for (typed, meant) in table {
            let path = AbsolutePath::resolve(Path::new("/home/x"), Path::new(typed)).unwrap();
            assert_eq!(path.as_str(), meant, "{typed:?}");
        }
        for text in ["", "a", "./a", "/a/../b", "/a\0b"] {
            assert!(AbsolutePath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn mail_addresses_are_single_and_plain() {
        for text in ["a@b.example", "first.last+tag@mail.example"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text);
        }
        let bad = [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b",
            "a@b@c.d",
            "a@b.c,d@e.f",
            "a@b.c?subject=x",
            "mailto:a@b.c",
            "A <a@b.c>",
            "a b@c.d",
            "a@b.c\n",
            "ü@b.c",
        ];
        for text in bad {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn modes_never_reach_others() {
        for (text, mode) in [("0600", 0o600), ("640", 0o640), ("0400", 0o400), ("0660", 0o660)] {
            assert_eq!(Permissions::parse_mode(text), Ok(mode));
        }
        for text in ["0644", "0777", "0700", "4600", "0040", "0060", "8", "", "0o640", "+640", "rw"]
        {
            assert!(Permissions::parse_mode(text).is_err(), "{text:?}");
        }
        let group = Some("ssl-cert".to_owned());
        assert_eq!(Permissions::default().effective_mode(), 0o600);
        assert_eq!(Permissions { group, ..Permissions::default() }.effective_mode(), 0o640);
    }

    #[test]
    fn long_values_are_shortened_in_errors() {
        let error = Email::parse(&"x".repeat(1000)).unwrap_err().to_string();
        assert!(error.len() < 200 && error.contains('…'), "{error}");
    }
}
