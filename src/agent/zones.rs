//! From the DNS providers of the settings to the hands that edit zones.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Agent, Trouble};
use crate::challenge::dns01::credentials::Credentials;
use crate::challenge::dns01::{BoxError, Dns, DnsError, Kind, Memory, Places, Provider};
use crate::config::cert::{CertSettings, Contradiction};
use crate::config::dns::{DnsChoice, DnsSettings};
use crate::config::secret::{SecretPlaces, SecretSource};
use crate::dns::Resolvers;
use crate::model::event::Event;
use crate::model::name::CertName;
use crate::model::time::Clock;
use crate::model::txt::{Leftover, Txt};
use crate::store::Store;
use crate::store::layout::Label;

/// How long name servers may take to show a record, unless the settings say it.
const PATIENCE: Duration = Duration::from_secs(300);

impl Agent {
    /// The hands of a certificate in the DNS; `None` where its settings name no provider.
    ///
    /// Reads the credentials, and asks nobody anything.
    pub(crate) async fn dns(
        &self,
        name: &CertName,
        settings: &CertSettings,
    ) -> Result<Option<Arc<Dns>>, Trouble> {
        let wanted = &settings.dns;
        if wanted.providers.is_empty() {
            return Ok(None);
        }
        let memory = self.memory(name, wanted);
        let mut providers = Vec::new();
        for choice in &wanted.providers {
            providers.push(self.provider(choice, wanted, &memory).await?);
        }
        let (sink, about) = (Arc::clone(&self.hands.sink), name.clone());
        let tell = Box::new(move |text| sink.note(Event::Noticed { name: about.clone(), text }));
        let (sink, about) = (Arc::clone(&self.hands.sink), name.clone());
        let detail = Box::new(move |text| sink.note(Event::Measured { name: about.clone(), text }));
        let patience = wanted.propagation_timeout.unwrap_or(PATIENCE);
        let places = Places::default();
        let resolvers = Resolvers::at(&wanted.resolvers).unwrap_or_else(Resolvers::of_system);
        Ok(Some(Arc::new(Dns { providers, resolvers, places, patience, memory, tell, detail })))
    }

    pub(super) fn memory(&self, name: &CertName, settings: &DnsSettings) -> Arc<dyn Memory> {
        Arc::new(Remembered {
            store: Arc::clone(&self.hands.store),
            clock: Arc::clone(&self.hands.clock),
            name: name.clone(),
            credentials: settings.credentials.as_ref().map(ToString::to_string),
        })
    }

    /// One provider, with what it must be told: a `[[dns]]` has its own, the others have that of
    /// the certificate.
    pub(super) async fn provider(
        &self,
        choice: &DnsChoice,
        settings: &DnsSettings,
        memory: &Arc<dyn Memory>,
    ) -> Result<Provider, Trouble> {
        let own = || settings.credentials.clone().map(SecretSource::File);
        let (kind, zones, source) = match choice {
            DnsChoice::Short(kind, _) => (kind.clone(), Vec::new(), own()),
            DnsChoice::Manual => {
                let auth = settings.manual_auth.clone().ok_or(Contradiction::NoAuthHook)?;
                let cleanup = settings.manual_cleanup.clone();
                (Kind::Manual { auth, cleanup }, Vec::new(), own())
            }
            DnsChoice::Named(name) => {
                let table = self.authorities.main().dns(name)?;
                (table.kind.clone(), table.zones.clone(), table.credentials.clone())
            }
        };
        let label = choice.label();
        let credentials = match &source {
            Some(source) => credentials(label, source).await?,
            None => Credentials::default(),
        };
        let place = source.map(|source| source.place());
        let zone = kind.build(label, credentials, memory);
        let zone = zone.map_err(|error| in_trouble(located(error, place)))?;
        Ok(Provider { zone: self.dns_turns.take(&kind, zone), zones })
    }
}

/// Fetches and reads what a provider must be told.
async fn credentials(provider: &str, source: &SecretSource) -> Result<Credentials, Trouble> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
    let places = SecretPlaces {
        credentials: directory.as_deref().map(Path::new),
        variable: &|name| std::env::var_os(name),
    };
    let text = source.reveal_text(places).await.map_err(|source| {
        let provider = provider.to_owned();
        Trouble::DnsSecret { provider, source: Box::new(source) }
    })?;
    Credentials::parse(&text).map_err(|why| {
        let provider = provider.to_owned();
        in_trouble(DnsError::Credentials { provider, why: format!("{}, {why}", source.place()) })
    })
}

/// Says where the credentials stand that cannot be used, or that none were given.
fn located(error: DnsError, place: Option<String>) -> DnsError {
    match (error, place) {
        (DnsError::Credentials { provider, why }, Some(place)) => {
            DnsError::Credentials { provider, why: format!("{place}: {why}") }
        }
        (DnsError::Credentials { provider, why }, None) => {
            DnsError::NoCredentials { provider, why }
        }
        (other, _) => other,
    }
}

pub(super) fn in_trouble(error: DnsError) -> Trouble {
    Trouble::Cause(crate::challenge::SolverError::from(error).into())
}

/// The memory of one certificate, in the store; whoever uses it holds the certificate's lock.
struct Remembered {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    name: CertName,
    /// Where the credentials of short forms are.
    credentials: Option<String>,
}

impl Memory for Remembered {
    fn begin(&self, provider: &str, records: &[Txt]) -> Result<(), BoxError> {
        let at = self.clock.now();
        let records = records.iter().map(|txt| Leftover {
            provider: provider.to_owned(),
            credentials: self.credentials.clone(),
            txt: txt.clone(),
            at,
        });
        Ok(self.store.note_leftovers(&self.name, records.collect())?)
    }

    fn done(&self, provider: &str, records: &[Txt]) {
        // Remembered for longer than needed, they are removed once more.
        let _ = self.store.forget_leftovers(&self.name, provider, records);
    }

    fn recall(&self, label: &str) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(self.store.registration(&Label::of(label))?.map(|bytes| bytes.to_vec()))
    }

    fn keep(&self, label: &str, bytes: &[u8]) -> Result<(), BoxError> {
        Ok(self.store.save_registration(&Label::of(label), bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Identifier;
    use crate::model::time::Timestamp;
    use crate::store::disk::Real;
    use crate::store::layout::Layout;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix(1_800_000_000)
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn the_memory_keeps_what_providers_ask_it_to() {
        let home = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(Layout::in_home(home.path()), Arc::new(Real)).unwrap());
        let name = CertName::parse("a.example").unwrap();
        let memory = Remembered {
            store: Arc::clone(&store),
            clock: Arc::new(Noon),
            name: name.clone(),
            credentials: None,
        };
        // As acme-dns calls its registrations: a server and a name.
        let label = "acme-dns:https://auth.example.org/ _acme-challenge.a.example";
        assert_eq!(memory.recall(label).unwrap(), None);
        memory.keep(label, b"registration").unwrap();
        assert_eq!(memory.recall(label).unwrap().unwrap(), b"registration");
        assert_eq!(memory.recall(&label.replace("a.example", "b.example")).unwrap(), None);

        let txt = Txt {
            identifier: Identifier::parse("a.example").unwrap(),
            asked: "_acme-challenge.a.example".to_owned(),
            owner: "_acme-challenge.a.example".to_owned(),
            apex: String::new(),
            value: "value".to_owned(),
        };
        memory.begin("exec:/x", std::slice::from_ref(&txt)).unwrap();
        let left = store.leftovers(&name).unwrap();
        assert_eq!((left.len(), &left[0].txt, left[0].at), (1, &txt, Noon.now()));
        memory.done("exec:/x", &[txt]);
        assert_eq!(store.with_leftovers().unwrap(), []);
    }
}
