//! Gathers how a certificate stands.

use super::plan::{Insistence, Plan, Standing, advice, ask_at, plan};
use super::{Agent, Trouble};
use crate::acme::RenewalInfoError;
use crate::config::cert::CertSettings;
use crate::config::choice::CaChoice;
use crate::model::event::Event;
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::model::time::Timestamp;
use crate::pipeline::Task;
use crate::schedule;
use crate::schedule::bearings::Deviation;
use crate::store::StoreError;
use crate::store::archive::Meta;
use crate::store::journal::{AriFacts, State as Facts};

impl Agent {
    /// Reads how a certificate stands: its facts and its generations, not their keys.
    pub(crate) fn standing(&self, name: &CertName) -> Result<Standing, Trouble> {
        let (facts, _) = self.store().state(name)?;
        self.standing_with(name, facts, self.store().live(name)?)
    }

    /// [`Self::standing`] where facts and the live generation are known.
    pub(super) fn standing_with(
        &self,
        name: &CertName,
        facts: Facts,
        live: Option<Generation>,
    ) -> Result<Standing, Trouble> {
        let newest = self.newest_good(name, &facts)?;
        let live = match (live, &newest) {
            (Some(live), Some((generation, meta))) if live == *generation => {
                Some((live, meta.clone()))
            }
            (Some(live), _) => Some((live, self.store().meta(name, live)?)),
            (None, _) => None,
        };
        Ok(Standing { facts, unsaved: false, live, newest })
    }

    /// How a certificate stands if all it waits for is advice: the time to ask has come, and nothing
    /// looks unfinished or damaged.
    pub(super) fn waiting_for_advice(&self, name: &CertName) -> Option<Standing> {
        let (facts, repaired) = self.store().state(name).ok()?;
        let finished = repaired.is_none() && facts.intent.is_none() && facts.order.is_none();
        let live = self.store().live(name).ok().filter(|_| finished)?;
        let standing = self.standing_with(name, facts, live).ok()?;
        let now = self.hands.clock.now();
        (ask_at(&standing, now)? <= now).then_some(standing)
    }

    /// Whether a run would now order, as far as the store tells: the CA may yet advise to wait.
    pub(crate) fn would_order(
        &self,
        standing: &Standing,
        settings: &CertSettings,
        insistence: Insistence,
    ) -> bool {
        let now = self.hands.clock.now();
        let plan = plan(standing, settings, &self.seed(standing), insistence, now);
        matches!(plan, Plan::Do(Task::Order | Task::Stock, _))
    }

    /// Whether the last run that looked foresaw an order for now, or nothing: one file tells, where
    /// [`Self::would_order`] needs all there is of the certificate. What was edited since, it misses.
    pub(crate) fn may_order(&self, name: &CertName) -> bool {
        let now = self.hands.clock.now();
        let next = self.store().state(name).ok().and_then(|(facts, _)| facts.next_renewal);
        next.is_none_or(|next| next.at <= now)
    }

    /// The newest generation that was not marked bad and can be read.
    pub(super) fn newest_good(
        &self,
        name: &CertName,
        facts: &Facts,
    ) -> Result<Option<(Generation, Meta)>, Trouble> {
        for generation in self.store().generations(name)?.into_iter().rev() {
            if facts.bad.contains(&generation) {
                continue;
            }
            match self.store().meta(name, generation) {
                Ok(meta) => return Ok(Some((generation, meta))),
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Looks at the CA's clock before anything is decided that hangs on the time; where it disagrees
    /// with ours by much, its time is what counts from here on. Says whether that is so now.
    ///
    /// # Errors
    /// Why no CA can be asked: then nobody knows better than our clock.
    pub(super) async fn take_bearings(
        &self,
        name: &CertName,
        standing: &Standing,
        settings: &CertSettings,
    ) -> Result<bool, Trouble> {
        let Some(theirs) = self.ca_time(settings).await? else { return Ok(false) };
        let issued = standing.newest.as_ref().map(|(_, meta)| meta.validity.not_before);
        let known_past = issued.unwrap_or(Timestamp::from_unix(0));
        let judge = |ours| Deviation::of(ours, theirs, known_past);
        if let Some(deviation) = self.clock.correct(judge) {
            let text = format!("{deviation}: its time decides; check this host's NTP service");
            self.hands.sink.note(Event::Noticed { name: name.clone(), text });
        }
        Ok(self.clock.is_wrong())
    }

    /// What the clock of the first CA shows that can be asked.
    async fn ca_time(&self, settings: &CertSettings) -> Result<Option<Timestamp>, Trouble> {
        let mut trouble = None;
        for choice in &settings.cas {
            match self.ca_time_of(settings, choice).await {
                Ok(time) => return Ok(time),
                Err(error) => drop(trouble.get_or_insert(error)),
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    async fn ca_time_of(
        &self,
        settings: &CertSettings,
        choice: &CaChoice,
    ) -> Result<Option<Timestamp>, Trouble> {
        let authority = self.authorities.of(settings, choice).await?;
        Ok(authority.session().await?.ca_time())
    }

    /// Asks the CA for its advice where the time has come. What it says is in `standing`, and yet
    /// to be saved.
    ///
    /// Returns when to ask again; `None` for never. Without advice the lifetime decides.
    pub(super) async fn poll_ari(
        &self,
        name: &CertName,
        standing: &mut Standing,
        settings: &CertSettings,
    ) -> Option<Timestamp> {
        let now = self.hands.clock.now();
        let (_, meta) = standing.newest.as_ref()?;
        let cert_id = meta.ari_id.clone()?;
        let known = advice(&standing.facts, meta, now).map(|known| known.poll_at);
        if !schedule::poll_is_due(meta.validity, known, now) {
            return known;
        }
        let authority = match self.authorities.issuer(settings, &meta.ca).await {
            Ok(Some(authority)) => authority,
            Ok(None) => return None,
            Err(_) => return Some(now.plus(schedule::ARI_RETRY)),
        };
        let Ok(session) = authority.session().await else {
            return Some(now.plus(schedule::ARI_RETRY));
        };
        if !session.directory().offers_renewal_info() {
            return None;
        }
        let info = match session.renewal_info(&cert_id).await {
            Ok(info) => info,
            Err(RenewalInfoError::Temporary(_)) => return Some(now.plus(schedule::ARI_RETRY)),
            Err(_) => return Some(now.plus(RenewalInfoError::LATER)),
        };
        // Said once: it stays in what is remembered.
        let news = standing
            .facts
            .ari
            .as_ref()
            .is_none_or(|known| known.explanation_url != info.explanation_url);
        if let Some(url) = info.explanation_url.as_ref().filter(|_| news) {
            let text = format!("the CA explains its renewal window at {url}");
            self.hands.sink.note(Event::Noticed { name: name.clone(), text });
        }
        let poll_at = now.plus(info.retry_after);
        standing.facts.ari = Some(AriFacts {
            window: info.window,
            cert_id,
            explanation_url: info.explanation_url,
            fetched_at: now,
            poll_at,
        });
        standing.unsaved = true;
        Some(poll_at)
    }
}
