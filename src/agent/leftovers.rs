//! What earlier runs put into the DNS and did not remove: they were cut off, or the provider failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::{Agent, Trouble};
use crate::config::choice::AbsolutePath;
use crate::config::dns::{DnsChoice, DnsSettings};
use crate::model::event::Event;
use crate::model::fault::in_full;
use crate::model::name::CertName;
use crate::model::txt::{Leftover, Txt};

/// So many certificates' records are removed at once.
const AT_ONCE: usize = 4;

/// For all of it, and for one certificate's: a provider that hangs must not hold up renewals.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const PATIENCE_EACH: Duration = Duration::from_secs(2 * 60);

/// Tried in vain for so long, it is left to the operator.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who is to remove records, the path of what must be told them, and the zone.
type Group = (String, Option<String>, String);

impl Agent {
    /// Removes what is left, of certificates that are no more as well. What fails is left for the
    /// next time, with a notice.
    ///
    /// Bounded in time; a request to stop ends it at once. Who holds a certificate's lock may need its records still: those are passed over. Must be
    /// called within a tokio runtime: a crash of a provider ends no more than its task.
    pub(crate) async fn finish_leftovers(self: &Arc<Self>) {
        let names = self.store().with_leftovers().unwrap_or_default();
        let end = Instant::now() + PATIENCE;
        let tasks = names.into_iter().map(|name| {
            let agent = Arc::clone(self);
            async move {
                let _ = tokio::spawn(async move { agent.finish_until(&name, end).await }).await;
            }
        });
        futures_util::stream::iter(tasks).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn finish_until(&self, name: &CertName, end: Instant) {
        let mut stop = self.hands.stop.clone();
        let end = end.min(Instant::now() + PATIENCE_EACH);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = sleep_until(end) => {
                let text = "there was no time to remove all that is left in the DNS: that goes on \
                            with the next run";
                self.notice_of(name, text.to_owned());
            }
            () = self.finish(name) => {}
        }
    }

    async fn finish(&self, name: &CertName) {
        let Ok(_lock) = self.store().lock(name) else { return };
        let left = match self.store().leftovers(name) {
            Ok(left) => left,
            Err(error) => {
                let text =
                    format!("what is left in the DNS cannot be removed: {}", in_full(&error));
                return self.notice_of(name, text);
            }
        };
        if left.is_empty() {
            if self.store().layout().leftovers(name).exists() {
                let text = "what earlier runs left in the DNS cannot be read any more: look for \
                            TXT records of `_acme-challenge` names that are not needed";
                self.notice_of(name, text.to_owned());
            }
            let _ = self.store().forget_leftovers(name, "", &[]);
        }
        let mut groups: BTreeMap<Group, Vec<Leftover>> = BTreeMap::new();
        for one in left {
            let key = (one.provider.clone(), one.credentials.clone(), one.txt.apex.clone());
            groups.entry(key).or_default().push(one);
        }
        for ((provider, credentials, _), left) in groups {
            let records: Vec<Txt> = left.iter().map(|one| one.txt.clone()).collect();
            let removed = self.remove_left(name, &provider, credentials, &records).await;
            let forgotten = match removed {
                Ok(()) => self.store().forget_leftovers(name, &provider, &records),
                Err(trouble) => self.still_left(name, &left, &trouble),
            };
            if let Err(error) = forgotten {
                self.notice_of(name, format!("it is removed once more: {}", in_full(&error)));
            }
        }
    }

    /// Has records removed by who put them there, as the settings are now.
    async fn remove_left(
        &self,
        name: &CertName,
        provider: &str,
        credentials: Option<String>,
        records: &[Txt],
    ) -> Result<(), Trouble> {
        let unknown = |why| Trouble::UnknownDns { label: provider.to_owned(), why };
        let choice = DnsChoice::parse(provider).map_err(unknown)?;
        let credentials = credentials.map(|path| AbsolutePath::parse(&path)).transpose();
        let credentials = credentials.map_err(unknown)?;
        let mut settings = DnsSettings { credentials, ..DnsSettings::default() };
        if choice == DnsChoice::Manual {
            let path = self.store().layout().settings(name);
            let (own, _) = self.settings(name)?.ok_or(Trouble::NoSettings { path })?;
            settings.manual_auth = own.dns.manual_auth;
            settings.manual_cleanup = own.dns.manual_cleanup;
        }
        let memory = self.memory(name, &settings);
        let hands = self.provider(&choice, &settings, &memory).await?;
        hands.zone.remove(records).await.map_err(super::zones::in_trouble)?;
        for txt in records {
            let text = format!("removed {}, which an earlier run left in the DNS", shown(txt));
            self.notice_of(name, text);
        }
        Ok(())
    }

    /// Tells of what could not be removed, and gives up what is too old.
    fn still_left(
        &self,
        name: &CertName,
        left: &[Leftover],
        trouble: &Trouble,
    ) -> Result<(), crate::store::StoreError> {
        let (now, why) = (self.hands.clock.now(), in_full(trouble));
        for one in left {
            let record = shown(&one.txt);
            if now >= one.at.plus(LONGEST) {
                let text = format!("{record} is to be removed from the DNS by hand: {why}");
                self.notice_of(name, text);
                let txt = std::slice::from_ref(&one.txt);
                self.store().forget_leftovers(name, &one.provider, txt)?;
            } else {
                self.notice_of(name, format!("{record} may still be in the DNS: {why}"));
            }
        }
        Ok(())
    }

    fn notice_of(&self, name: &CertName, text: String) {
        self.hands.sink.note(Event::Noticed { name: name.clone(), text });
    }
}

fn shown(txt: &Txt) -> String {
    format!("{} TXT {:?}", txt.owner, txt.value)
}
