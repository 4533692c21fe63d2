//! The certificates a server begins with.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use thiserror::Error;

use crate::live::{Change, Listener, LiveCert, now};
use crate::pair::{PairError, Reader};
use crate::table::{Entry, Table};

/// Why there are no certificates to serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No crypto provider was given, and the process has none installed.
    #[error("no crypto provider is given or installed")]
    NoProvider,
    /// The crypto provider has no TLS 1.3 suite with SHA-256.
    #[error("the crypto provider has no SHA-256")]
    NoSha256,
    /// No folder was given.
    #[error("no certificate is given")]
    Empty,
    /// Two certificates under one name.
    #[error("two certificates are given under the name {0:?}")]
    NameTwice(String),
    /// The default is none of the certificates.
    #[error("no certificate is given under the default name {0:?}")]
    UnknownDefault(String),
    /// A certificate cannot be served.
    #[error("cannot load {name:?}")]
    Pair {
        /// The name it was given under.
        name: String,
        /// What is wrong with it.
        source: PairError,
    },
}

/// Gathers what [`LiveCert`] is made of.
#[must_use]
pub struct Builder {
    provider: Option<Arc<CryptoProvider>>,
    folders: Vec<(String, PathBuf)>,
    default: Option<String>,
    listener: Listener,
}

impl LiveCert {
    /// Begins with nothing.
    pub fn builder() -> Builder {
        Builder { provider: None, folders: Vec::new(), default: None, listener: Box::new(|_| {}) }
    }
}

impl Builder {
    /// Takes the cryptography from here instead of the process's default provider.
    pub fn provider(self, provider: Arc<CryptoProvider>) -> Self {
        Self { provider: Some(provider), ..self }
    }

    /// Adds the certificate of a live folder (`fullchain.pem`, `privkey.pem`) under a name.
    pub fn folder(mut self, name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.folders.push((name.into(), folder.into()));
        self
    }

    /// Names the certificate for clients that ask for what none covers; without it the first.
    pub fn default_name(self, name: impl Into<String>) -> Self {
        Self { default: Some(name.into()), ..self }
    }

    /// Has `listener` told of each change; it runs on the thread that made it and must not tarry.
    pub fn on_change(self, listener: impl Fn(&Change<'_>) + Send + Sync + 'static) -> Self {
        Self { listener: Box::new(listener), ..self }
    }

    /// Loads every folder. One that cannot be served is an error: a server does not begin without.
    pub fn build(self) -> Result<Arc<LiveCert>, BuildError> {
        let provider = self.provider.or_else(|| CryptoProvider::get_default().cloned());
        let reader =
            Reader::with(provider.ok_or(BuildError::NoProvider)?).ok_or(BuildError::NoSha256)?;
        let now = now();
        let mut names = HashSet::new();
        let mut entries = Vec::with_capacity(self.folders.len());
        for (name, folder) in self.folders {
            if !names.insert(name.clone()) {
                return Err(BuildError::NameTwice(name));
            }
            match reader.folder(&folder, now) {
                Ok(pair) => entries.push(Arc::new(Entry::settled(name, folder, pair))),
                Err(source) => return Err(BuildError::Pair { name, source }),
            }
        }
        if entries.is_empty() {
            return Err(BuildError::Empty);
        }
        let default = match self.default {
            None => 0,
            Some(name) => {
                let found = entries.iter().position(|entry| entry.name == name);
                found.ok_or(BuildError::UnknownDefault(name))?
            }
        };
        Ok(LiveCert::new(Table::new(entries, default), reader, self.listener))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("folders", &self.folders).finish_non_exhaustive()
    }
}
