//! Zones at a company.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Company;
use super::failure::{Masks, in_dns};
use super::updaters::{self, Told};
use crate::challenge::dns01::credentials::Credentials;
use crate::challenge::dns01::{DnsError, Zone};
use crate::model::txt::Txt;

/// For all requests that one change takes, with what the library does again when it is told to wait.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Cloud {
    label: String,
    company: &'static Company,
    updater: DnsUpdater,
    masks: Masks,
    /// For one change.
    pub(super) patience: Duration,
    /// The one value at each name of a company that keeps no more.
    held: Mutex<BTreeMap<String, String>>,
}

impl Cloud {
    /// Reads the credentials; nothing is asked of the company yet.
    pub(super) fn new(
        label: &str,
        company: &'static Company,
        credentials: &Credentials,
    ) -> Result<Self, DnsError> {
        company.judge(label, credentials)?;
        let masks = Masks::of(company, credentials);
        // Without them the library panics.
        if rustls_native_certs::load_native_certs().certs.is_empty() {
            let why = "this system has no root certificates to know it by".to_owned();
            return Err(DnsError::Unreachable { provider: label.to_owned(), why });
        }
        let make = updaters::of(company.name).expect("a test holds that each company has one");
        let updater = make(&Told(credentials)).map_err(|error| DnsError::Credentials {
            provider: label.to_owned(),
            why: masks.shorten(&error.to_string()),
        })?;
        Ok(Self {
            label: label.to_owned(),
            company,
            updater,
            masks,
            patience: PATIENCE,
            held: Mutex::default(),
        })
    }

    /// Lets the library work in a task of its own: it may panic, and has no time limit everywhere.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        apex: &str,
        work: impl Future<Output = dns_update::Result<T>> + Send + 'static,
    ) -> Result<T, DnsError> {
        let mut task = JoinSet::new();
        task.spawn(timeout(self.patience, work));
        let provider = self.label.clone();
        match task.join_next().await {
            Some(Ok(Ok(Ok(done)))) => Ok(done),
            Some(Ok(Ok(Err(error)))) => Err(in_dns(&error, &provider, apex, &self.masks)),
            Some(Ok(Err(_))) => {
                let why = format!("it was not done within {} s", self.patience.as_secs());
                Err(DnsError::Unreachable { provider, why })
            }
            Some(Err(_)) | None => {
                let why = "the library that speaks with it failed".to_owned();
                Err(DnsError::Refused { provider, apex: apex.to_owned(), why })
            }
        }
    }

    /// Notes the one value of a name, or refuses a second.
    fn hold(&self, owner: &str, values: &[String]) -> Result<(), DnsError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.get(owner);
        if values.iter().chain(before).any(|value| *value != values[0]) {
            let why = format!(
                "{} keeps one value at a name, but a wildcard and its base name need one each: \
                 order them apart, or make the name an alias (CNAME) into a zone elsewhere",
                self.company.title
            );
            return Err(DnsError::Unwritable { name: owner.to_owned(), why });
        }
        held.insert(owner.to_owned(), values[0].clone());
        Ok(())
    }

    async fn put(&self, apex: &str, owner: &str, values: Vec<String>) -> Result<(), DnsError> {
        let single = self.company.single;
        if single {
            self.hold(owner, &values)?;
        }
        let (updater, ttl) = (self.updater.clone(), self.company.ttl);
        let (name, origin) = (owner.to_owned(), apex.to_owned());
        let values = values.into_iter().map(DnsRecord::TXT).collect();
        self.call(apex, async move {
            let kind = DnsRecordType::TXT;
            match single {
                true => updater.set_rrset(name, kind, ttl, values, origin).await,
                false => updater.add_to_rrset(name, kind, ttl, values, origin).await,
            }
        })
        .await
    }

    async fn take(&self, apex: &str, owner: &str, values: Vec<String>) -> Result<(), DnsError> {
        let single = self.company.single;
        let (updater, ttl) = (self.updater.clone(), self.company.ttl);
        let (name, origin) = (owner.to_owned(), apex.to_owned());
        let values = values.into_iter().map(DnsRecord::TXT).collect();
        self.call(apex, async move {
            let kind = DnsRecordType::TXT;
            match single {
                true => updater.set_rrset(name, kind, ttl, Vec::new(), origin).await,
                false => updater.remove_from_rrset(name, kind, values, origin).await,
            }
        })
        .await?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(owner);
        Ok(())
    }
}

#[async_trait]
impl Zone for Cloud {
    fn label(&self) -> &str {
        &self.label
    }

    fn can_check(&self) -> bool {
        !self.company.single
    }

    /// Lists the records at a name that a challenge may have; without a right to read, it fails.
    async fn check(&self, apex: &str) -> Result<(), DnsError> {
        if !self.can_check() {
            return Ok(());
        }
        let (updater, origin) = (self.updater.clone(), apex.to_owned());
        let name = format!("_acme-challenge.{apex}");
        let list =
            async move { updater.list_rrset(name, DnsRecordType::TXT, origin).await.map(drop) };
        self.call(apex, list).await
    }

    /// One name after another: companies that store a zone as a whole lose what comes at once.
    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        for ((apex, owner), values) in by_name(records)? {
            self.put(apex, owner, values).await?;
        }
        Ok(())
    }

    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        let mut first = Ok(());
        for ((apex, owner), values) in by_name(records)? {
            first = first.and(self.take(apex, owner, values).await);
        }
        first
    }
}

/// The values for each name, in the order of the names.
fn by_name(records: &[Txt]) -> Result<BTreeMap<(&str, &str), Vec<String>>, DnsError> {
    let mut names: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for txt in records {
        // The library would write a name outside of the zone somewhere else, or panic.
        let within = txt.owner.strip_suffix(&txt.apex);
        if txt.apex.is_empty() || within.is_none_or(|rest| !rest.is_empty() && !rest.ends_with('.'))
        {
            let why = match txt.apex.as_str() {
                "" => "the zone it lies in was not found".to_owned(),
                apex => format!("it does not lie in the zone {apex}"),
            };
            return Err(DnsError::Unwritable { name: txt.owner.clone(), why });
        }
        let values = names.entry((&txt.apex, &txt.owner)).or_default();
        if !values.contains(&txt.value) {
            values.push(txt.value.clone());
        }
    }
    Ok(names)
}
