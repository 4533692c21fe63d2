//! A program of the operator as a target.

use async_trait::async_trait;

use super::{Delivery, Target, TargetError, Told};
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, run};
use crate::model::file;
use crate::model::traffic::Share;

/// Runs a deploy hook when there is something to put to use, be it new or restored.
pub(crate) struct HookTarget {
    hook: Hook,
    label: String,
}

impl HookTarget {
    pub(crate) fn new(hook: Hook, label: String) -> Self {
        Self { hook, label }
    }
}

#[async_trait]
impl Target for HookTarget {
    fn label(&self) -> &str {
        &self.label
    }

    /// Finds out whether the program could be started; what it would do nobody can tell.
    async fn stage(&self, _: &Delivery) -> Result<(), TargetError> {
        Ok(self.hook.check()?)
    }

    /// Runs it with certbot's environment and ours; everything else stands in `meta.json`.
    async fn activate(&self, delivery: &Delivery, _: Share) -> Result<Told, TargetError> {
        let env = HookEnv::new()
            .certificate(&delivery.name, &delivery.live_dir)
            .generation(delivery.generation.number(), &delivery.fingerprint.to_string())
            .renewed(&delivery.identifiers)
            .proof(&delivery.proof)
            .json(&delivery.live_dir.join(file::META));
        let report = run(&self.hook, &env).await?;
        Ok(Told { output: report.output })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::certificate::{Chain, Fingerprint};
    use crate::deploy::conformance::{Bed, Rack, conforms};
    use crate::hook::tests::Programs;

    /// A hook that copies what is live, as one for a server elsewhere does.
    struct Copier(Programs);

    impl Copier {
        #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
        fn set_mode(&self, mode: u32) {
            fs::set_permissions(self.0.path("hook"), Permissions::from_mode(mode)).unwrap();
        }
    }

    #[async_trait]
    impl Bed for Copier {
        async fn served(&mut self) -> Option<Fingerprint> {
            let pem = fs::read(self.0.path("served.pem")).ok()?;
            Some(Chain::parse(&pem).unwrap().fingerprint())
        }

        fn watched(&self) -> Vec<PathBuf> {
            vec![self.0.path("served.pem")]
        }

        async fn damage(&mut self) {
            self.set_mode(0o644);
        }

        async fn mend(&mut self) {
            self.set_mode(0o755);
        }

        async fn hang(&mut self) -> bool {
            self.0.add("hangs", "644", "");
            true
        }

        #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
        async fn resume(&mut self) {
            fs::remove_file(self.0.path("hangs")).unwrap();
        }
    }

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let (rack, programs) = (Rack::new(&["a.example"]), Programs::new());
        let hook = programs.script(
            "[ ! -e hangs ] || sleep 1000\ncat $ACMEAGENT_LIVE_DIR/fullchain.pem >served.pem",
        );
        let target = HookTarget::new(hook.within(Duration::from_secs(2)), "hook:copier".to_owned());
        let mut bed = Copier(programs);
        target.activate(&rack.old, Share::ALL).await.unwrap();
        conforms(&target, &mut bed, &rack).await;
    }

    #[tokio::test]
    async fn it_is_told_what_hooks_were_always_told() {
        let (rack, programs) = (Rack::new(&["a.example", "b.example"]), Programs::new());
        let hook = programs.script("env | grep -E '^(ACMEAGENT|RENEWED)_' | sort");
        let target = HookTarget::new(hook, "hook".to_owned());
        let told = target.activate(&rack.new, Share::ALL).await.unwrap();
        let live = rack.new.live_dir.display();
        let expected = format!(
            "ACMEAGENT_CHALLENGE=\nACMEAGENT_FALLBACK=\nACMEAGENT_FINGERPRINT={}\nACMEAGENT_GENERATION=2\nACMEAGENT_JSON={live}/meta.json\n\
             ACMEAGENT_LIVE_DIR={live}\nACMEAGENT_NAME=a.example\n\
             RENEWED_DOMAINS=a.example b.example\nRENEWED_LINEAGE={live}\n",
            rack.new.fingerprint
        );
        assert_eq!(told.output, expected);
    }
}
