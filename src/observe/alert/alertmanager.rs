//! What an Alertmanager is told: its API v2, `POST /api/v2/alerts`. Pure.

use serde_json::{Map, Value, json};

use super::ledger::{News, State};
use super::send::Parcel;
use super::{Condition, Rule, Severity};
use crate::model::time::Timestamp;

/// All that holds and all that is over. It groups, repeats and silences by itself, and holds what it
/// is not told again to be over at `endsAt`.
pub(super) fn body(parcel: &Parcel<'_>, host: &str) -> String {
    let now = parcel.origin.at;
    let until = now.plus(parcel.lasts);
    let mut alerts = Vec::new();
    for one in parcel.news {
        let condition = &one.condition;
        match one.state {
            State::Resolved => alerts.push(alert(condition, one, host, now)),
            State::Worsened => {
                // With another severity it is another alert there.
                let before = Condition { severity: Severity::Warning, ..condition.clone() };
                alerts.push(alert(&before, one, host, now));
                alerts.push(alert(condition, one, host, until));
            }
            State::Begun | State::Reminder | State::Lasting => {
                alerts.push(alert(condition, one, host, until));
            }
        }
    }
    Value::Array(alerts).to_string()
}

fn alert(condition: &Condition, news: &News, host: &str, ends: Timestamp) -> Value {
    let mut labels = Map::new();
    let mut label = |name: &str, value: &str| labels.insert(name.to_owned(), value.into());
    label("alertname", alert_name(condition.rule));
    label("severity", condition.severity.as_str());
    label("instance", host);
    label("subject", &condition.subject);
    if let Some(name) = &condition.certificate {
        label("certificate", name);
    }
    let mut annotations = Map::new();
    let texts = [
        ("summary", Some(condition.title.as_str())),
        ("description", Some(condition.text.as_str())),
        ("hint", Some(condition.hint.as_str())),
        ("link", condition.page()),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            annotations.insert(name.to_owned(), text.into());
        }
    }
    json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": news.since,
        "endsAt": ends,
    })
}

fn alert_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Failing => "AcmeagentFailing",
        Rule::Runway => "AcmeagentRunway",
        Rule::RolledBack => "AcmeagentRolledBack",
        Rule::NotDeployed => "AcmeagentNotDeployed",
        Rule::ServedWrong => "AcmeagentServedWrong",
        Rule::Revoked => "AcmeagentRevoked",
        Rule::Paused => "AcmeagentPaused",
        Rule::Silence => "AcmeagentSilence",
        Rule::Unreadable => "AcmeagentUnreadable",
        Rule::Test => "AcmeagentTest",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::message::Origin;
    use super::super::message::tests::news;
    use super::*;

    #[test]
    fn only_pages_are_links() {
        for (link, is_page) in [("https://a.example/x", true), ("javascript:alert(1)", false)] {
            let mut one = news(State::Begun, "a", Severity::Warning);
            one.condition.link = Some(link.to_owned());
            let origin = Origin { host: "web-1", at: one.since };
            let (news, lasts) = ([one], Duration::from_secs(3600));
            let body = body(&Parcel { origin, news: &news, lasts, file: None }, "web-1");
            assert_eq!(body.contains(link), is_page, "{link}");
        }
    }
}
