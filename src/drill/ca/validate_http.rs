//! Validation by http-01 (RFC 8555 §8.3).

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::problem::{Kind, Problem};
use crate::model::challenge::Challenge;
use crate::model::name::Identifier;

/// A key authorization has 87 bytes here; whoever sends this many is not answering the challenge.
const LONGEST_BODY: usize = 128;
/// All response headers together.
const LARGEST_HEAD: usize = 16 * 1024;

/// Fetches the key authorization over `stream` and compares it.
///
/// The answer must be a plain 200: redirects are not followed, since nothing but this
/// machine is ever asked.
pub(super) async fn check(stream: TcpStream, challenge: &Challenge) -> Result<(), Problem> {
    let broken = |why: hyper::Error| Problem::new(Kind::Connection, format!("HTTP failed: {why}"));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Dropped, and with it the connection, whichever way this function is left.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request(challenge)?).await.map_err(broken)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(incorrect(match status.is_redirection() {
            true => format!("answered {status}; this CA does not follow redirects"),
            false => format!("answered {status}"),
        }));
    }
    let body = Limited::new(response.into_body(), LONGEST_BODY - 1).collect().await;
    let body = body.map_err(|why| incorrect(format!("the body cannot be read: {why}")))?;
    compare(&body.to_bytes(), challenge)
}

/// The request a public CA would send to port 80, wherever this one really connects.
fn request(challenge: &Challenge) -> Result<Request<Empty<Bytes>>, Problem> {
    let host = match &challenge.identifier {
        Identifier::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        other => other.to_string(),
    };
    Request::get(format!("/.well-known/acme-challenge/{}", challenge.token.as_str()))
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("acmeagent-drill/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|why| Problem::internal(&why))
}

fn compare(body: &[u8], challenge: &Challenge) -> Result<(), Problem> {
    if body.trim_ascii_end() == challenge.key_authorization.as_str().as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(body);
    Err(incorrect(format!("the key authorization is wrong: {found:?}")))
}

fn incorrect(detail: String) -> Problem {
    Problem::new(Kind::IncorrectResponse, detail)
}
