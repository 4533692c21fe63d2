//! One attempt at a certificate: at one CA, or at one after the other when time is short.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use nix::unistd::{Group, User};

use super::forecast::{expected_exemption, renews};
use super::plan::{Standing, Why, at_once};
use super::targets::{targets, verification};
use super::work::{Done, Wish};
use super::{Agent, Trouble};
use crate::certificate::Refusal;
use crate::config::cert::CertSettings;
use crate::config::choice::{CaChoice, OnBadName, Permissions};
use crate::model::ended::Ended;
use crate::model::event::{Event, Phase};
use crate::model::name::{CertName, Identifier};
use crate::pipeline::{Application, Authority, Cause, Outcome, Pressure, Run, Task, Wanted};
use crate::schedule::Exemption;
use crate::schedule::budget::{Relief, Request, Shortage};
use crate::schedule::choose_ca::choose;
use crate::schedule::ladder::Rung;
use crate::store::disk::Access;
use crate::store::journal::Rollout;
use crate::store::lock::Lock;

/// What the walks of one attempt left to tell.
#[derive(Default)]
struct Trail {
    phases: Vec<(Phase, Duration)>,
    ari_exempt: Option<Exemption>,
    unkept: bool,
}

/// What every walk of an attempt has in common.
struct Attempt<'a> {
    lock: &'a Lock,
    wish: &'a mut Wish,
    standing: &'a mut Standing,
    task: Task,
    pressure: Pressure,
    /// What to certify: all that is wanted, but for what is left out.
    identifiers: Vec<Identifier>,
    trail: Trail,
}

impl Agent {
    /// Does what was decided, and writes down how it ended.
    pub(super) async fn attempt(
        &self,
        lock: &Lock,
        wish: &mut Wish,
        standing: &mut Standing,
        task: Task,
        why: Why,
    ) -> Result<Done, Trouble> {
        if !wish.insistence.is_none() {
            // Should this run be cut off, the next one takes it up, due or not.
            let wake = at_once(standing, self.clock.shown(self.hands.clock.now()));
            self.store().update_index(lock.name(), wake)?;
        }
        let orders = task.generation().is_none();
        let pressure = self.pressure(standing, wish, why);
        let identifiers = to_certify(&wish.settings, standing, pressure.rung);
        let trail = Trail::default();
        let mut attempt = Attempt { lock, wish, standing, task, pressure, identifiers, trail };
        let outcome = if orders {
            match self.before_ordering(lock.name(), &attempt.wish.settings).await {
                Ok(()) => self.order(&mut attempt).await?,
                Err(cause) => Outcome::Untouched(cause),
            }
        } else {
            // What is in the archive already can be put to use without its CA.
            self.walk(&mut attempt, None).await?
        };
        if let Some(repaired) = self.store().ledger_repaired() {
            self.notice(
                &attempt,
                format!("the ledger was damaged and begun anew: {}", repaired.why),
            );
        }
        let Attempt { wish, standing, identifiers, trail, .. } = attempt;
        let Trail { phases, ari_exempt, unkept } = trail;
        let done = self.record(lock, standing, &wish.settings, outcome, (task, &identifiers))?;
        if orders {
            let good = matches!(done.ended, Ended::Renewed | Ended::Stocked);
            self.after_ordering(&wish.settings, good).await;
        }
        Ok(Done { phases, ari_exempt, unkept, ..done })
    }

    fn pressure(&self, standing: &Standing, wish: &Wish, why: Why) -> Pressure {
        let served = standing.live.as_ref().map(|(_, meta)| meta.validity);
        let rung = Rung::at(served, self.hands.clock.now());
        let by_hand = wish.insistence.by_hand;
        let is_emergency = match why {
            Why::Revoked => true,
            Why::Due(reason) if reason.is_emergency() => true,
            // Nothing is served, and somebody waits for it.
            Why::Missing => by_hand,
            _ => rung == Rung::AtRisk,
        };
        Pressure { rung, failures: standing.facts.failures, is_emergency, by_hand }
    }

    /// Becomes a customer of the CAs that may have to stand in for the first, while a person is
    /// there to agree to their terms.
    pub(crate) async fn enroll(&self, name: &CertName, settings: &CertSettings, agree: bool) {
        for choice in settings.cas.iter().skip(1) {
            if let Err(trouble) = self.open_account(settings, choice, agree).await {
                let text =
                    format!("{choice} cannot stand in yet, as there is no account: {trouble}");
                self.hands.sink.note(Event::Noticed { name: name.clone(), text });
            }
        }
    }

    async fn open_account(
        &self,
        settings: &CertSettings,
        choice: &CaChoice,
        agree: bool,
    ) -> Result<(), Trouble> {
        let authority = self.authorities.of(settings, choice).await?;
        let may_create = self.may_open_account(&authority)?;
        let application = self.authorities.application(settings, choice, agree, may_create).await?;
        authority.account(self.store(), &application).await?;
        Ok(())
    }

    /// Orders at the CAs that may be asked, until one of them issues.
    async fn order(&self, attempt: &mut Attempt<'_>) -> Result<Outcome, Trouble> {
        let candidates = match self.candidates_of(attempt).await? {
            Ok(candidates) => candidates,
            Err(cause) => return Ok(Outcome::Untouched(cause)),
        };
        let (mut first_failure, mut first_trouble) = (None, None);
        let mut left = candidates.len();
        for choice in candidates {
            left -= 1;
            let authority = self.authorities.of(&attempt.wish.settings, &choice).await?;
            let application = match self.application(attempt.wish, &choice, &authority).await {
                Ok(application) => application,
                // What one CA cannot be given is no reason to forget how the others failed.
                Err(trouble) => {
                    if left > 0 || first_failure.is_some() {
                        self.notice(attempt, format!("{choice} cannot be asked: {trouble}"));
                    }
                    first_trouble.get_or_insert(trouble);
                    continue;
                }
            };
            let ca = Some((&*authority, &application));
            let mut outcome = self.walk(attempt, ca).await?;
            if self.belies_the_clock(attempt, &outcome) {
                // The order is still there, and so is its certificate.
                outcome = self.walk(attempt, ca).await?;
            }
            match outcome {
                Outcome::Untouched(cause) if cause.is_the_cas() => {
                    if left > 0 {
                        let text = format!("{}: {cause}; trying the next CA", authority.name());
                        self.notice(attempt, text);
                    } else if first_failure.is_some() {
                        // The first is what is told in the end.
                        self.notice(attempt, format!("{}: {cause}", authority.name()));
                    }
                    first_failure.get_or_insert(cause);
                }
                outcome => return Ok(outcome),
            }
        }
        match (first_failure, first_trouble) {
            (Some(cause), _) => Ok(Outcome::Untouched(cause)),
            (None, trouble) => Err(trouble.expect("at least one CA was tried")),
        }
    }

    /// What is told to a CA where it has no account of ours yet.
    async fn application(
        &self,
        wish: &Wish,
        choice: &CaChoice,
        authority: &Authority,
    ) -> Result<Application, Trouble> {
        let may_create = wish.may_register && self.may_open_account(authority)?;
        self.authorities.application(&wish.settings, choice, wish.agree_terms, may_create).await
    }

    /// The CAs to ask now, first the one that has our order open; or why none may be asked.
    async fn candidates_of(
        &self,
        attempt: &Attempt<'_>,
    ) -> Result<Result<Vec<CaChoice>, Cause>, Trouble> {
        let settings = &attempt.wish.settings;
        let (mut known, mut budgets, mut trouble) = (Vec::new(), Vec::new(), None);
        for choice in &settings.cas {
            match self.authorities.of(settings, choice).await {
                Ok(authority) => {
                    budgets.push(self.affords(&authority, attempt)?);
                    known.push((choice.clone(), authority));
                }
                Err(error) if settings.cas.len() > 1 => {
                    self.notice(attempt, format!("{choice} cannot be asked: {error}"));
                    trouble.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if known.is_empty() {
            return Err(trouble.expect("there is at least one CA, known or not"));
        }
        let opened_at = attempt.standing.facts.order.as_ref().map(|order| order.ca.as_str());
        let resumable = known.iter().position(|(_, authority)| Some(authority.name()) == opened_at);
        let mut places = match (choose(&budgets, attempt.pressure.rung), resumable) {
            (Ok(places), _) => places,
            // An order that is open already costs nothing more.
            (Err(_), Some(_)) => Vec::new(),
            (Err(place), None) => {
                let ca = known[place].1.name().to_owned();
                let shortage = budgets.swap_remove(place).expect_err("it was chosen for its lack");
                return Ok(Err(Cause::Limited { ca, shortage }));
            }
        };
        if let Some(first) = resumable {
            places.retain(|place| *place != first);
            places.insert(0, first);
        }
        Ok(Ok(places.into_iter().map(|place| known[place].0.clone()).collect()))
    }

    /// Whether the limits of a CA allow the order now.
    fn affords(
        &self,
        authority: &Authority,
        attempt: &Attempt<'_>,
    ) -> Result<Result<(), Shortage>, Trouble> {
        let pressure = attempt.pressure;
        let (now, ca) = (self.hands.clock.now(), authority.name());
        let exemption = expected_exemption(attempt.standing, ca, now);
        let request = Request {
            identifiers: attempt.identifiers.iter().cloned().collect(),
            relief: Relief::of(exemption, renews(attempt.standing, ca, &attempt.identifiers)),
            is_emergency: pressure.is_emergency,
            by_hand: pressure.by_hand,
        };
        let limits = authority.endpoint.limits;
        Ok(self.store().budget(ca, limits, now, |budget| budget.judge(&request, now))?)
    }

    /// One walk through the pipeline.
    async fn walk(
        &self,
        attempt: &mut Attempt<'_>,
        ca: Option<(&Authority, &Application)>,
    ) -> Result<Outcome, Trouble> {
        let Attempt { lock, wish, standing, task, pressure, identifiers, trail } = attempt;
        let (authority, application) = ca.unzip();
        // An interrupted switch was begun under the settings as they were.
        let new_settings = match standing.facts.intent {
            Some(_) => None,
            None => wish.new_settings.take(),
        };
        let mut run = Run {
            hands: &self.hands,
            authority,
            application: application.cloned().unwrap_or_default(),
            name: &wish.name,
            wanted: match authority {
                Some(_) => self.wanted(&wish.name, &wish.settings, identifiers).await?,
                // Nothing has to be proved.
                None => self.wanted_of_servers(&wish.settings, identifiers)?,
            },
            lock,
            task: *task,
            pressure: *pressure,
            facts: &mut standing.facts,
            new_settings,
            usable: Vec::new(),
            setbacks: Vec::new(),
            offered: BTreeMap::new(),
            shown: BTreeMap::new(),
            phases: Vec::new(),
            ari_exempt: None,
            rollout: Rollout::default(),
            touched: Vec::new(),
            took_before: HashMap::new(),
            turn: None,
        };
        let outcome = run.walk().await;
        let Run { new_settings, phases, ari_exempt, .. } = run;
        trail.phases.extend(phases);
        trail.ari_exempt = ari_exempt;
        trail.unkept = new_settings.is_some();
        wish.new_settings = new_settings.or(wish.new_settings.take());
        Ok(outcome)
    }

    /// The settings as a run takes them.
    pub(crate) async fn wanted<'a>(
        &self,
        name: &CertName,
        settings: &'a CertSettings,
        identifiers: &'a [Identifier],
    ) -> Result<Wanted<'a>, Trouble> {
        let dns = self.dns(name, settings).await?;
        Ok(Wanted { dns, ..self.wanted_of_servers(settings, identifiers)? })
    }

    /// The same, but for the DNS.
    fn wanted_of_servers<'a>(
        &self,
        settings: &'a CertSettings,
        identifiers: &'a [Identifier],
    ) -> Result<Wanted<'a>, Trouble> {
        let main = self.authorities.main();
        Ok(Wanted {
            identifiers,
            profile: settings.profile.as_ref(),
            preferred_chain: settings.preferred_chain.as_deref(),
            key_type: settings.key_type,
            reuse_key: settings.reuse_key,
            challenges: &settings.challenges,
            http01: &settings.http01,
            tls_alpn01_port: settings.tls_alpn01_port,
            dns: None,
            targets: targets(settings, main)?,
            deploy_hooks: &settings.hooks.deploy,
            verification: verification(settings, main),
            rollout: &settings.rollout,
            access: access(settings)?,
        })
    }

    /// Whether what was just issued is not valid at the time the CA says it is, so that our own clock
    /// may well be right; it decides from here on.
    fn belies_the_clock(&self, attempt: &Attempt<'_>, outcome: &Outcome) -> bool {
        use Refusal::{Expired, NotYetValid};
        let Outcome::Untouched(Cause::Refused(NotYetValid { .. } | Expired { .. })) = outcome
        else {
            return false;
        };
        let belied = self.clock.take_back();
        if belied {
            let text = "the CA's time does not fit what it issued: this host's clock decides";
            self.notice(attempt, text.to_owned());
        }
        belied
    }

    fn notice(&self, attempt: &Attempt<'_>, text: String) {
        self.hands.sink.note(Event::Noticed { name: attempt.wish.name.clone(), text });
    }
}

/// What to certify: all that is wanted, unless bad names may be left out and time is short.
fn to_certify(settings: &CertSettings, standing: &Standing, rung: Rung) -> Vec<Identifier> {
    let bad = &standing.facts.bad_names;
    let splits = settings.on_bad_name == OnBadName::Split && rung >= Rung::AnyCa;
    let good = settings.identifiers.iter().filter(|one| !bad.contains(one)).cloned();
    let good: Vec<Identifier> = good.collect();
    if splits && !good.is_empty() { good } else { settings.identifiers.clone() }
}

/// Owner, group and mode as numbers.
fn access(settings: &CertSettings) -> Result<Access, Trouble> {
    let wanted = &settings.permissions;
    let by_name = |kind, name: &Option<String>, find: fn(&str) -> Option<u32>| {
        let Some(name) = name else { return Ok(None) };
        let number = name.parse().ok().or_else(|| find(name));
        number.map(Some).ok_or_else(|| Trouble::NoSuchAccount { kind, name: name.clone() })
    };
    let uid = |name: &str| Some(User::from_name(name).ok()??.uid.as_raw());
    let gid = |name: &str| Some(Group::from_name(name).ok()??.gid.as_raw());
    let owner = by_name("user", &wanted.owner, uid)?;
    let group = by_name("group", &wanted.group, gid)?;
    if *wanted == Permissions::default() {
        return Ok(Access::default());
    }
    Ok(Access { owner, group, mode: wanted.effective_mode() })
}
