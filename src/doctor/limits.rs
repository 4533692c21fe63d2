//! Is a limit of the CA near? Known from the ledger, without asking.

use super::Patient;
use crate::agent::Agent;
use crate::agent::audit::Findings;
use crate::agent::forecast::Forecast;
use crate::model::finding::{Finding, Severity};
use crate::schedule::budget::Holding;

/// So few are left that only an emergency should use them.
const NEAR: u32 = 1;

/// Looks at what the next order would meet.
pub(super) fn examine(agent: &Agent, patients: &[Patient]) -> Vec<Finding> {
    let forecasts = patients.iter().map(|patient| (patient, agent.forecast(&patient.name)));
    let findings = forecasts.map(|(patient, forecast)| match forecast {
        Ok(forecast) => judge(&forecast),
        Err(trouble) => {
            let mut findings = Findings::about(patient.name.as_str());
            let text = format!("the ledger cannot be read: {}", super::in_full(&trouble));
            findings.add(Severity::Warning, "limits", text);
            findings.found
        }
    });
    findings.flatten().collect()
}

fn judge(forecast: &Forecast) -> Vec<Finding> {
    let mut findings = Findings::about(forecast.name.as_str());
    let ca = &forecast.ca;
    let tightest = forecast.holdings.iter().min_by_key(|holding| holding.left);
    match (&forecast.shortage, tightest) {
        (Some(pause), _) if pause.is_pause() => {
            findings.add(Severity::Warning, "limits", format!("{ca} takes no order: {pause}"));
            let name = &forecast.name;
            findings.hint(format!(
                "visit the page that `acmeagent status` shows, then run `acmeagent renew {name}`"
            ));
        }
        (Some(shortage), _) => {
            let text = format!("the next order at {ca} has to wait: {shortage}");
            findings.add(Severity::Warning, "limits", text);
            findings.hint("`acmeagent renew --plan` shows what is left; do not --force");
        }
        (None, Some(Holding { left, rate, scope, next_at, .. })) => {
            let tokens = rate.tokens;
            let text = format!("{ca} allows the next order: {left} of {tokens} {scope} are left");
            match next_at.filter(|_| *left <= NEAR) {
                Some(at) => {
                    let text = format!("{text}, one more from {at} on");
                    findings.add(Severity::Warning, "limits", text);
                    findings.hint("do not --force: what is left is for an emergency");
                }
                None => findings.add(Severity::Ok, "limits", text),
            }
        }
        (None, None) => {
            let text = format!("no limit of {ca} is known that the next order would meet");
            findings.add(Severity::Ok, "limits", text);
        }
    }
    findings.found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::name::{CertName, Identifier};
    use crate::model::time::Timestamp;
    use crate::schedule::Exemption;
    use crate::schedule::budget::{Lack, Shortage};
    use crate::schedule::limits::{Rate, Scope};

    #[test]
    fn a_limit_that_is_met_is_told_with_its_arithmetic() {
        let at = Timestamp::from_unix(1_800_000_000);
        let rate = Rate { tokens: 5, per: Duration::from_secs(7 * 24 * 3600) };
        let scope = || Scope::ExactSet(Default::default());
        let forecast = |left, shortage| Forecast {
            name: CertName::parse("a.example").unwrap(),
            action: "order",
            at,
            reason: String::new(),
            ca: "x".to_owned(),
            exemption: Exemption::Exempt,
            holdings: vec![Holding { scope: scope(), rate, left, takes: 1, next_at: Some(at) }],
            shortage,
            attempts: 10,
        };
        let identifier = Identifier::parse("a.example").unwrap();
        let paused = Shortage {
            until: at,
            scope: Scope::Failures(identifier.clone()),
            why: Lack::Paused { identifier, page: String::new() },
        };
        let held_back = Shortage { until: at, scope: scope(), why: Lack::HeldBack(rate) };
        let table = [
            (forecast(3, None), Severity::Ok, "3 of 5 certificates for exactly these names"),
            (
                forecast(1, None),
                Severity::Warning,
                "1 of 5 certificates for exactly these names are left, one more from 2027-",
            ),
            (
                forecast(1, Some(held_back)),
                Severity::Warning,
                "5 certificates for exactly these names in 7 d",
            ),
            (
                forecast(5, Some(paused)),
                Severity::Warning,
                "x takes no order: it has paused a.example",
            ),
        ];
        for (forecast, severity, part) in table {
            let finding = judge(&forecast).remove(0);
            assert_eq!(finding.severity, severity);
            assert!(finding.message.contains(part), "{}", finding.message);
        }
    }
}
