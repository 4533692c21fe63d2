//! Whether runs come often enough: judged for one certificate, and for all.

use super::audit::{Findings, TIMER};
use super::plan::{Standing, advice};
use super::{Agent, Done, Trouble};
use crate::model::event::Event;
use crate::model::finding::{Finding, Severity};
use crate::model::name::CertName;
use crate::model::outlook::RunsSeen;
use crate::model::time::{Timestamp, in_words};
use crate::schedule::cadence::{self, TooCoarse};
use crate::schedule::{self, Due, History, Reason};
use crate::store::runs::Runs;

/// What to do about runs that are too far apart.
pub(crate) const OFTEN_ENOUGH: &str =
    "run `acmeagent renew` every half hour, or let it stay with --loop";

/// Where to look for what became of the runs.
const LOOK_AT: &str = "`systemctl list-timers acmeagent.timer` and `journalctl -u acmeagent` tell";

impl Agent {
    /// Why the runs of the last time are too far apart for this certificate, if they are.
    ///
    /// A run that stays wakes at the exact instant: for it nothing is too narrow.
    pub(crate) fn too_coarse(&self, standing: &Standing) -> Option<TooCoarse> {
        let now = self.hands.clock.now();
        let runs = self.store().runs(now);
        let spacing = cadence::spacing(&runs.at).filter(|_| !runs.resident)?;
        let (_, meta) = standing.newest.as_ref()?;
        let advice = advice(&standing.facts, meta, now);
        let seed = self.seed(standing);
        match schedule::due(meta.validity, advice, History::default(), &seed, now) {
            Due::At(planned, Reason::Ari(window)) => {
                cadence::too_coarse(spacing, planned, Some(window), meta.validity)
            }
            Due::At(planned, _) => cadence::too_coarse(spacing, planned, None, meta.validity),
            // How late that is others say.
            Due::Now(_) | Due::Blocked(..) => None,
        }
    }

    /// Says so where a certificate wants more runs than there are.
    pub(crate) fn notice_cadence(&self, done: &Done) {
        if let Some(too_coarse) = self.too_coarse(&done.standing) {
            let text = format!("{too_coarse}: {OFTEN_ENOUGH}");
            self.hands.sink.note(Event::Noticed { name: done.name.clone(), text });
        }
    }

    /// The unattended runs there were, and how long none may be good.
    pub(super) fn runs_seen(&self, now: Timestamp) -> RunsSeen {
        let Runs { at, good, .. } = self.store().runs(now);
        let wanted = self.authorities.main().heartbeat().silence;
        let patience = wanted.unwrap_or_else(|| cadence::patience(&at));
        RunsSeen { last: at.last().copied(), last_good: good, patience }
    }

    /// Whether the runs stopped coming, or stopped being good, of whatever keeps these certificates.
    ///
    /// Where no run was ever good that is not known to be news, and a home in which none ever came
    /// by itself has nobody to miss.
    pub(crate) fn audit_runs(&self, names: &[CertName]) -> Result<Vec<Finding>, Trouble> {
        let now = self.hands.clock.now();
        let mut findings = Findings::about("renew");
        let seen = self.runs_seen(now);
        if let Some(silent) = seen.silence(now) {
            let good = seen.last_good.unwrap_or_default();
            let ran = match seen.last.filter(|last| good < *last) {
                Some(last) => format!("and the last, at {last}, was not either"),
                None => "and none was seen at all".to_owned(),
            };
            let text = format!("no run was good for {} (since {good}), {ran}", in_words(silent));
            findings.add(Severity::Critical, "silence", text);
            findings.hint(format!("{TIMER} {LOOK_AT}"));
        } else if self.authorities.main().heartbeat().silence.is_none() || seen.last_good.is_none()
        {
            self.audit_spacing(names, now, &mut findings)?;
        }
        Ok(findings.found)
    }

    /// Whether the runs stopped coming as often as they used to.
    fn audit_spacing(
        &self,
        names: &[CertName],
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<(), Trouble> {
        let Some(silent) = cadence::silence(&self.store().runs(now).at, now) else {
            return Ok(());
        };
        let mut due = Vec::new();
        for name in names {
            let planned = self.store().state(name)?.0.next_renewal;
            due.extend(planned.filter(|next| next.at <= now).map(|_| name));
        }
        let text = format!("nothing ran for {}", in_words(silent));
        match due.as_slice() {
            [] => findings.add(Severity::Warning, "silence", text),
            [first, ..] => {
                let text = format!("{text}, and {first} became due ({} in all)", due.len());
                findings.add(Severity::Critical, "silence", text);
            }
        }
        findings.hint(format!("{TIMER} {LOOK_AT}"));
        Ok(())
    }
}
