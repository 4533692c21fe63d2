//! The target `haproxy`: a certificate exchanged in the running process, without a reload.

mod binding;
pub(crate) mod configuration;
mod runtime;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub(crate) use self::runtime::SocketAddress;
use self::runtime::{Runtime, RuntimeError, Sha1, Shown};
use super::error::printable;
use super::pair::Pair;
use super::place::{Access, NewFile, Place, PlaceError, quoted};
use super::{Delivery, Target, TargetError, Told};
use crate::hook::command::Command;
use crate::hook::environment::HookEnv;
use crate::hook::{self, Hook};
use crate::model::endpoint::Endpoint;
use crate::model::name::Identifier;
use crate::model::traffic::Share;

/// Where HAProxy is asked, and for what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    /// A `stats socket` with `level admin`.
    pub(crate) socket: SocketAddress,
    /// The file that HAProxy loaded the certificate from, as its configuration names it; unless
    /// given, the one whose names are those of the certificate.
    pub(crate) file: Option<PathBuf>,
    /// Makes HAProxy read its files again, where the socket cannot do it.
    pub(crate) reload: Option<Command>,
}

/// One HAProxy, by its stats socket.
///
/// The running process gets the certificate first, then the file on disk that it will read when it
/// starts again: HAProxy has then shown that it can use these very bytes, so that no restart fails
/// over them. Cut between the two, a restart serves the earlier certificate, and the repetition that
/// follows any cut writes the file. When the process refuses, nothing has changed anywhere.
///
/// Only the processes behind the socket are asked: others with sockets of their own are targets of
/// their own, and old ones that only finish their connections keep what they have.
#[derive(Debug)]
pub(crate) struct Haproxy {
    settings: Settings,
    runtime: Runtime,
    label: String,
}

impl Haproxy {
    /// More loaded certificates than this are not searched for one with the right names.
    const MOST: usize = 1000;

    /// `label` is what it is called in settings and messages.
    pub(crate) fn new(label: String, settings: Settings) -> Self {
        let runtime = Runtime { socket: settings.socket.clone(), deadline: Runtime::DEADLINE };
        Self { settings, runtime, label }
    }

    fn refuse(&self, what: impl Into<String>, output: &str, hint: Option<String>) -> TargetError {
        let (target, output) = (self.label.clone(), printable(output));
        TargetError::Refused { target, what: what.into(), output, hint }
    }

    fn place_error(&self, error: PlaceError) -> TargetError {
        error.of(&self.label)
    }

    fn runtime_error(&self, error: RuntimeError) -> TargetError {
        let socket = &self.settings.socket;
        let what = printable(&error.to_string());
        match error {
            RuntimeError::Io(source) => TargetError::Io {
                target: self.label.clone(),
                what: format!("ask {socket}"),
                source,
            },
            RuntimeError::TimedOut => TargetError::TimedOut {
                target: self.label.clone(),
                what: "an answer of the stats socket",
                after: self.runtime.deadline,
            },
            RuntimeError::TooLong => self.refuse(what, "", None),
            RuntimeError::Denied => {
                let hint = format!("add `level admin` to the line `stats socket {socket}`");
                self.refuse(what, "", Some(hint))
            }
            RuntimeError::Unknown { .. } => {
                let hint = "name a stats socket of HAProxy 2.2 or later, not the master's";
                self.refuse(what, "", Some(hint.to_owned()))
            }
            RuntimeError::HungUp { .. } => {
                let hint = "raise tune.bufsize in HAProxy's configuration above that size";
                self.refuse(what, "", Some(hint.to_owned()))
            }
            RuntimeError::Busy { file } => {
                let hint = "finish it by `commit ssl cert` or give it up by `abort ssl cert`";
                let what = format!("a change of {file:?} that somebody began is not finished");
                self.refuse(what, "", Some(hint.to_owned()))
            }
            RuntimeError::Refused { ref answer, .. } => self.refuse(what, answer, None),
        }
    }

    /// Whether another way is left where the socket does not do it.
    fn is_left_to_reload(&self, error: &RuntimeError) -> bool {
        let unable = matches!(error, RuntimeError::Unknown { .. } | RuntimeError::HungUp { .. });
        unable && self.settings.reload.is_some()
    }

    /// The name HAProxy has for our certificate.
    async fn file(&self, delivery: &Delivery, leaf: Sha1) -> Result<String, TargetError> {
        let loaded = match self.runtime.loaded().await {
            Ok(loaded) => loaded.files,
            Err(error) => match &self.settings.file {
                Some(file) if self.is_left_to_reload(&error) => {
                    return Ok(file.display().to_string());
                }
                _ => return Err(self.runtime_error(error)),
            },
        };
        match &self.settings.file {
            Some(file) => self.named(&loaded, file),
            None => self.find(&loaded, delivery, leaf).await,
        }
    }

    fn named(&self, loaded: &[String], file: &Path) -> Result<String, TargetError> {
        let known = loaded.iter().find(|name| Path::new(name) == file);
        known.cloned().ok_or_else(|| {
            let what = format!("{} is not a file that HAProxy has loaded", file.display());
            let hint = format!("let a `bind` name it: crt {}", quoted(file));
            self.refuse(what, &loaded.join("\n"), Some(hint))
        })
    }

    /// The only one that is used and is this certificate or has its names.
    async fn find(
        &self,
        loaded: &[String],
        delivery: &Delivery,
        leaf: Sha1,
    ) -> Result<String, TargetError> {
        let refuse = |what: &str, output: &[&str]| {
            let hint = "name the file of the certificate in the setting `file`".to_owned();
            Err(self.refuse(what, &output.join("\n"), Some(hint)))
        };
        if loaded.len() > Self::MOST {
            return refuse("HAProxy has loaded too many certificates to look for ours", &[]);
        }
        let mut ours = Vec::new();
        for file in loaded {
            let shown = self.runtime.show(file).await.map_err(|error| self.runtime_error(error))?;
            let is_ours = |it: Shown| it.sha1 == leaf || has_names(&it, &delivery.identifiers);
            if shown.is_some_and(|shown| shown.used && is_ours(shown)) {
                ours.push(file.as_str());
            }
        }
        match &*ours {
            [file] => Ok((*file).to_owned()),
            [] => {
                let all: Vec<&str> = loaded.iter().map(String::as_str).collect();
                refuse("no certificate that HAProxy uses has just these names", &all)
            }
            several => refuse("HAProxy uses several certificates with just these names", several),
        }
    }

    /// Lets the running process serve the pair, unless it does already, and makes sure that it
    /// does.
    async fn exchange(&self, file: &str, pair: &Pair) -> Result<(), RuntimeError> {
        let leaf = leaf_of(pair);
        let serves = |shown: Option<Shown>| shown.is_some_and(|it| it.used && it.sha1 == leaf);
        if serves(self.runtime.show(file).await?) {
            return Ok(());
        }
        self.runtime.replace(file, &pair.combined()).await?;
        match serves(self.runtime.show(file).await?) {
            true => Ok(()),
            false => {
                let answer = "it was taken, but another one is still served".to_owned();
                Err(RuntimeError::Refused { act: "serve", answer })
            }
        }
    }

    /// Hands the directory of HAProxy's file to `act`, with what is to be in it; only the owner,
    /// group and mode stay.
    fn with_file<T: Default>(
        &self,
        file: &Path,
        delivery: &Delivery,
        pair: &Pair,
        act: impl FnOnce(&Place, &[NewFile<'_>]) -> Result<T, PlaceError>,
    ) -> Result<T, TargetError> {
        if file.starts_with(&delivery.live_dir) {
            // The switch has replaced it.
            return Ok(T::default());
        }
        let (Some(dir), Some(name)) = (file.parent(), file.file_name()) else {
            return Err(self.refuse(format!("{} is no file", file.display()), "", None));
        };
        if !file.is_absolute() {
            let what = format!("where {} lies depends on HAProxy", file.display());
            let hint = "let its configuration name the file by an absolute path";
            return Err(self.refuse(what, "", Some(hint.to_owned())));
        }
        let owner = std::fs::symlink_metadata(file).ok();
        let owner = owner.map(|facts| facts.uid());
        let place = Place::open(dir, owner).map_err(|error| self.place_error(error))?;
        let access = place.access_of(name).map_err(|error| self.place_error(error))?;
        // Before its first certificate there is no such file: HAProxy reads it as root.
        let access = access.unwrap_or(Access { owner: None, group: None, mode: 0o600 });
        if access.mode & 0o007 != 0 {
            let what = format!("{} is open to others (mode {:04o})", file.display(), access.mode);
            return Err(self.refuse(what, "", Some(format!("chmod o= {}", quoted(file)))));
        }
        let bytes = pair.combined();
        let new = NewFile { name, bytes: bytes.as_bytes(), access };
        act(&place, &[new]).map_err(|error| self.place_error(error))
    }
}

#[async_trait]
impl Target for Haproxy {
    fn label(&self) -> &str {
        &self.label
    }

    async fn stage(&self, delivery: &Delivery) -> Result<(), TargetError> {
        let pair = Pair::archived(delivery, &self.label)?;
        match self.runtime.check_level().await {
            Err(error) if !self.is_left_to_reload(&error) => return Err(self.runtime_error(error)),
            _ => {}
        }
        let file = self.file(delivery, leaf_of(&pair)).await?;
        self.with_file(Path::new(&file), delivery, &pair, |place, files| place.check(files))
    }

    /// One that does not run reads its file when it starts, and cannot start before it has one.
    async fn activate(&self, delivery: &Delivery, _share: Share) -> Result<Told, TargetError> {
        let pair = Pair::live(delivery, &self.label)?;
        let file = match (self.file(delivery, leaf_of(&pair)).await, &self.settings.file) {
            (Err(error), Some(file)) if error.is_nobody() => {
                self.with_file(file, delivery, &pair, |place, files| place.put(files))?;
                let (label, file) = (&self.label, file.display());
                let output = format!("{label} does not run; it reads {file} when it starts");
                return Ok(Told { output });
            }
            (file, _) => file?,
        };
        // What is in the way of the file is to be known before the process is told anything.
        self.with_file(Path::new(&file), delivery, &pair, |place, files| place.check(files))?;
        let reload = match self.exchange(&file, &pair).await {
            Ok(()) => None,
            Err(error) if self.is_left_to_reload(&error) => self.settings.reload.as_ref(),
            Err(error) => return Err(self.runtime_error(error)),
        };
        self.with_file(Path::new(&file), delivery, &pair, |place, files| place.put(files))?;
        match reload {
            None => Ok(Told::default()),
            Some(command) => {
                let report = hook::run(&Hook::from(command), &HookEnv::new()).await?;
                Ok(Told { output: report.output })
            }
        }
    }

    async fn endpoints(&self, delivery: &Delivery) -> Vec<Endpoint> {
        let Ok(pair) = Pair::archived(delivery, &self.label) else { return Vec::new() };
        let Ok(file) = self.file(delivery, leaf_of(&pair)).await else { return Vec::new() };
        configuration::endpoints(Path::new("/"), &[file.into()], &delivery.identifiers)
    }
}

fn leaf_of(pair: &Pair) -> Sha1 {
    Sha1::of(&pair.chain.ders()[0])
}

/// Whether a certificate is one for these identifiers, as far as HAProxy tells: it is silent about
/// IP addresses, so that one for nothing else has to be named.
fn has_names(shown: &Shown, identifiers: &[Identifier]) -> bool {
    let wanted = identifiers.iter().filter_map(|identifier| match identifier {
        Identifier::Dns(name) => Some(name.clone()),
        Identifier::Ip(_) => None,
    });
    !shown.names.is_empty() && shown.names == wanted.collect()
}

#[cfg(test)]
mod tests;
