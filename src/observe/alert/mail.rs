//! Mail, handed over to a server by SMTP.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};

use super::medium::{Mail, MailTls};
use super::message::Message;
use super::plain;
use super::send::SendError;

/// For one step of the exchange; all of it has [`super::send::LIMIT`].
const LIMIT: Duration = Duration::from_secs(7);

/// Sends a message to all of them in one mail.
pub(super) async fn send(
    mail: &Mail,
    password: Option<&str>,
    message: &Message,
) -> Result<(), SendError> {
    let letter = letter(mail, message).map_err(|why| SendError::Letter { why: plain(&why) })?;
    let failed = |error: lettre::transport::smtp::Error| SendError::Mail {
        server: mail.server.to_string(),
        tls: mail.tls,
        why: plain(&with_cause(&error)),
    };
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let host = mail.server.host.to_string();
    let parameters = || TlsParameters::new(host.trim_matches(['[', ']']).to_owned());
    let tls = match mail.tls {
        MailTls::None => Tls::None,
        MailTls::StartTls => Tls::Required(parameters().map_err(failed)?),
        MailTls::Tls => Tls::Wrapper(parameters().map_err(failed)?),
    };
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(mail.server.port)
        .hello_name(ClientId::Domain(domain(&message.host)))
        .timeout(Some(LIMIT))
        .tls(tls);
    let transport = match (&mail.user, password) {
        (Some(user), Some(password)) => {
            transport.credentials(Credentials::new(user.clone(), password.to_owned()))
        }
        _ => transport,
    };
    transport.build().send(letter).await.map(drop).map_err(failed)
}

fn letter(mail: &Mail, message: &Message) -> Result<Letter, String> {
    let mailbox = |address: &str| address.parse::<Mailbox>().map_err(|error| error.to_string());
    let seconds = u64::try_from(message.at.unix()).unwrap_or(0);
    let mut letter = Letter::builder()
        .from(mailbox(&mail.from)?)
        .subject(message.title.as_str())
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(format!("<{}@{}>", message.id, domain(&message.host))))
        // No vacation notice answers it (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        letter = letter.to(mailbox(to)?);
    }
    letter.body(message.text.clone()).map_err(|error| error.to_string())
}

/// The host's name as mail may hold it.
fn domain(host: &str) -> String {
    let allowed = |sign: &char| sign.is_ascii_alphanumeric() || ".-".contains(*sign);
    let name: String = host.chars().filter(allowed).take(255).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn with_cause(error: &(dyn std::error::Error + 'static)) -> String {
    crate::model::fault::in_full(error)
}
