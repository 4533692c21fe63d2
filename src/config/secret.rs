//! Secrets: where they may come from, and a type that does not tell.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::choice::{AbsolutePath, ChoiceError};
use super::file::{self, FileError, Trust};
use super::reader::{ConfigError, Section};
use crate::hook::command::Command;
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, HookError, capture};

/// A secret text of one line: zeroed when dropped, printed as `***`.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text without the end of its line; `None` if that leaves nothing or more than
    /// one word.
    pub(crate) fn new(mut text: String) -> Option<Self> {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        let secret = Self(Zeroizing::new(text));
        let fits =
            !secret.0.is_empty() && secret.0.chars().all(|c| !c.is_whitespace() && !c.is_control());
        fits.then_some(secret)
    }

    /// Hands the text out; the caller keeps it out of logs, arguments and files.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is kept, from the best place to the worst.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SecretSource {
    Credential(CredentialName),
    /// A file of root or of the running user that nobody else may read.
    File(AbsolutePath),
    /// A program that prints it, run like a hook.
    Command(Command),
    Environment(VariableName),
    /// Written out in the settings, which then nobody else may read.
    Literal(Secret),
}

/// The name of a systemd credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CredentialName(String);

impl CredentialName {
    /// Takes what names a file and nothing else.
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
        let fits = (1..=255).contains(&text.len()) && !text.starts_with('.');
        if fits && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let why = "1 to 255 letters, digits, dots, hyphens and underscores are allowed";
        Err(ChoiceError::new(text, "credential name", why))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an environment variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct VariableName(String);

impl VariableName {
    pub(crate) fn parse(text: &str) -> Result<Self, ChoiceError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let digit = text.starts_with(|c: char| c.is_ascii_digit());
        if (1..=255).contains(&text.len()) && !digit && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let why = "letters, digits and underscores are allowed, no digit first";
        Err(ChoiceError::new(text, "environment variable", why))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a [`SecretSource`] is looked up in.
#[derive(Clone, Copy)]
pub(crate) struct SecretPlaces<'a> {
    /// `$CREDENTIALS_DIRECTORY`.
    pub(crate) credentials: Option<&'a Path>,
    /// Reads the agent's own environment.
    pub(crate) variable: &'a (dyn Fn(&str) -> Option<OsString> + Sync),
}

/// Why a secret could not be had; never holds a part of it.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    #[error("no systemd credential {name}: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials { name: String },
    #[error("environment variable {name} is not set")]
    NoVariable { name: String },
    #[error("what {place} holds is not a secret of one word")]
    NotOneWord { place: String },
    #[error("there is no text in {place}")]
    Empty { place: String },
    #[error("what {place} holds is no text, or more of it than {limit} bytes")]
    NotText { place: String, limit: usize },
    #[error("cannot get a secret from a program")]
    Program(#[from] HookError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl SecretError {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoCredentials { name } => {
                Some(format!("add LoadCredential={name}:PATH to the systemd unit"))
            }
            Self::Program(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::NoVariable { .. }
            | Self::NotOneWord { .. }
            | Self::Empty { .. }
            | Self::NotText { .. } => None,
        }
    }

    /// Says whether it is a matter of who may write or read the file.
    pub(crate) fn is_unsafe(&self) -> bool {
        matches!(self, Self::File(error) if error.is_unsafe())
    }
}

impl SecretSource {
    const LONGEST: usize = 16 * 1024;
    const LONGEST_TEXT: usize = 64 * 1024;
    /// Long enough to unlock a key store, short enough for a run of many certificates.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Where it is kept, as messages name it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Literal(_) => "the settings".to_owned(),
            Self::Credential(CredentialName(name)) => format!("systemd credential {name}"),
            Self::File(path) => path.to_string(),
            Self::Command(command) => format!("the output of {}", Hook::from(command).program()),
            Self::Environment(VariableName(name)) => format!("environment variable {name}"),
        }
    }

    /// Fetches the secret.
    pub(crate) async fn reveal(&self, places: SecretPlaces<'_>) -> Result<Secret, SecretError> {
        let text = self.fetch(places, Self::LONGEST).await?;
        Secret::new(text).ok_or_else(|| SecretError::NotOneWord { place: self.place() })
    }

    /// Fetches a secret of several lines, such as all the credentials a provider wants.
    pub(crate) async fn reveal_text(
        &self,
        places: SecretPlaces<'_>,
    ) -> Result<Zeroizing<String>, SecretError> {
        let limit = Self::LONGEST_TEXT;
        let text = Zeroizing::new(self.fetch(places, limit).await?);
        match text.len() {
            0 => Err(SecretError::Empty { place: self.place() }),
            length if length > limit => Err(SecretError::NotText { place: self.place(), limit }),
            _ => Ok(text),
        }
    }

    async fn fetch(&self, places: SecretPlaces<'_>, limit: usize) -> Result<String, SecretError> {
        Ok(match self {
            Self::Literal(secret) => secret.expose().to_owned(),
            Self::Credential(CredentialName(name)) => {
                let no_credentials = || SecretError::NoCredentials { name: name.clone() };
                let path = places.credentials.ok_or_else(no_credentials)?.join(name);
                read(&path, limit, Trust::Path)?
            }
            Self::File(path) => read(path.as_path(), limit, Trust::Secret)?,
            Self::Command(command) => {
                let hook = Hook::from(command).within(Self::PATIENCE);
                to_text(capture(&hook, &HookEnv::new()).await?)
            }
            Self::Environment(VariableName(name)) => {
                let value = (places.variable)(name);
                let value = value.ok_or_else(|| SecretError::NoVariable { name: name.clone() })?;
                to_text(value.into_encoded_bytes())
            }
        })
    }
}

/// Reads the places of a secret that are given, `KEY-credential`, `KEY-file` and so on; a literal
/// is no affair of this.
pub(super) fn read_sources(
    section: &Section<'_>,
    key: &str,
) -> Result<Vec<SecretSource>, ConfigError> {
    let key = |place: &str| format!("{key}-{place}");
    let command = section.value(&key("command"))?.map(|node| node.command()).transpose()?;
    let sources = [
        section.parse(&key("credential"), CredentialName::parse)?.map(SecretSource::Credential),
        section.parse(&key("file"), AbsolutePath::parse)?.map(SecretSource::File),
        command.map(SecretSource::Command),
        section.parse(&key("env"), VariableName::parse)?.map(SecretSource::Environment),
    ];
    Ok(sources.into_iter().flatten().collect())
}

/// Reads the one place of a secret that is given, be it the secret itself as `KEY`.
pub(super) fn read_one(
    section: &Section<'_>,
    key: &str,
) -> Result<Option<SecretSource>, ConfigError> {
    let literal = |text: &str| {
        let secret = Secret::new(text.to_owned()).map(SecretSource::Literal);
        secret.ok_or("it is a secret of one word")
    };
    let mut sources = read_sources(section, key)?;
    sources.extend(section.parse(key, literal)?);
    match sources.len() {
        0 | 1 => Ok(sources.pop()),
        _ => Err(section.refuse(key, "only one place of it may be given")),
    }
}

fn read(path: &Path, limit: usize, trust: Trust) -> Result<String, FileError> {
    let found = file::read(path, limit, trust)?;
    Ok(found.ok_or_else(|| FileError::Missing { path: path.to_owned() })?.text)
}

/// The bytes as text, or an empty one, without leaving a copy.
fn to_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        error.into_bytes().zeroize();
        String::new()
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make the files that are read")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOTHING: SecretPlaces<'static> = SecretPlaces { credentials: None, variable: &|_| None };

    fn command(words: &[&str]) -> SecretSource {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        SecretSource::Command(Command::new(words).unwrap())
    }

    #[test]
    fn a_secret_does_not_tell() {
        let secret = Secret::new("hunter2\n".to_owned()).unwrap();
        assert_eq!(secret.expose(), "hunter2");
        let source = SecretSource::Literal(secret.clone());
        assert_eq!(format!("{secret} {secret:?} {source:?}"), "*** *** Literal(***)");
        for bad in ["", "\n", "a b", "a\nb", "a\0", " a"] {
            assert_eq!(Secret::new(bad.to_owned()), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn every_source_gives_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "hunter2\r\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let variable = |name: &str| (name == "KEY").then(|| OsString::from("hunter2"));
        let places = SecretPlaces { credentials: Some(dir.path()), variable: &variable };
        let sources = [
            SecretSource::Credential(CredentialName::parse("key").unwrap()),
            SecretSource::File(AbsolutePath::parse(path.to_str().unwrap()).unwrap()),
            command(&["printf", "hunter2"]),
            SecretSource::Environment(VariableName::parse("KEY").unwrap()),
            SecretSource::Literal(Secret::new("hunter2".to_owned()).unwrap()),
        ];
        for source in sources {
            assert_eq!(source.reveal(places).await.unwrap().expose(), "hunter2", "{source:?}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        let file = SecretSource::File(AbsolutePath::parse(path.to_str().unwrap()).unwrap());
        let error = file.reveal(places).await.unwrap_err();
        assert!(error.to_string().ends_with("has mode 0440: others may read it"), "{error}");
        assert!(error.hint().unwrap().starts_with("chmod 600 /"));
    }

    #[tokio::test]
    async fn a_text_may_have_many_lines_and_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dns.toml");
        let file = || SecretSource::File(AbsolutePath::parse(path.to_str().unwrap()).unwrap());
        let with_mode = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let text = "a = \"hunter2\"\n".repeat(4000);
        with_mode(&text, 0o600);
        assert_eq!(*file().reveal_text(NOTHING).await.unwrap(), text);
        let printed = command(&["printf", "a = 1\\nb = 2\\n"]).reveal_text(NOTHING).await.unwrap();
        assert_eq!(*printed, "a = 1\nb = 2\n");
        with_mode(&text, 0o644);
        let error = file().reveal_text(NOTHING).await.unwrap_err();
        assert!(error.is_unsafe() && error.hint().unwrap().starts_with("chmod 600 "), "{error}");
        with_mode(&text.repeat(2), 0o600);
        let error = file().reveal_text(NOTHING).await.unwrap_err();
        assert!(error.to_string().ends_with("larger than 65536 bytes"), "{error}");
        for nothing in [&["printf", ""][..], &["printf", "\\377"]] {
            let error = command(nothing).reveal_text(NOTHING).await.unwrap_err();
            assert_eq!(error.to_string(), "there is no text in the output of printf");
        }
    }

    #[tokio::test]
    async fn failures_name_the_place_and_not_the_secret() {
        let absent = AbsolutePath::parse("/no/such/file").unwrap();
        let table = [
            (SecretSource::Credential(CredentialName::parse("key").unwrap()), "CREDENTIALS_DIR"),
            (SecretSource::Environment(VariableName::parse("KEY").unwrap()), "KEY is not set"),
            (SecretSource::File(absent), "/no/such/file does not exist"),
            (command(&["printf", "hunter2 \\n x"]), "output of printf"),
            (command(&["printf", "\\377hunter2"]), "output of printf"),
        ];
        for (source, part) in table {
            let error = source.reveal(NOTHING).await.unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error:?}{error}").contains("hunter2"));
        }
        let error = command(&["/no/such/program"]).reveal(NOTHING).await.unwrap_err();
        assert!(error.hint().is_some(), "{error:?}");
    }

    #[test]
    fn names_cannot_leave_their_place() {
        for bad in ["", "..", ".hidden", "a/b", "a b", "a\0"] {
            assert!(CredentialName::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "1A", "A=B", "A B", "A-B"] {
            assert!(VariableName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
