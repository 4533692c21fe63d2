//! Companies with an API of their own, by a library that knows them.
//!
//! The table is always here, so that settings and manual say the same in every build; the library
//! comes with the cargo feature `dns-providers`.

mod companies;
#[cfg(feature = "dns-providers")]
mod failure;
#[cfg(test)]
#[cfg(feature = "dns-providers")]
mod powerdns;
#[cfg(test)]
#[cfg(feature = "dns-providers")]
mod tests;
#[cfg(feature = "dns-providers")]
mod updaters;
#[cfg(feature = "dns-providers")]
mod zone;

use std::sync::Arc;

use super::credentials::Credentials;
use super::{DnsError, Zone};
use crate::model::word::nearest;
use companies::COMPANIES;

/// A company, and what it wants to be told.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Company {
    /// What it is called in settings, as in `cloudflare`.
    pub(crate) name: &'static str,
    /// What it calls itself.
    pub(crate) title: &'static str,
    pub(crate) keys: &'static [Key],
    /// Seconds a record may be cached: short, but no less than the company takes.
    ttl: u32,
    /// Whether it keeps but one value at a name, and shows none.
    pub(crate) single: bool,
}

/// One line of a credentials file.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Key {
    /// As in `token`.
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    secret: bool,
    /// What it is, where its name does not say it.
    pub(crate) meaning: &'static str,
}

impl Company {
    /// Finds a company by its name in settings.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        let place = COMPANIES.binary_search_by_key(&name, |company| company.name).ok()?;
        Some(&COMPANIES[place])
    }

    /// Lists all, by name.
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        COMPANIES.iter()
    }

    const fn new(name: &'static str, title: &'static str, keys: &'static [Key]) -> Self {
        Self { name, title, keys, ttl: 120, single: false }
    }

    const fn ttl(self, ttl: u32) -> Self {
        Self { ttl, ..self }
    }

    const fn single(self) -> Self {
        Self { single: true, ..self }
    }

    /// Refuses credentials that lack a key or hold one nobody asked for.
    fn judge(&self, label: &str, credentials: &Credentials) -> Result<(), DnsError> {
        let wrong = |why: String| {
            let why = format!("{why}; wanted are {}", self.wanted());
            Err(DnsError::Credentials { provider: label.to_owned(), why })
        };
        let is_missing =
            |key: &&Key| key.required && credentials.get(key.name).is_none_or(str::is_empty);
        for typed in credentials.keys() {
            if self.keys.iter().all(|key| key.name != typed) {
                let known: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
                let meant = nearest(typed, &known).map(|known| format!(" (meant: `{known}`?)"));
                let typed: String = typed.escape_debug().take(40).collect();
                return wrong(format!("there is no key `{typed}`{}", meant.unwrap_or_default()));
            }
        }
        match self.keys.iter().find(is_missing) {
            Some(key) => wrong(format!("`{}` is missing", key.name)),
            None => Ok(()),
        }
    }

    /// As in `` `key`, `secret` (and perhaps `region`) ``.
    fn wanted(&self) -> String {
        let list = |required: bool| {
            let keys = self.keys.iter().filter(|key| key.required == required);
            keys.map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
        };
        match (list(true), list(false)) {
            (needed, optional) if optional.is_empty() => needed,
            (needed, optional) if needed.is_empty() => optional,
            (needed, optional) => format!("{needed} (and perhaps {optional})"),
        }
    }
}

impl Key {
    const fn plain(name: &'static str) -> Self {
        Self { name, required: true, secret: false, meaning: "" }
    }

    const fn secret(name: &'static str) -> Self {
        Self { secret: true, ..Self::plain(name) }
    }

    const fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    const fn is(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }
}

/// Makes the hands; nothing is asked of the company yet.
#[cfg(feature = "dns-providers")]
pub(super) fn build(
    label: &str,
    company: &'static Company,
    credentials: &Credentials,
) -> Result<Arc<dyn Zone>, DnsError> {
    Ok(Arc::new(zone::Cloud::new(label, company, credentials)?))
}

/// Says that this build has no such hands, once the credentials are in order.
#[cfg(not(feature = "dns-providers"))]
pub(super) fn build(
    label: &str,
    company: &'static Company,
    credentials: &Credentials,
) -> Result<Arc<dyn Zone>, DnsError> {
    company.judge(label, credentials)?;
    Err(DnsError::NotBuilt { provider: label.to_owned() })
}
