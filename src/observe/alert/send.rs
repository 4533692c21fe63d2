//! Brings messages to their receivers.

use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroizing;

use super::body::{self, BodyError};
use super::ledger::{News, State, Terms};
use super::medium::{MailTls, Medium};
use super::message::{Message, Origin};
use super::post::{Post, PostError};
use super::{alertmanager, mail};
use crate::hook::command::Command;
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, HookError, run};

/// For one receiver, fetching its secrets included: all of them are told at once.
pub(crate) const LIMIT: Duration = Duration::from_secs(8);

/// Somebody to be told, with all that takes.
pub(crate) struct Receiver {
    pub(crate) terms: Terms,
    pub(crate) medium: Medium<Zeroizing<String>>,
    /// The text of the operator's own template.
    pub(crate) template: Option<String>,
}

/// What is sent to one receiver.
#[derive(Clone, Copy)]
pub(crate) struct Parcel<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) news: &'a [News],
    /// How long what is told of is to be believed without being told again.
    pub(crate) lasts: Duration,
    /// Where the message lies as JSON, for a program.
    pub(crate) file: Option<&'a Path>,
}

/// Why a receiver was not told.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    #[error("its URL cannot be used: {why}")]
    Address { why: &'static str },
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error("cannot write the mail: {why}")]
    Letter { why: String },
    #[error("{server} did not take the mail: {why}")]
    Mail { server: String, tls: MailTls, why: String },
    #[error(transparent)]
    Program(#[from] HookError),
}

impl SendError {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Body(_) => Some("see ALERTS in acmeagent.toml(5) for what templates know".into()),
            Self::Post(error) => error.hint().map(str::to_owned),
            Self::Mail { tls: MailTls::StartTls, .. } => {
                Some("a server that begins with TLS (port 465) wants tls = \"tls\"".into())
            }
            Self::Mail { tls: MailTls::Tls, .. } => {
                Some("a server that begins in the clear (port 587) wants tls = \"starttls\"".into())
            }
            Self::Program(error) => error.hint(),
            Self::Address { .. } | Self::Letter { .. } | Self::Mail { .. } => None,
        }
    }
}

/// The part of the news that is sent; empty where nothing is to be.
///
/// An Alertmanager forgets what it is not told again, so it gets all that holds.
pub(crate) fn worth_sending<S>(medium: &Medium<S>, news: Vec<News>) -> Vec<News> {
    let mut news = news;
    if !matches!(medium, Medium::Alertmanager { .. }) {
        news.retain(|one| one.state != State::Lasting);
    }
    news
}

impl Receiver {
    /// Sends one message. The caller bounds the time, by [`LIMIT`].
    pub(crate) async fn send(&self, parcel: Parcel<'_>) -> Result<(), SendError> {
        let message = Message::new(&self.terms.name, parcel.origin, parcel.news);
        match &self.medium {
            Medium::Email { mail, password } => {
                let password = password.as_ref().map(|password| password.as_str());
                mail::send(mail, password, &message).await
            }
            Medium::Command(command) => execute(command, parcel.file, &message).await,
            Medium::Alertmanager { url, token } => {
                let post = self.post(url)?.under("api/v2/alerts").bearer(token.as_ref());
                Ok(post.json(alertmanager::body(&parcel, &message.host)).send().await?)
            }
            Medium::Webhook { url, secret } => {
                let body = self.body(&message, "")?;
                Ok(self.post(url)?.signed(secret.as_ref(), &body).json(body).send().await?)
            }
            Medium::Slack { url } => {
                Ok(self.post(url)?.json(self.body(&message, "")?).send().await?)
            }
            Medium::Ntfy { url, topic, token } => {
                let body = self.body(&message, topic)?;
                Ok(self.post(url)?.bearer(token.as_ref()).json(body).send().await?)
            }
            Medium::Matrix { url, room, token } => {
                let path = ["_matrix", "client", "v3", "rooms", room, "send", "m.room.message"];
                let put = self.post(url)?.put(&path, &message.id).bearer(Some(token));
                Ok(put.json(self.body(&message, "")?).send().await?)
            }
        }
    }

    fn post(&self, url: &Zeroizing<String>) -> Result<Post, SendError> {
        let is_secret = self.medium.is_secret();
        let url = super::medium::address(url, is_secret);
        Ok(Post::to(url.map_err(|why| SendError::Address { why })?)?)
    }

    fn body(&self, message: &Message, topic: &str) -> Result<String, BodyError> {
        let built_in = body::built_in(&self.medium).unwrap_or_default();
        body::render(self.template.as_deref().unwrap_or(built_in), message, topic)
    }
}

/// Runs a program: the particulars are in the file, the most needed in its environment.
async fn execute(
    command: &Command,
    file: Option<&Path>,
    message: &Message,
) -> Result<(), SendError> {
    let env = HookEnv::new()
        .variable("ACMEAGENT_ALERT_TITLE", &message.title)
        .variable("ACMEAGENT_ALERT_TEXT", &message.text)
        .variable("ACMEAGENT_ALERT_STATUS", message.status.as_str())
        .variable("ACMEAGENT_ALERT_SEVERITY", message.severity.as_str());
    let env = file.map_or(env.clone(), |file| env.json(file));
    run(&Hook::from(command).within(LIMIT), &env).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
