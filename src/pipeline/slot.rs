//! tls-alpn-01 by servers that run: what they serve at port 443 they go on serving.

use std::sync::Arc;

use async_trait::async_trait;

use crate::challenge::dns01::BoxError;
use crate::challenge::{Solver, SolverError, tls_alpn01};
use crate::deploy::Target;
use crate::deploy::rustls::Rustls;
use crate::model::challenge::{Challenge, ChallengeKind, server_name};
use crate::model::name::Identifier;
use crate::store::Store;
use crate::store::layout::Label;

/// Answers by the challenge slots of the certificate's servers; by a listener of our own where none
/// of them runs.
pub(super) struct Slots {
    pub(super) targets: Vec<Arc<dyn Target>>,
    pub(super) store: Arc<Store>,
    pub(super) alone: Arc<dyn Solver>,
}

impl Slots {
    /// Whether there is any server to ask.
    pub(super) fn exist(targets: &[Arc<dyn Target>]) -> bool {
        slots(targets).next().is_some()
    }

    /// Shows it at every server that runs; says whether one does.
    async fn show(&self, challenge: &Challenge) -> Result<bool, BoxError> {
        let name = server_name(&challenge.identifier);
        let pem = tls_alpn01::pem(challenge)?;
        let mut shown = false;
        for slot in slots(&self.targets) {
            let Some(user) = slot.user().await else { continue };
            let file = self.store.lend(&Label::of(&name), pem.as_bytes(), user)?;
            let taken = slot.challenge(&name, &file).await;
            self.store.take_back(&file);
            taken?;
            shown = true;
        }
        Ok(shown)
    }

    async fn is_any_up(&self) -> bool {
        for slot in slots(&self.targets) {
            if slot.user().await.is_some() {
                return true;
            }
        }
        false
    }

    /// Takes back what a run that was cut short left there. What does not go is replaced by what is
    /// presented next.
    async fn forget(&self, identifiers: &[Identifier]) {
        for slot in slots(&self.targets) {
            for identifier in identifiers.iter().filter(|one| ChallengeKind::TlsAlpn01.proves(one))
            {
                if slot.clear(&server_name(identifier)).await.is_err() {
                    break;
                }
            }
        }
    }

    /// Takes it back everywhere, whatever becomes of one: a server that was asked may not have
    /// answered.
    async fn clear(&self, challenge: &Challenge) -> Result<(), BoxError> {
        let name = server_name(&challenge.identifier);
        let mut first = Ok(());
        for slot in slots(&self.targets) {
            first = first.and(slot.clear(&name).await);
        }
        Ok(first?)
    }
}

/// The servers among these targets that have a slot for challenges.
fn slots(targets: &[Arc<dyn Target>]) -> impl Iterator<Item = &Rustls> {
    targets.iter().filter_map(|target| target.slot())
}

fn failed(challenge: &Challenge) -> impl FnOnce(BoxError) -> SolverError {
    let identifier = challenge.identifier.clone();
    move |source| SolverError::Slot { identifier, source }
}

#[async_trait]
impl Solver for Slots {
    fn kind(&self) -> ChallengeKind {
        ChallengeKind::TlsAlpn01
    }

    async fn precheck(&self, identifiers: &[Identifier]) -> Result<(), SolverError> {
        if self.is_any_up().await {
            self.forget(identifiers).await;
            return Ok(());
        }
        self.alone.precheck(identifiers).await
    }

    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError> {
        if self.show(challenge).await.map_err(failed(challenge))? {
            return Ok(());
        }
        self.alone.present(challenge).await
    }

    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError> {
        let cleared = self.clear(challenge).await.map_err(failed(challenge));
        self.alone.clean_up(challenge).await.and(cleared)
    }
}
