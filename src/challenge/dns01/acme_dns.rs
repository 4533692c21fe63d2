//! acme-dns servers, and our registrations with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use zeroize::{Zeroize, Zeroizing};

use super::api::Api;
use super::credentials::Credentials;
use super::{DnsError, Memory, Zone};
use crate::dns;
use crate::model::txt::Txt;

/// Writes to a name of the server's own, of which the name the CA asks for is an alias.
///
/// Each such name has a registration, made when it is first needed and kept in the store; the
/// operator sets the alias once.
pub(super) struct AcmeDns {
    api: Api,
    /// One that was made elsewhere, for all names.
    given: Option<Registration>,
    memory: Arc<dyn Memory>,
    /// Held from looking for a registration until it is kept, so that a name gets one only.
    registering: tokio::sync::Mutex<()>,
}

/// What the server gave us for a name, in its own words.
#[derive(Clone, Deserialize, Serialize)]
struct Registration {
    username: String,
    password: String,
    fulldomain: String,
    subdomain: String,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.username.zeroize();
        self.password.zeroize();
    }
}

/// The server shows the last two values of a name: those of a wildcard and its base.
const MOST_VALUES: usize = 2;

impl AcmeDns {
    /// Takes `username`, `password`, `fulldomain` and `subdomain` of a registration, or none.
    pub(super) fn new(
        label: &str,
        url: &Url,
        credentials: &Credentials,
        memory: &Arc<dyn Memory>,
    ) -> Result<Self, DnsError> {
        let unusable = |why: String| DnsError::Credentials { provider: label.to_owned(), why };
        let keys = ["username", "password", "fulldomain", "subdomain"];
        if let Some(key) = credentials.keys().find(|key| !keys.contains(key)) {
            return Err(unusable(format!("{} is not known", key.escape_debug())));
        }
        let text = |key| credentials.get(key).map(str::to_owned);
        let given = match keys.map(text) {
            [Some(username), Some(password), Some(fulldomain), Some(subdomain)] => {
                Some(Registration { username, password, fulldomain, subdomain })
            }
            [None, None, None, None] => None,
            _ => return Err(unusable(format!("a registration has all of {}", keys.join(", ")))),
        };
        if given.as_ref().is_some_and(|one| !one.is_sound()) {
            return Err(unusable("the registration does not name its own subdomain".to_owned()));
        }
        let (api, memory) = (Api::new(label, url)?, Arc::clone(memory));
        Ok(Self { api, given, memory, registering: tokio::sync::Mutex::default() })
    }

    /// The registration of the name the CA asks for, made if there is none yet.
    async fn registration(&self, record: &Txt) -> Result<Registration, DnsError> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let label = format!("{} {}", self.api.label(), record.asked);
        let _turn = self.registering.lock().await;
        if let Some(kept) = self.memory.recall(&label).map_err(DnsError::Memory)? {
            let kept = serde_json::from_slice(&kept).map_err(|error| error.to_string());
            return kept.map_err(|why| {
                let why = format!(
                    "what is kept of the registration of {} is damaged: {why}",
                    record.asked
                );
                DnsError::Credentials { provider: self.api.label().to_owned(), why }
            });
        }
        let made = self.register(record).await?;
        let bytes = serde_json::to_vec(&made).expect("texts become JSON");
        self.memory.keep(&label, &Zeroizing::new(bytes)).map_err(DnsError::Memory)?;
        Ok(made)
    }

    async fn register(&self, record: &Txt) -> Result<Registration, DnsError> {
        let reply = self.api.send(self.api.post("register")).await?;
        if !reply.status.is_success() {
            return Err(self.api.refusal(&reply, &record.apex, &[]));
        }
        let made = serde_json::from_slice(&reply.body).ok().filter(Registration::is_sound);
        made.ok_or_else(|| self.api.failed("it answers with something that is no registration"))
    }

    async fn update(&self, record: &Txt, registration: &Registration) -> Result<(), DnsError> {
        let body = json!({ "subdomain": registration.subdomain, "txt": record.value });
        let request = self.api.post("update").json(&body);
        let request = request
            .header("X-Api-User", &registration.username)
            .header("X-Api-Key", &registration.password);
        let reply = self.api.send(request).await?;
        match reply.status.is_success() {
            true => Ok(()),
            false => {
                let secrets = [registration.password.as_str(), registration.username.as_str()];
                Err(self.api.refusal(&reply, &record.apex, &secrets))
            }
        }
    }
}

impl Registration {
    /// Whether it is one at all: names of the DNS, one below the other, and texts that fit a header.
    fn is_sound(&self) -> bool {
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let begins = format!("{}.", self.subdomain);
        [&self.username, &self.password, &self.subdomain, &self.fulldomain]
            .iter()
            .all(|text| is_plain(text))
            && self.fulldomain.starts_with(&begins)
            && dns::name(&self.fulldomain).is_some()
    }

    fn is_target_of(&self, record: &Txt) -> bool {
        self.fulldomain.trim_end_matches('.').eq_ignore_ascii_case(&record.owner)
    }
}

#[async_trait]
impl Zone for AcmeDns {
    fn label(&self) -> &str {
        self.api.label()
    }

    /// Only that the server answers: it has no request that changes nothing, and old ones have no
    /// page for their health.
    async fn check(&self, apex: &str) -> Result<(), DnsError> {
        let reply = self.api.send(self.api.get("health")).await?;
        match reply.status {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.api.refusal(&reply, apex, &[])),
        }
    }

    /// Writes nothing unless all names are aliases of what is registered for them.
    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        let mut names: BTreeMap<&str, Vec<&Txt>> = BTreeMap::new();
        for record in records {
            names.entry(&record.asked).or_default().push(record);
        }
        if let Some((name, _)) = names.iter().find(|(_, records)| records.len() > MOST_VALUES) {
            let why = format!("acme-dns shows no more than {MOST_VALUES} values at a name");
            return Err(DnsError::Unwritable { name: (*name).to_owned(), why });
        }
        let (mut ready, mut aliases) = (Vec::new(), Vec::new());
        for (name, records) in names {
            let registration = self.registration(records[0]).await?;
            match registration.is_target_of(records[0]) {
                true => ready.push((registration, records)),
                false => aliases.push((name.to_owned(), registration.fulldomain.clone())),
            }
        }
        if !aliases.is_empty() {
            return Err(DnsError::NoAlias { aliases });
        }
        for (registration, records) in ready {
            for record in records {
                self.update(record, &registration).await?;
            }
        }
        Ok(())
    }

    /// Nothing to do: the next values push these out.
    async fn remove(&self, _: &[Txt]) -> Result<(), DnsError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
