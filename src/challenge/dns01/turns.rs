//! Providers that can be told but one thing at a time, whichever certificates it is for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{DnsError, Kind, Zone};
use crate::model::txt::Txt;

/// Whose turn it is, by provider; shared by all runs of the process.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Makes changes by a provider wait for each other where it would lose some: programs for other
    /// clients were never run otherwise, and some companies store a zone as a whole.
    pub(crate) fn take(self: &Arc<Self>, kind: &Kind, zone: Arc<dyn Zone>) -> Arc<dyn Zone> {
        let by_zone = match kind {
            // A server takes each update whole or not at all, and knows what it does.
            Kind::Rfc2136 | Kind::HttpReq(_) => return zone,
            Kind::Cloud(_) => true,
            Kind::Exec(_)
            | Kind::AcmeSh(_)
            | Kind::Manual { .. }
            | Kind::LegoExec(_)
            | Kind::AcmeDns(_) => false,
        };
        Arc::new(InTurn { zone, by_zone, turns: Arc::clone(self) })
    }

    fn of(&self, what: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(what).or_default())
    }
}

struct InTurn {
    zone: Arc<dyn Zone>,
    /// Whether changes to different zones may overlap.
    by_zone: bool,
    turns: Arc<Turns>,
}

impl InTurn {
    async fn turn(&self, records: &[Txt]) -> tokio::sync::OwnedMutexGuard<()> {
        let label = self.zone.label();
        let what = match records.first().filter(|_| self.by_zone) {
            Some(first) => format!("{label} {}", first.apex),
            None => label.to_owned(),
        };
        self.turns.of(what).lock_owned().await
    }
}

#[async_trait]
impl Zone for InTurn {
    fn label(&self) -> &str {
        self.zone.label()
    }

    fn needs_zone(&self) -> bool {
        self.zone.needs_zone()
    }

    fn can_check(&self) -> bool {
        self.zone.can_check()
    }

    async fn check(&self, apex: &str) -> Result<(), DnsError> {
        self.zone.check(apex).await
    }

    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        let _turn = self.turn(records).await;
        self.zone.add(records).await
    }

    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        let _turn = self.turn(records).await;
        self.zone.remove(records).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join;
    use tokio::task::yield_now;

    use super::super::conformance::{txt, value};
    use super::*;
    use crate::challenge::dns01::cloud::Company;
    use crate::hook::command::Command;

    /// Counts how many changes it saw at the same time.
    #[derive(Default)]
    struct Busy {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Zone for Busy {
        fn label(&self) -> &'static str {
            "busy"
        }

        async fn check(&self, _: &str) -> Result<(), DnsError> {
            Ok(())
        }

        async fn add(&self, _: &[Txt]) -> Result<(), DnsError> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            for _ in 0..10 {
                yield_now().await;
            }
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }

        async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
            self.add(records).await
        }
    }

    #[tokio::test]
    async fn runs_wait_for_each_other_where_changes_would_be_lost() {
        let exec = || Kind::Exec(Command::new(vec!["/x".to_owned()]).unwrap());
        let cloud = || Kind::Cloud(Company::all().next().unwrap());
        let table = [
            (exec(), "example.com", 1),
            (exec(), "example.net", 1),
            (cloud(), "example.com", 1),
            (cloud(), "example.net", 2),
            (Kind::Rfc2136, "example.com", 2),
        ];
        for (kind, apex, most) in table {
            let (turns, busy) = (Arc::new(Turns::default()), Arc::new(Busy::default()));
            // As two certificates have them: each with hands of its own.
            let hands = || turns.take(&kind, Arc::<Busy>::clone(&busy));
            let (one, other) = (hands(), hands());
            let (mine, theirs) = ([txt("example.com", "", &value(1))], [txt(apex, "", &value(2))]);
            let (added, removed) = join(one.add(&mine), other.remove(&theirs)).await;
            added.and(removed).unwrap();
            assert_eq!(busy.most.load(Ordering::SeqCst), most, "{kind:?} {apex}");
        }
    }
}
