//! dns-persist-01 in a run: records that stand are looked at, nothing is presented.

use super::{Cause, Run};
use crate::acme::Authorization;
use crate::challenge::SolverError;
use crate::challenge::dns_persist01::ensure;
use crate::model::challenge::ChallengeKind;
use crate::model::name::Identifier;

impl Run<'_> {
    /// Whether the record that the CA's challenges will probably ask for stands for every name.
    ///
    /// Passes where that cannot be told before there is an order: no account yet, or a CA that does
    /// not say enough in its directory.
    pub(super) async fn foresee_standing(&self) -> Result<(), Cause> {
        let authority = self.authority();
        let file = authority.account_file(&self.hands.store)?;
        let Some(file) = file.filter(|file| file.url.is_some() && !file.is_rolling_over()) else {
            return Ok(());
        };
        let Ok(session) = authority.session().await else { return Ok(()) };
        let account = session.account(&file)?;
        let names = self.wanted.identifiers.iter().filter_map(|identifier| match identifier {
            Identifier::Dns(name) => Some(name),
            Identifier::Ip(_) => None,
        });
        let foreseen = names.filter_map(|name| account.foreseen_standing(name)).collect();
        match ensure(foreseen, self.hands.clock.now()).await {
            Err(error) if error.is_of_other_issuers() => Ok(()),
            seen => Ok(seen.map_err(SolverError::from)?),
        }
    }

    /// Refuses, before the CA is told to look, where it would not be convinced.
    pub(super) async fn ensure_standing(&self, asked: &[Authorization]) -> Result<(), Cause> {
        let standings = asked.iter().filter_map(|one| one.standing.clone()?.ok());
        Ok(ensure(standings.collect(), self.hands.clock.now()).await.map_err(SolverError::from)?)
    }

    /// Whether a record that stands may prove it; one that is asked for in vain is told of.
    pub(super) fn can_stand(&self, authorization: &Authorization) -> bool {
        match &authorization.standing {
            None => false,
            Some(Ok(_)) => true,
            Some(Err(why)) => {
                let (kind, identifier) = (ChallengeKind::DnsPersist01, &authorization.identifier);
                self.notice(format!("the CA's {kind} challenge for {identifier} is no use: {why}"));
                false
            }
        }
    }
}
