//! Telling the CA that a certificate is no longer to be trusted.

use super::{Agent, Trouble};
use crate::acme::Reason;
use crate::certificate::{Chain, Key};
use crate::model::generation::Generation;
use crate::model::name::CertName;
use crate::pipeline::{Application, Cause};

impl Agent {
    /// Revokes a generation and marks it bad, so that the next `renew` orders another.
    ///
    /// A compromised key revokes itself (RFC 8555 §7.6): that proves the compromise to the CA.
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
        let authority = self.authorities.wanted(&settings).await?;
        if reason == Reason::KeyCompromise {
            let key = Key::parse(&stored.privkey).map_err(Cause::from)?;
            let session = authority.session().await?;
            session.revoke_with_key(leaf, key.pkcs8_der(), reason).await.map_err(Cause::from)?;
        } else {
            let account = authority.account(self.store(), &Application::default()).await?;
            account.revoke(leaf, reason).await.map_err(Cause::from)?;
        }
        let mut facts = standing.facts;
        facts.bad.insert(generation);
        self.store().save_state(&lock, &facts)?;
        self.store().update_index(name, Some(self.hands.clock.now()))?;
        Ok(generation)
    }
}
