//! From a key on disk to a generation in the archive.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{Cause, Pressure, Run};
use crate::acme::{Account, AcmeError, Issued, KeyAlgorithm, NewOrder, Order, Profile};
use crate::acme::{OrderStatus, PATIENCE, csr, fresh_key};
use crate::certificate::{Chain, Key, KeyType};
use crate::model::event::Event;
use crate::model::generation::Generation;
use crate::model::name::Identifier;
use crate::pipeline::machine::{Acquire, State};
use crate::schedule::Exemption;
use crate::schedule::ladder::Rung;
use crate::store::StoreError;
use crate::store::archive::{GenerationFiles, Meta};
use crate::store::journal::OrderJournal;

/// How long a CA may take for an order, all its answers together: one that answers each time
/// just before it is given up must not hold a run for ever.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// What of it is left for taking answers to challenges back.
pub(super) const FOR_CLEANING_UP: Duration = Duration::from_secs(15);

impl Run<'_> {
    pub(super) async fn acquire(&mut self, at: Acquire) -> State<Cause> {
        match self.order().await {
            Ok(generation) => at.archived(generation),
            Err(cause) => {
                self.learn(&cause);
                State::untouched(cause)
            }
        }
    }

    /// Orders until a certificate comes of it: once more for each challenge type the CA refused, as
    /// long as another may do.
    async fn order(&mut self) -> Result<Generation, Cause> {
        let longest = self.longest();
        let late = |_| Cause::TooSlow { after: longest };
        let mut end = Instant::now() + longest;
        let prepared = timeout_at(end, self.prepare()).await;
        let (account, key, profile) = prepared.map_err(late)??;
        let mut rounds = self.usable.len();
        loop {
            let round = self.round(&account, &key, profile.as_deref(), end - FOR_CLEANING_UP);
            match timeout_at(end, round).await.map_err(late).and_then(|done| done) {
                Ok(generation) => return Ok(generation),
                Err(cause) => {
                    rounds = rounds.saturating_sub(1);
                    self.fall_back(cause, rounds > 0).await?;
                }
            }
            end = Instant::now() + longest;
        }
    }

    /// How long an order may take: name servers are not the CA's concern.
    pub(super) fn longest(&self) -> Duration {
        LONGEST + self.wanted.dns.as_ref().map(|dns| dns.patience).unwrap_or_default()
    }

    /// What an order needs before it can be opened.
    async fn prepare(&mut self) -> Result<(Account, Key, Option<String>), Cause> {
        // The key is made while the network waits.
        let opening = self.authority().account(&self.hands.store, &self.application);
        let (account, key) = tokio::join!(opening, self.key());
        let (account, key) = (account?.clone(), key?);
        Ok((account, key, self.profile().await?))
    }

    /// From one order to a generation in the archive.
    async fn round(
        &mut self,
        account: &Account,
        key: &Key,
        profile: Option<&str>,
        end: Instant,
    ) -> Result<Generation, Cause> {
        let mut order = self.open(account, profile.map(str::to_owned)).await?;
        let issued = self.bring_home(&mut order, key, end).await?;
        let chain = match self.pick_chain(&order, &issued, key).await {
            Ok(chain) => chain,
            Err(cause) => return Err(self.give_up_order(cause)?),
        };
        let sent = self.authority().session().await?.round_trips();
        self.note(Event::Measured {
            name: self.name.clone(),
            text: format!("{sent} requests to the CA so far"),
        });
        self.archive(account, &order, &chain, key)
    }

    /// Forgets an order whose certificate is of no use: taking it up again would bring the same one.
    ///
    /// Where only dates are at fault it stays for a day, for our clock may be wrong.
    fn give_up_order(&mut self, cause: Cause) -> Result<Cause, Cause> {
        if cause.condemns() || self.facts.order.as_ref().is_some_and(|order| self.is_old(order)) {
            self.settle(true);
            self.facts.order = None;
            self.save_facts()?;
        }
        Ok(cause)
    }

    /// The key to certify: stored and synced before anything is ordered for it.
    async fn key(&self) -> Result<Key, Cause> {
        let store = &self.hands.store;
        // One that is of no use is made anew: so far nothing was certified for it.
        let pending = store.pending_key(self.lock)?.and_then(|pem| Key::parse(&pem).ok());
        if let Some(pending) = pending.filter(|key| key.kind() == self.wanted.key_type) {
            return Ok(pending);
        }
        let pem = match self.key_to_keep()? {
            Some(pem) => pem,
            None => {
                let algorithm = algorithm(self.wanted.key_type);
                let made = tokio::task::spawn_blocking(move || fresh_key(algorithm)).await;
                let pem = made.map_err(|_| Cause::Interrupted)??;
                Zeroizing::new(pem.as_bytes().to_vec())
            }
        };
        store.save_pending_key(self.lock, &pem)?;
        Ok(Key::parse(&pem)?)
    }

    /// The live key, where the settings say that it stays and it is of the kind they want. That of a
    /// revoked certificate never is kept: it may be why.
    fn key_to_keep(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Cause> {
        let store = &self.hands.store;
        let live = store.live(self.name)?.filter(|live| !self.facts.bad.contains(live));
        let Some(live) = live.filter(|_| self.wanted.reuse_key) else { return Ok(None) };
        let pem = store.read(self.name, live)?.privkey;
        let fits = Key::parse(&pem)?.kind() == self.wanted.key_type;
        Ok(fits.then_some(pem))
    }

    /// The profile to ask for (draft-ietf-acme-profiles §4: only what the directory advertises).
    async fn profile(&self) -> Result<Option<String>, Cause> {
        let offered = &self.authority().session().await?.directory().profiles;
        let is_offered = |name: &str| offered.contains_key(name);
        if let Some(longer) = self.longer_profile(is_offered) {
            self.notice(format!("little time is left: asking for the longer profile {longer}"));
            return Ok(Some(longer.to_owned()));
        }
        match self.wanted.profile {
            Some(wanted) if is_offered(wanted.name()) => Ok(Some(wanted.name().to_owned())),
            Some(Profile::Required(wanted)) => Err(Cause::NoProfile {
                ca: self.authority().name().to_owned(),
                profile: wanted.clone(),
                offered: listed(offered.keys()),
            }),
            Some(Profile::Preferred(wanted)) => {
                self.notice(format!(
                    "the CA does not offer the profile {wanted}: ordered without it"
                ));
                Ok(None)
            }
            // Public CAs certify addresses for a few days only, under this profile.
            None if self.wanted.identifiers.iter().any(Identifier::is_ip) => {
                Ok(is_offered("shortlived").then(|| "shortlived".to_owned()))
            }
            None => Ok(None),
        }
    }

    /// A profile with a longer life than the preferred one, where attempts failed and time is short.
    fn longer_profile(&self, is_offered: impl Fn(&str) -> bool) -> Option<&'static str> {
        const BY_LIFE: [&str; 3] = ["shortlived", "tlsserver", "classic"];
        let Some(Profile::Preferred(wanted)) = self.wanted.profile else { return None };
        let Pressure { rung, failures, .. } = self.pressure;
        let only_names = !self.wanted.identifiers.iter().any(Identifier::is_ip);
        if rung < Rung::LongerProfile || failures == 0 || !only_names {
            return None;
        }
        let place = BY_LIFE.iter().position(|name| name == wanted)?;
        BY_LIFE[place + 1..].iter().copied().find(|name| is_offered(name))
    }

    /// The order: the one a crash left open where it still fits, a new one otherwise.
    async fn open(&mut self, account: &Account, profile: Option<String>) -> Result<Order, Cause> {
        if let Some(order) = self.resume(account, profile.as_deref()).await? {
            return Ok(order);
        }
        let mut wanted = NewOrder {
            identifiers: self.wanted.identifiers.to_vec(),
            profile: profile.clone(),
            replaces: self.replaces(account).await?,
        };
        let opened = match self.send(account, &wanted).await {
            Err(Cause::Acme(error)) if wanted.replaces.is_some() && error.concerns_replaces() => {
                self.notice(format!("ordering once more without `replaces`: {error}"));
                wanted.replaces = None;
                self.send(account, &wanted).await
            }
            opened => opened,
        };
        let order = opened?;
        self.facts.order = Some(OrderJournal {
            url: order.url().to_owned(),
            ca: self.authority().name().to_owned(),
            account_url: account.url().to_owned(),
            identifiers: wanted.identifiers,
            profile,
            replaces: wanted.replaces,
            opened_at: self.hands.clock.now(),
        });
        self.save_facts()?;
        Ok(order)
    }

    /// Whether an order was open long enough to be given up where it comes to nothing.
    fn is_old(&self, order: &OrderJournal) -> bool {
        const MENDABLE: Duration = Duration::from_secs(24 * 60 * 60);
        self.hands.clock.now().since(order.opened_at) > MENDABLE
    }

    async fn resume(
        &mut self,
        account: &Account,
        profile: Option<&str>,
    ) -> Result<Option<Order>, Cause> {
        let Some(journal) = &self.facts.order else { return Ok(None) };
        let set = |identifiers: &[Identifier]| identifiers.iter().cloned().collect::<BTreeSet<_>>();
        let fits = set(self.wanted.identifiers) == set(&journal.identifiers)
            && journal.account_url == account.url()
            && journal.profile.as_deref() == profile;
        if fits {
            match account.resume(&journal.url).await {
                Ok(order) if order.status() != OrderStatus::Invalid => {
                    self.notice("taking up the order an earlier run opened");
                    return Ok(Some(order));
                }
                // The CA answered, and has nothing left to take up.
                Ok(_) => self.settle(false),
                // To be asked too often says nothing of the order.
                Err(AcmeError::Refused { problem, .. }) if problem.status != 429 => {}
                // The CA answers, but of this order never: another one gets further.
                Err(AcmeError::Unavailable { .. }) if self.is_old(journal) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.facts.order = None;
        self.save_facts()?;
        Ok(None)
    }

    /// The certificate this order replaces (RFC 9773 §5): only towards the CA and account it came from.
    async fn replaces(&self, account: &Account) -> Result<Option<String>, Cause> {
        let store = &self.hands.store;
        let newest = store.generations(self.name)?.into_iter().rev();
        let Some(newest) = newest.into_iter().find(|g| !self.facts.bad.contains(g)) else {
            return Ok(None);
        };
        let meta = match store.meta(self.name, newest) {
            // It cannot be named any more; that never holds up a renewal.
            Err(StoreError::Damaged { .. }) => return Ok(None),
            meta => meta?,
        };
        let offers = self.authority().session().await?.directory().offers_renewal_info();
        Ok(meta.ari_id.filter(|_| offers && meta.account_url == account.url()))
    }

    /// Proves what is to be proven, finalizes, waits for the certificate.
    async fn bring_home(
        &mut self,
        order: &mut Order,
        key: &Key,
        end: Instant,
    ) -> Result<Issued, Cause> {
        let brought = async {
            if order.status() == OrderStatus::Pending {
                self.prove(order, end).await?;
            }
            if matches!(order.status(), OrderStatus::Pending | OrderStatus::Ready) {
                let request = csr(&key.pem(), order.identifiers())?;
                order.finalize(&request).await?;
            }
            Ok(order.wait_certificate(PATIENCE).await?)
        }
        .await;
        if matches!(&brought, Err(Cause::Acme(error)) if ends_the_order(error)) {
            self.settle(false);
            self.facts.order = None;
            self.save_facts()?;
        }
        brought
    }

    /// The chain to serve: the preferred one where the CA has it, else the first that verifies.
    async fn pick_chain(&self, order: &Order, issued: &Issued, key: &Key) -> Result<Chain, Cause> {
        let first = Chain::parse(issued.chain_pem.as_bytes())?;
        let preferred = self.wanted.preferred_chain;
        let is_preferred = |chain: &Chain| {
            preferred.is_none_or(|cn| chain.issuer_names().iter().any(|name| name == cn))
        };
        let judged = self.judge(&first, key, order.profile());
        if judged.is_ok() && is_preferred(&first) {
            return Ok(first);
        }
        let others = order.alternates(issued).await?;
        let others = others.iter().filter_map(|pem| Chain::parse(pem.as_bytes()).ok());
        let good: Vec<Chain> =
            others.filter(|chain| self.judge(chain, key, order.profile()).is_ok()).collect();
        if let Some(chosen) = good.iter().find(|chain| is_preferred(chain)) {
            return Ok(chosen.clone());
        }
        if let Some(cn) = preferred {
            self.notice(format!(
                "the CA has no chain with an issuer named {cn:?}: its default was taken"
            ));
        }
        match judged {
            Ok(()) => Ok(first),
            Err(cause) => good.into_iter().next().ok_or(cause),
        }
    }

    fn archive(
        &mut self,
        account: &Account,
        order: &Order,
        chain: &Chain,
        key: &Key,
    ) -> Result<Generation, Cause> {
        let (cert, issuers, fullchain) = (chain.leaf_pem(), chain.issuers_pem(), chain.pem());
        let files = GenerationFiles {
            cert: cert.as_bytes(),
            chain: issuers.as_bytes(),
            fullchain: fullchain.as_bytes(),
            privkey: Zeroizing::new(key.pem().as_bytes().to_vec()),
            access: self.wanted.access,
            meta: Meta {
                identifiers: chain.identifiers().into_iter().collect(),
                ca: self.authority().name().to_owned(),
                profile: order.profile().map(str::to_owned),
                account_url: account.url().to_owned(),
                order_url: order.url().to_owned(),
                issued_at: self.hands.clock.now(),
                validity: chain.validity(),
                fingerprint: chain.fingerprint().to_string(),
                ari_id: chain.ari_id().map(|id| id.as_str().to_owned()),
                serial: chain.serial(),
                key_type: key.kind().as_str().to_owned(),
                proof: self.proof(),
            },
        };
        let generation = self.hands.store.publish(self.lock, &files)?;
        self.note(Event::Issued {
            name: self.name.clone(),
            generation,
            ca: files.meta.ca.clone(),
            fingerprint: files.meta.fingerprint.clone(),
            key: chain.key_fingerprint(),
            not_after: files.meta.validity.not_after,
            exempt: self.ari_exempt == Some(Exemption::Exempt),
        });
        // Settled before it is forgotten: who dies in between takes the order up again, and settles it.
        self.settle(true);
        self.facts.order = None;
        self.facts.ca = Some(self.authority().name().to_owned());
        self.save_facts()?;
        self.hands.store.drop_pending(self.lock)?;
        Ok(generation)
    }
}

/// Whether nothing more can come of the order.
fn ends_the_order(error: &AcmeError) -> bool {
    matches!(
        error,
        AcmeError::Unproven { .. }
            | AcmeError::OrderInvalid { .. }
            | AcmeError::OtherIdentifiers { .. }
    )
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn algorithm(kind: KeyType) -> KeyAlgorithm {
    match kind {
        KeyType::P256 => KeyAlgorithm::P256,
        KeyType::P384 => KeyAlgorithm::P384,
        KeyType::Rsa2048 => KeyAlgorithm::Rsa2048,
        KeyType::Rsa3072 => KeyAlgorithm::Rsa3072,
        KeyType::Rsa4096 => KeyAlgorithm::Rsa4096,
    }
}
