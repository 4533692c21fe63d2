//! Nothing goes live unverified: what lies in the archive is read back and judged.

use std::collections::BTreeSet;

use super::{Cause, Run, Task};
use crate::certificate::{Chain, Expectation, Key, verify};
use crate::model::generation::Generation;
use crate::model::name::Identifier;
use crate::pipeline::machine::{State, Validate};
use crate::store::journal::{Fate, FateKind, QueuedDeploy};

impl Run<'_> {
    pub(super) fn validate(&mut self, at: Validate) -> State<Cause> {
        let generation = at.generation();
        match self.judge_archived(generation).and_then(|()| self.keep_settings(generation)) {
            Ok(()) if self.task == Task::Stock => at.kept(),
            Ok(()) => at.verified(),
            Err(cause) => State::untouched(self.mark_if_condemned(generation, cause)),
        }
    }

    /// Judges the bytes as they lie on the disk.
    fn judge_archived(&self, generation: Generation) -> Result<(), Cause> {
        let stored = self.hands.store.read(self.name, generation)?;
        let (chain, key) = (Chain::parse(&stored.fullchain)?, Key::parse(&stored.privkey)?);
        let split = (chain.leaf_pem(), chain.issuers_pem());
        if (split.0.as_bytes(), split.1.as_bytes()) != (&stored.cert, &stored.chain) {
            return Err(Cause::Inconsistent { generation });
        }
        let identifiers = stored.meta.identifiers.iter().cloned().collect();
        self.judge_as(&chain, &key, &identifiers, stored.meta.profile.as_deref())
    }

    /// Judges a chain as what the settings want.
    pub(super) fn judge(
        &self,
        chain: &Chain,
        key: &Key,
        profile: Option<&str>,
    ) -> Result<(), Cause> {
        let identifiers = self.wanted.identifiers.iter().cloned().collect();
        self.judge_as(chain, key, &identifiers, profile)
    }

    fn judge_as(
        &self,
        chain: &Chain,
        key: &Key,
        identifiers: &BTreeSet<Identifier>,
        profile: Option<&str>,
    ) -> Result<(), Cause> {
        let mut now = self.hands.clock.now();
        if matches!(self.task, Task::DeployExpired(_)) {
            now = now.min(chain.validity().not_after);
        }
        let roots = self.authority.and_then(|ca| ca.issuing_roots.as_ref());
        Ok(verify(chain, key, &Expectation { identifiers, now, roots, profile })?)
    }

    fn mark_if_condemned(&mut self, generation: Generation, cause: Cause) -> Cause {
        if cause.condemns() {
            self.facts.bad.insert(generation);
            let (at, why) = (self.hands.clock.now(), cause.to_string());
            self.facts.befell(generation, Fate { at, kind: FateKind::Refused, why });
            if let Err(worse) = self.save_facts() {
                return worse;
            }
        }
        cause
    }

    /// From here on there is a certificate to be kept renewed: now the settings are kept too.
    fn keep_settings(&mut self, generation: Generation) -> Result<(), Cause> {
        let Some(text) = self.new_settings.take() else { return Ok(()) };
        if self.hands.store.live(self.name)? == Some(generation) {
            // Cut off after this, nothing else would show that its targets have not heard of it.
            let (target, next_at) = (String::new(), self.hands.clock.now());
            let queued = QueuedDeploy { target, generation, attempts: 0, next_at };
            self.facts.deploy_queue.retain(|queued| queued.generation != generation);
            self.facts.deploy_queue.push(queued);
            self.save_facts()?;
        }
        Ok(self.hands.store.write_settings(self.lock, text.as_bytes())?)
    }
}
