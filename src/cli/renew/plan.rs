//! `renew --plan`: what the next runs will do, and what it will take of the CA's limits.

use serde_json::{Value, json};

use crate::agent::forecast::Forecast;
use crate::cli::context::Context;
use crate::cli::report::{Failure, Report};
use crate::cli::status;
use crate::model::time::{Timestamp, in_words};
use crate::schedule::budget::Holding;
use crate::schedule::until_in_words;

pub(super) fn run(context: &Context, names: &[String]) -> Result<Report, Failure> {
    let agent = context.reader()?;
    let now = context.now();
    let mut forecasts = Vec::new();
    for name in context.named_or_all(names)? {
        forecasts.push(agent.forecast(&name)?);
    }
    forecasts.sort_by_key(|forecast| forecast.at);
    let text: String = forecasts.iter().map(|forecast| told(forecast, now)).collect();
    let text = if text.is_empty() { status::NONE_YET.to_owned() } else { text };
    let plan: Vec<Value> = forecasts.iter().map(as_json).collect();
    Ok(Report { more: Some(("plan", plan.into())), text, ..Report::default() })
}

fn told(forecast: &Forecast, now: Timestamp) -> String {
    let Forecast { name, action, at, reason, ca, exemption, attempts, .. } = forecast;
    let when = until_in_words(*at, now);
    let mut text = format!("{name}\n  {action:<9}{at} ({when}): {reason}\n");
    if *action == "deploy" {
        return text;
    }
    let exempt = if exemption.holds() { "exempt from" } else { "counts against" };
    text += &format!("  at       {ca}; {exempt} its limits: {exemption}\n");
    for holding in &forecast.holdings {
        let Holding { scope, rate, left, takes, next_at } = holding;
        let (tokens, per) = (rate.tokens, in_words(rate.per));
        let more = next_at.map(|at| format!("; one more {}", until_in_words(at, now)));
        let more = more.unwrap_or_default();
        text += &format!("  uses     {takes} of {left} left of {tokens} {scope} in {per}{more}\n");
    }
    match &forecast.shortage {
        Some(pause) if pause.is_pause() => {
            text += &format!("  blocked  {pause}: `acmeagent status` shows it\n");
        }
        Some(shortage) => text += &format!("  blocked  until {}: {shortage}\n", shortage.until),
        None => {}
    }
    text + &format!("  attempts {attempts} possible before what is served expires\n")
}

fn as_json(forecast: &Forecast) -> Value {
    let limits = forecast.holdings.iter().map(|Holding { scope, rate, left, takes, next_at }| {
        json!({
            "limit": scope.as_str(), "of": scope.to_string(), "tokens": rate.tokens,
            "per_seconds": rate.per.as_secs(), "left": left, "takes": takes, "next_at": next_at,
        })
    });
    let blocked = forecast.shortage.as_ref().map(|shortage| {
        json!({ "until": shortage.until, "limit": shortage.scope.as_str(), "reason": shortage.to_string() })
    });
    json!({
        "name": forecast.name, "action": forecast.action, "at": forecast.at,
        "reason": forecast.reason, "ca": forecast.ca,
        "ari_exempt": forecast.exemption.holds(), "ari_exempt_reason": forecast.exemption.to_string(),
        "limits": limits.collect::<Vec<_>>(), "blocked": blocked,
        "attempts_before_expiry": forecast.attempts,
    })
}
