//! Telling people that something is wrong, once, and that it is over, once.
//!
//! [`rules::judge`] says of an [`crate::model::outlook::Outlook`] which [`Condition`]s hold;
//! [`ledger::Ledger::news`] says which of them a receiver does not know yet; [`message::Message`]
//! puts that into words, and a template into what a [`medium::Medium`] takes. All of this is pure.
//! [`send::Receiver::send`] brings it there; what could not be sent is news again in the next run.
//!
//! The texts of conditions may come from a CA, a server or a file: they are made [`plain`] here, and
//! each medium escapes them for itself.

mod alertmanager;
mod body;
pub(crate) mod ledger;
mod mail;
pub(crate) mod medium;
pub(crate) mod message;
mod post;
pub(crate) mod rules;
pub(crate) mod send;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::model::printable::acts;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    #[default]
    Warning,
    Critical,
}

impl Severity {
    pub(crate) const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What is told of. The name is part of what receivers rely on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// Renewals fail; critical once what is served is at risk.
    Failing,
    /// Little is left of the life of what is live.
    Runway,
    /// A rollout had to be undone; critical when nothing is deployed any more.
    RolledBack,
    /// A target does not take what was issued.
    NotDeployed,
    /// Clients are shown something else than what is live, or something wrong with it.
    ServedWrong,
    /// The CA has revoked what is live.
    Revoked,
    /// A CA takes no orders for an identifier until a person has visited a page.
    Paused,
    /// No run came to a good end for long.
    Silence,
    /// What is known of a certificate cannot be read.
    Unreadable,
    /// Nothing is wrong: a person tries out whether alerts arrive.
    Test,
}

impl Rule {
    /// Its name in messages, labels and the store.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Runway => "runway",
            Self::RolledBack => "rolled_back",
            Self::NotDeployed => "not_deployed",
            Self::ServedWrong => "served_wrong",
            Self::Revoked => "revoked",
            Self::Paused => "paused",
            Self::Silence => "silence",
            Self::Unreadable => "unreadable",
            Self::Test => "test",
        }
    }
}

/// Something a person should know of, for as long as it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Condition {
    pub(crate) rule: Rule,
    /// What it is about: a certificate, an identifier at a CA, this host.
    pub(crate) subject: String,
    /// The certificate it is about, where it is about one.
    pub(crate) certificate: Option<String>,
    pub(crate) severity: Severity,
    /// A line.
    pub(crate) title: String,
    pub(crate) text: String,
    /// The one thing to do.
    pub(crate) hint: String,
    /// A page that helps, as the CA gave it: see [`Self::page`].
    pub(crate) link: Option<String>,
}

impl Condition {
    /// What makes it the same condition in another run.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.rule.as_str(), self.subject)
    }

    /// The page that helps, where it is one that people may open.
    pub(crate) fn page(&self) -> Option<&str> {
        self.link.as_deref().filter(|link| is_page(link))
    }
}

/// So much of a text is told.
const LONGEST: usize = 600;

/// The text in a line of bounded length, in which nothing acts on a terminal or a reader's eye:
/// control characters, those that cannot be seen and those that turn the direction of writing are
/// escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::new();
    for (count, sign) in text.trim().chars().enumerate() {
        match sign {
            _ if count == LONGEST => {
                safe.push('…');
                break;
            }
            '\n' | '\r' | '\t' => safe.push(' '),
            sign if acts(sign) => safe.extend(sign.escape_default()),
            sign => safe.push(sign),
        }
    }
    safe
}

/// Whether an address that a CA gave may be clicked on.
pub(crate) fn is_page(address: &str) -> bool {
    plain(address) == address && Url::parse(address).is_ok_and(|url| url.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_plain_and_bounded() {
        assert_eq!(plain(" a\nb\u{1b}[2Jc "), "a b\\u{1b}[2Jc");
        assert_eq!(plain("\u{202e}moc.elpmaxe"), "\\u{202e}moc.elpmaxe");
        assert_eq!(plain("exam\u{200b}ple"), "exam\\u{200b}ple");
        assert_eq!(plain("grüße <b>&amp;"), "grüße <b>&amp;");
        assert_eq!(plain(&"ä".repeat(10_000)).chars().count(), LONGEST + 1);
    }
}
