//! The target `copy`: the certificate as files elsewhere, in the form another program wants.

mod pkcs12;

use std::ffi::OsString;
use std::path::PathBuf;

use async_trait::async_trait;
use nix::unistd::{Group, User};
use thiserror::Error;
use zeroize::Zeroizing;

use self::pkcs12::Keystore;
use super::pair::Pair;
use super::place::{Access, NewFile, Place, PlaceError};
use super::{Delivery, Target, TargetError, Told};
use crate::model::file;
use crate::model::name::CertName;
use crate::model::traffic::Share;

/// Where the files go, whose they are, and what they look like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    /// An absolute path; it must be there.
    pub(crate) dir: PathBuf,
    pub(crate) owner: Option<Account>,
    pub(crate) group: Option<Account>,
    /// Of every file; unless given as narrow as the file allows.
    pub(crate) mode: Option<u32>,
    pub(crate) format: Format,
}

/// What is made of chain and key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// `cert.pem`, `chain.pem`, `fullchain.pem` and `privkey.pem`.
    Pem,
    /// The chain and then the key in one file, `NAME.pem` unless named.
    Combined { file: Option<FileName> },
    /// One PKCS#12 file (RFC 7292), `NAME.p12` unless named.
    Pkcs12 { file: Option<FileName>, password: Password },
}

/// What protects a PKCS#12 file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Password {
    /// The first line of a file of root or of the running user that nobody else may read.
    File(PathBuf),
    /// An empty one: the mode of the file alone protects the key.
    Empty,
}

/// A user or group, by name or number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Account(String);

/// The name of a file within the directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileName(String);

/// Why a text names no account or no file.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{text:?} is not a valid {what}")]
pub(crate) struct WordError {
    text: String,
    what: &'static str,
}

impl Account {
    /// Takes 1 to 64 printable characters without space, colon and slash.
    pub(crate) fn parse(text: &str) -> Result<Self, WordError> {
        let allowed = |c: char| c.is_ascii_graphic() && !":/".contains(c);
        match (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(WordError { text: text.to_owned(), what: "user or group" }),
        }
    }

    fn number(&self, find: impl Fn(&str) -> Option<u32>) -> Option<u32> {
        self.0.parse().ok().or_else(|| find(&self.0))
    }
}

impl FileName {
    /// Takes 1 to 240 characters of `a-z A-Z 0-9 . - _` that do not begin with a dot or hyphen.
    pub(crate) fn parse(text: &str) -> Result<Self, WordError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        let fits = (1..=240).contains(&text.len()) && !text.starts_with(['.', '-']);
        match fits && text.bytes().all(allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(WordError { text: text.to_owned(), what: "file name" }),
        }
    }
}

/// A directory that gets copies.
///
/// Restoring is copying what is live again. Between two of the four PEM files nothing is written,
/// only renamed, the key first: who watches the certificate for a change finds its key there. Who
/// reads in that very moment may see a key and a chain that do not match, and has to read again.
#[derive(Debug)]
pub(crate) struct Copy {
    settings: Settings,
    label: String,
}

/// A file as it is to be, but for its owner.
struct Rendered {
    name: OsString,
    bytes: Zeroizing<Vec<u8>>,
    holds_key: bool,
}

impl Copy {
    /// `label` is what it is called in settings and messages.
    pub(crate) fn new(label: String, settings: Settings) -> Self {
        Self { settings, label }
    }

    fn refuse(&self, what: String, hint: Option<&str>) -> TargetError {
        TargetError::Refused {
            target: self.label.clone(),
            what,
            output: String::new(),
            hint: hint.map(str::to_owned),
        }
    }

    /// Owner and group as numbers.
    fn accounts(&self) -> Result<(Option<u32>, Option<u32>), TargetError> {
        let uid = |name: &str| Some(User::from_name(name).ok()??.uid.as_raw());
        let gid = |name: &str| Some(Group::from_name(name).ok()??.gid.as_raw());
        let missing = |kind, account: &Account| {
            self.refuse(format!("there is no {kind} {}", account.0), None)
        };
        let find = |account: &Option<Account>, kind, find: &dyn Fn(&str) -> Option<u32>| {
            let number = account
                .as_ref()
                .map(|account| account.number(find).ok_or_else(|| missing(kind, account)));
            number.transpose()
        };
        Ok((find(&self.settings.owner, "user", &uid)?, find(&self.settings.group, "group", &gid)?))
    }

    /// Refuses what only root may do: to give a file away, or to a group we are not in.
    fn check_may_give(&self, owner: Option<u32>, group: Option<u32>) -> Result<(), TargetError> {
        let me = nix::unistd::geteuid();
        let mine = |gid: u32| {
            let others = nix::unistd::getgroups().unwrap_or_default();
            gid == nix::unistd::getegid().as_raw() || others.iter().any(|one| one.as_raw() == gid)
        };
        let allowed =
            me.is_root() || owner.is_none_or(|uid| uid == me.as_raw()) && group.is_none_or(mine);
        match allowed {
            true => Ok(()),
            false => Err(self.refuse(
                "only root can give files to that user or group".to_owned(),
                Some("run as root, or leave out owner and group"),
            )),
        }
    }

    /// The files of a pair, in the order in which they are switched.
    fn render(
        &self,
        name: &CertName,
        pair: &Pair,
        place: &Place,
    ) -> Result<Vec<Rendered>, TargetError> {
        let one = |file: &Option<FileName>, end: &str| match file {
            Some(FileName(file)) => OsString::from(file),
            None => OsString::from(format!("{}.{end}", name.as_str())),
        };
        let rendered = |name: OsString, text: &str, holds_key| Rendered {
            name,
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
            holds_key,
        };
        Ok(match &self.settings.format {
            Format::Pem => vec![
                rendered(file::PRIVKEY.into(), &pair.key.pem(), true),
                rendered(file::FULLCHAIN.into(), &pair.chain.pem(), false),
                rendered(file::CERT.into(), &pair.chain.leaf_pem(), false),
                rendered(file::CHAIN.into(), &pair.chain.issuers_pem(), false),
            ],
            Format::Combined { file } => vec![rendered(one(file, "pem"), &pair.combined(), true)],
            Format::Pkcs12 { file, password } => {
                let name_of_file = one(file, "p12");
                let password = password.reveal(&self.label)?;
                let keystore = Keystore { alias: name.as_str(), pair, password: &password };
                let old = place.read(&name_of_file).map_err(|error| error.of(&self.label))?;
                // It is encrypted anew each time: one that says the same is not exchanged.
                let bytes = match old.filter(|old| keystore.is_in(old)) {
                    Some(old) => old,
                    None => keystore.encode().map_err(|why| {
                        self.refuse(format!("the PKCS#12 file cannot be made: {why}"), None)
                    })?,
                };
                vec![Rendered { name: name_of_file, bytes, holds_key: true }]
            }
        })
    }

    fn access(&self, (owner, group): (Option<u32>, Option<u32>), holds_key: bool) -> Access {
        let narrow = match (holds_key, group) {
            (false, _) => 0o644,
            (true, None) => 0o600,
            (true, Some(_)) => 0o640,
        };
        Access { owner, group, mode: self.settings.mode.unwrap_or(narrow) }
    }

    /// Makes the files of a pair and hands them to the directory.
    fn with_files<T>(
        &self,
        delivery: &Delivery,
        pair: &Pair,
        act: impl FnOnce(&Place, &[NewFile<'_>]) -> Result<T, PlaceError>,
    ) -> Result<T, TargetError> {
        let accounts = self.accounts()?;
        self.check_may_give(accounts.0, accounts.1)?;
        let fail = |error: PlaceError| error.of(&self.label);
        let place = Place::open(&self.settings.dir, accounts.0).map_err(fail)?;
        let rendered = self.render(&delivery.name, pair, &place)?;
        let files = rendered.iter().map(|file| NewFile {
            name: &file.name,
            bytes: &file.bytes,
            access: self.access(accounts, file.holds_key),
        });
        act(&place, &files.collect::<Vec<_>>()).map_err(fail)
    }
}

#[async_trait]
impl Target for Copy {
    fn label(&self) -> &str {
        &self.label
    }

    async fn stage(&self, delivery: &Delivery) -> Result<(), TargetError> {
        let pair = Pair::archived(delivery, &self.label)?;
        self.with_files(delivery, &pair, |place, files| place.check(files))
    }

    async fn activate(&self, delivery: &Delivery, _share: Share) -> Result<Told, TargetError> {
        let pair = Pair::live(delivery, &self.label)?;
        self.with_files(delivery, &pair, |place, files| place.put(files))?;
        Ok(Told::default())
    }
}

#[cfg(test)]
mod tests;
