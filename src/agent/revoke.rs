//! The end of a certificate: telling the CA that it is no longer to be trusted, and removing it.

use super::{Agent, Trouble};
use crate::acme::{AcmeError, Reason};
use crate::certificate::{Chain, Key, pair_matches};
use crate::model::event::Event;
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::pipeline::{Application, Cause};
use crate::store::index::Wake;
use crate::store::journal::{Fate, FateKind};

impl Agent {
    /// Revokes a generation and marks it bad, so that the next `renew` orders another with a new key.
    ///
    /// A compromised key revokes itself (RFC 8555 §7.6): that proves the compromise to the CA. All
    /// generations that have it are marked bad, and an order begun with it is given up.
    pub(crate) async fn revoke(
        &self,
        name: &CertName,
        generation: Option<Generation>,
        reason: Reason,
    ) -> Result<Generation, Trouble> {
        let lock = self.store().lock(name)?;
        let standing = self.recovered(&lock)?;
        let live = standing.live.as_ref().map(|(live, _)| *live);
        let generation = generation.or(live).ok_or(Trouble::NothingHeld)?;
        let stored = self.store().read(name, generation)?;
        let chain = Chain::parse(&stored.fullchain).map_err(Cause::from)?;
        let leaf = &chain.ders()[0];
        let Some((settings, _)) = self.settings(name)? else {
            return Err(Trouble::NoSettings { path: self.store().layout().settings(name) });
        };
        let meta = self.store().meta(name, generation)?;
        let authority = match self.authorities.issuer(&settings, &meta.ca).await? {
            Some(issuer) => issuer,
            None => self.authorities.wanted(&settings).await?,
        };
        if reason == Reason::KeyCompromise {
            let key = Key::parse(&stored.privkey).map_err(Cause::from)?;
            let session = authority.session().await?;
            done_once(session.revoke_with_key(leaf, key.pkcs8_der(), reason).await)?;
        } else {
            let account = authority.account(self.store(), &Application::default()).await?;
            done_once(account.revoke(leaf, reason).await)?;
        }
        let mut facts = standing.facts;
        facts.bad.insert(generation);
        let (at, kind) = (self.hands.clock.now(), FateKind::Revoked);
        facts.befell(generation, Fate { at, kind, why: reason.as_str().to_owned() });
        if reason == Reason::KeyCompromise {
            for sharing in self.with_key_of(name, &chain)? {
                if facts.bad.insert(sharing) {
                    let why = format!("it has the compromised key of generation {generation}");
                    facts.befell(sharing, Fate { at, kind: FateKind::Refused, why });
                }
            }
            facts.order = None;
            self.store().drop_pending(&lock)?;
        }
        facts.pin = facts.pin.filter(|pin| !facts.bad.contains(&pin.generation));
        self.store().save_state(&lock, &facts)?;
        let text = format!("generation {generation} is revoked ({})", reason.as_str());
        self.decided(name, "revoked", text);
        // What is revoked has no runway left, whenever it expires.
        let wake = Wake { at: Some(self.hands.clock.now()), ..Wake::default() };
        self.store().update_index(name, wake)?;
        Ok(generation)
    }

    /// Removes a certificate with its keys and settings.
    pub(crate) fn delete(&self, name: &CertName) -> Result<(), Trouble> {
        self.store().forget(self.store().lock(name)?)?;
        self.decided(name, "deleted", "removed with its keys and settings".to_owned());
        Ok(())
    }

    /// Tells what a person changed by a command.
    pub(super) fn decided(&self, name: &CertName, what: &'static str, text: String) {
        self.hands.sink.note(Event::Decided { name: name.clone(), what, text });
    }

    /// The generations that have the key of this certificate.
    fn with_key_of(&self, name: &CertName, chain: &Chain) -> Result<Vec<Generation>, Trouble> {
        let mut sharing = Vec::new();
        for generation in self.store().generations(name)? {
            // What cannot be read cannot be served either.
            let Ok(stored) = self.store().read(name, generation) else { continue };
            if Key::parse(&stored.privkey).is_ok_and(|key| pair_matches(chain, &key)) {
                sharing.push(generation);
            }
        }
        Ok(sharing)
    }
}

/// A revocation whose answer was lost is not to fail when it is asked for again.
fn done_once(revoked: Result<(), AcmeError>) -> Result<(), Cause> {
    match revoked {
        Err(error) if !error.is("alreadyRevoked") => Err(error.into()),
        _ => Ok(()),
    }
}
