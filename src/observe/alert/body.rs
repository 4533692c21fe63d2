//! Bodies for those that are told by JSON, made by a template each. Pure.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use thiserror::Error;

use super::medium::Medium;
use super::message::Message;

/// No body is longer.
const LONGEST: usize = 256 * 1024;

/// Why a template makes no body.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("its template fails: {why}")]
    Template { why: String },
    #[error("what its template makes is no JSON: {why}")]
    NotJson { why: String },
    #[error("what its template makes is longer than {LONGEST} bytes")]
    TooLong,
}

/// The built-in template of a medium; `None` for one that has none.
pub(super) fn built_in<S>(medium: &Medium<S>) -> Option<&'static str> {
    Some(match medium {
        Medium::Webhook { .. } => include_str!("templates/webhook.json"),
        Medium::Slack { .. } => include_str!("templates/slack.json"),
        Medium::Matrix { .. } => include_str!("templates/matrix.json"),
        Medium::Ntfy { .. } => include_str!("templates/ntfy.json"),
        Medium::Email { .. } | Medium::Command(_) | Medium::Alertmanager { .. } => return None,
    })
}

/// Makes a body.
///
/// Whatever a template puts out is written as JSON, so that nothing a CA says becomes more than a
/// text; what comes to no JSON all the same is refused.
pub(super) fn render(template: &str, message: &Message, topic: &str) -> Result<String, BodyError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Json);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("slack", slack);
    environment.add_filter("cut", cut);
    let body = environment
        .render_str(template, context! { message => Value::from(Serde(message)), topic });
    let body = body.map_err(|error| {
        let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
        BodyError::Template { why: super::plain(&format!("{error}{line}")) }
    })?;
    if body.len() > LONGEST {
        return Err(BodyError::TooLong);
    }
    let read = serde_json::from_str::<serde::de::IgnoredAny>(&body);
    read.map_err(|error| BodyError::NotJson { why: error.to_string() })?;
    Ok(body)
}

/// Takes away what Slack would act on, as in `<!channel>`.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// So many characters of a text at most.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most.saturating_sub(1)) {
        Some((end, last)) if end + last.len_utf8() < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
