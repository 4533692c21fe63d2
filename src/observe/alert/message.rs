//! What one receiver is told in one run, in words. Pure.

use std::fmt::Write;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::ledger::{News, State};
use super::{Condition, Rule, Severity, plain};
use crate::model::time::Timestamp;

/// So many alerts one message holds; of the others it says how many there are.
const MOST: usize = 20;
/// The schema of the JSON that webhooks and programs are given.
const SCHEMA: u32 = 1;

/// Where a message comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) host: &'a str,
    pub(crate) at: Timestamp,
}

/// One message; its fields are what templates and webhooks know it by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Message {
    schema: u32,
    /// The same for the same news: a receiver may know by it what it has already had.
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) host: String,
    /// What the receiver is called in the settings.
    receiver: String,
    /// Whether a person tries out if it arrives.
    pub(super) test: bool,
    /// `resolved` when it tells of nothing but ends.
    pub(super) status: Status,
    /// The worst of its alerts.
    pub(super) severity: Severity,
    /// A line.
    pub(super) title: String,
    /// All of it as plain text.
    pub(super) text: String,
    /// The first page that helps.
    pub(super) link: Option<String>,
    pub(super) alerts: Vec<Alert>,
    /// How many there are besides.
    pub(super) more: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Firing,
    Resolved,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One condition of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Alert {
    pub(super) state: State,
    pub(super) rule: Rule,
    pub(super) severity: Severity,
    pub(super) certificate: Option<String>,
    /// What it is about, where that is no certificate: an identifier at a CA, this host.
    pub(super) subject: String,
    pub(super) since: Timestamp,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) hint: String,
    pub(super) link: Option<String>,
}

impl Message {
    /// Puts news into words; the worst comes first, and ends come last.
    pub(crate) fn new(receiver: &str, origin: Origin<'_>, news: &[News]) -> Self {
        let alerts: Vec<Alert> = news.iter().take(MOST).map(Alert::of).collect();
        let is_over = |one: &News| one.state == State::Resolved;
        let status = if news.iter().all(is_over) { Status::Resolved } else { Status::Firing };
        // What is over is no longer bad.
        let counts = |one: &&News| status == Status::Resolved || !is_over(one);
        let severity = news.iter().filter(counts).map(|one| one.condition.severity).max();
        let more = news.len().saturating_sub(alerts.len());
        let host = plain(origin.host);
        let mut message = Self {
            schema: SCHEMA,
            id: id(receiver, &host, origin.at, news),
            at: origin.at,
            receiver: receiver.to_owned(),
            test: news.iter().any(|one| one.condition.rule == Rule::Test),
            status,
            severity: severity.unwrap_or_default(),
            title: title(news, &host),
            text: String::new(),
            link: alerts.iter().find_map(|alert| alert.link.clone()),
            alerts,
            more,
            host,
        };
        message.text = message.in_words();
        message
    }

    fn in_words(&self) -> String {
        let mut text = String::new();
        for alert in &self.alerts {
            let state = match alert.state {
                State::Resolved => "RESOLVED",
                State::Worsened => "CRITICAL (was a warning)",
                State::Reminder | State::Lasting => "STILL",
                State::Begun if alert.severity == Severity::Critical => "CRITICAL",
                State::Begun => "WARNING",
            };
            push(&mut text, format_args!("{state}: {}", alert.title));
            if alert.state == State::Begun || alert.state == State::Worsened {
                push(&mut text, format_args!("  {}", alert.text));
                push(&mut text, format_args!("  what to do: {}", alert.hint));
            } else {
                push(&mut text, format_args!("  since {}", alert.since));
            }
            if let Some(link) = &alert.link {
                push(&mut text, format_args!("  {link}"));
            }
            text.push('\n');
        }
        if self.more > 0 {
            push(&mut text, format_args!("and {} more: run `acmeagent status`\n", self.more));
        }
        push(&mut text, format_args!("acmeagent on {} at {}", self.host, self.at));
        text
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

impl Alert {
    fn of(news: &News) -> Self {
        let link = news.condition.page().map(str::to_owned);
        let Condition { rule, subject, certificate, severity, title, text, hint, .. } =
            news.condition.clone();
        let (state, since) = (news.state, news.since);
        Self { state, rule, severity, certificate, subject, since, title, text, hint, link }
    }
}

fn title(news: &[News], host: &str) -> String {
    let over = news.iter().filter(|one| one.state == State::Resolved).count();
    let critical =
        |one: &&News| one.state != State::Resolved && one.condition.severity == Severity::Critical;
    let (firing, critical) = (news.len() - over, news.iter().filter(critical).count());
    match news {
        [only] => {
            let word = match (only.state, only.condition.severity) {
                (State::Resolved, _) => "resolved",
                (State::Reminder | State::Lasting, _) => "still",
                (_, Severity::Critical) => "critical",
                (_, Severity::Warning) => "warning",
            };
            format!("[{word}] {} ({host})", only.condition.title)
        }
        _ if firing == 0 => format!("[resolved] {over} alerts ({host})"),
        _ => {
            let word = if critical > 0 { "critical" } else { "warning" };
            let ends = if over > 0 { format!(", {over} resolved") } else { String::new() };
            let firing =
                if firing == 1 { "1 alert".to_owned() } else { format!("{firing} alerts") };
            format!("[{word}] {firing}{ends} ({host})")
        }
    }
}

fn id(receiver: &str, host: &str, at: Timestamp, news: &[News]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |part: &str| {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    };
    add(receiver);
    add(host);
    for one in news {
        add(&one.condition.key());
        add(&format!("{:?} {}", one.state, one.since));
        // A reminder is new each time; else Matrix and mail servers take it for the one before.
        if one.state == State::Reminder {
            add(&at.to_string());
        }
    }
    HEXLOWER.encode(&context.finish().as_ref()[..16])
}

#[cfg(test)]
pub(super) mod tests;
